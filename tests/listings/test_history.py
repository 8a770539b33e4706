"""What a listing's past was in public, and that deleting and posting again does not make a thing new."""

import asyncio
from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from httpx import AsyncClient
from sqlalchemy import select

from src.core import clock, database
from src.core.audit import AuditEntry
from src.core.events import EventRecord
from src.core.security import Role
from src.listings import actions
from src.listings.market import MOST_OTHERS
from src.listings.models import HoldReason, ListingChange, Told
from src.properties import service as properties
from src.properties.schemas import PropertyCreate
from src.vehicles import service as vehicles
from src.vehicles.schemas import VehicleCreate
from tests.factories import Person, World, property_data, vehicle_data
from tests.listings import stored
from tests.listings.journeys import Journey

VIN = "JTDKB20U093123456"
TITLE_NUMBER = "AA/000/77"


def car(vin: str | None = VIN, **overrides: Any) -> dict[str, Any]:
    return vehicle_data(vehicle=vehicle_data()["vehicle"] | {"vin": vin}, **overrides)


def home(**overrides: Any) -> dict[str, Any]:
    return property_data(property=property_data()["property"] | {"title_number": TITLE_NUMBER}, **overrides)


def birr(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "ETB"}


async def later(world: World, owner: Person, days: float) -> Person:
    """Some days later, signed in again."""
    clock.advance(timedelta(days=days))
    return await world.sign_in(owner.id, owner.email)


async def edit(client: AsyncClient, owner: Person, listing: dict[str, Any], **changes: Any) -> None:
    path = "properties" if listing["kind"] == "property" else "vehicles"
    headers = {**owner.headers, "If-Match": "*"}
    answer = await client.patch(f"/api/v1/{path}/{listing['id']}", json=changes, headers=headers)
    assert answer.status_code == 200, answer.text


async def history(client: AsyncClient, listing: dict[str, Any], person: Person | None = None) -> dict[str, Any]:
    headers = person.headers if person else {}
    answer = await client.get(f"/api/v1/listings/{listing['id']}/history", headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def days(found: dict[str, Any]) -> tuple[int, int]:
    return found["days_on_market"], found["cumulative_days_on_market"]


def told(found: dict[str, Any]) -> list[str]:
    return [change["what"] for change in found["changes"]]


async def facts(name: str) -> list[dict[str, Any]]:
    async with database.transaction() as session:
        named = select(EventRecord.data).where(EventRecord.name == name).order_by(EventRecord.id)
        return list(await session.scalars(named))


async def test_a_draft_has_no_history(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    found = await history(client, await world.draft(owner, car()), owner)
    assert (days(found), found["times_listed"], found["first_listed_at"]) == ((0, 0), 0, None)
    assert (found["changes"], found["previous_prices"]) == ([], [])


async def test_only_days_in_public_are_days_on_the_market(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    listing = await world.published(owner)
    owner = await later(world, owner, 3)
    await world.act(owner, listing, "reserve")
    owner = await later(world, owner, 2)
    for action in ("release", "pause"):
        await world.act(owner, listing, action)
    owner = await later(world, owner, 10)
    await world.act(owner, listing, "resume")
    owner = await later(world, owner, 4)
    found = await history(client, listing)
    assert (days(found), found["times_listed"]) == ((9, 9), 1)
    assert told(found) == ["published", "reserved", "released", "paused", "resumed"]
    assert found["first_listed_at"] is not None


@pytest.mark.parametrize("data", [car(), home(purpose="sale", rent_period=None)], ids=["vin", "title"])
async def test_withdrawing_and_posting_again_starts_no_new_history(
    client: AsyncClient, world: World, data: dict[str, Any]
) -> None:
    first, second = await world.person(), await world.person()
    old = await world.published(first, data | {"price": birr(5_000_000)})
    first = await later(world, first, 5)
    await edit(client, first, old, price=birr(4_000_000))
    first = await later(world, first, 2)
    await world.act(first, old, "withdraw")
    second = await later(world, second, 30)
    new = await world.published(second, data | {"price": birr(6_000_000)})
    await later(world, second, 1)
    found = await history(client, new)
    assert (days(found), found["times_listed"]) == ((1, 8), 2)
    assert [item["price"] for item in found["items"]] == [birr(6_000_000)]
    assert [item["price"]["amount"] for item in found["previous_prices"]] == [5_000_000, 4_000_000]
    assert all(item["until"] and not item["is_this_listing"] for item in found["previous_prices"])
    assert found["first_listed_at"] == found["previous_prices"][0]["since"]
    assert old["id"] not in str(found)


async def test_a_deleted_listing_is_remembered(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    old = await world.published(owner, home())
    owner = await later(world, owner, 6)
    for action in ("close", "relist"):
        await world.act(owner, old, action)
    assert (await client.delete(f"/api/v1/properties/{old['id']}", headers=owner.headers)).status_code == 204
    found = await history(client, await world.published(owner, home(price=birr(3_900_000))))
    assert (days(found), found["times_listed"]) == ((0, 6), 2)
    assert [item["price"] for item in found["previous_prices"]] == [old["price"]]


async def test_an_earlier_life_of_the_same_listing_is_remembered(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    listing = await world.published(owner, property_data())
    owner = await later(world, owner, 6)
    for action in ("close", "relist"):
        await world.act(owner, listing, action)
    await edit(client, owner, listing, price=birr(3_900_000))
    await world.act(owner, listing, "submit")
    found = await history(client, listing)
    assert [item["price"] for item in found["items"]] == [birr(3_900_000)]
    assert [(item["price"], item["is_this_listing"]) for item in found["previous_prices"]] == [(listing["price"], True)]
    assert (days(found), found["times_listed"]) == ((6, 6), 2)
    assert told(found) == ["published", "rented", "published"]


async def test_days_in_two_listings_at_once_count_once(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    first = await world.published(owner, car())
    owner = await later(world, owner, 4)
    second = await world.published(owner, car())
    owner = await later(world, owner, 3)
    await world.act(owner, first, "withdraw")
    owner = await later(world, owner, 2)
    found = await history(client, second)
    assert (days(found), found["times_listed"]) == ((5, 9), 2)


async def test_another_vin_is_another_history(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    await world.published(owner, car("JTDKB20U093999999"))
    await world.published(owner, car(None))
    owner = await later(world, owner, 4)
    for data in (car(), car(None)):
        found = await history(client, await world.published(owner, data))
        assert (days(found), found["times_listed"], found["previous_prices"]) == ((0, 0), 1, [])


async def test_a_vin_given_later_brings_the_history_of_its_vehicle(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    old = await world.published(owner, car())
    owner = await later(world, owner, 4)
    await world.act(owner, old, "withdraw")
    new = await world.published(owner, car(None))
    owner = await later(world, owner, 2)
    assert days(await history(client, new)) == (2, 2)
    await edit(client, owner, new, vehicle={"vin": VIN.lower()})
    owner = await later(world, owner, 1)
    found = await history(client, new)
    assert (days(found), found["times_listed"]) == ((3, 7), 2)
    # Before it said which vehicle it was, it was not that vehicle's time.
    assert days(await history(client, old, owner)) == (4, 5)
    assert [len(spell.asset_keys) for spell in await stored.spells_of(new["id"])] == [0, 1]


async def test_no_vin_or_title_number_is_kept_in_a_spell(world: World) -> None:
    owner = await world.person()
    for data, secret in ((car(), VIN), (home(), TITLE_NUMBER)):
        [spell] = await stored.spells_of((await world.published(owner, data))["id"])
        [key] = spell.asset_keys
        assert secret not in key
        assert len(key.partition(":")[2]) == 44


async def test_edits_are_told_by_the_names_of_what_everybody_reads(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    listing = await world.published(owner, home())
    await edit(
        client,
        owner,
        listing,
        title="Three bedrooms",
        external_id="flat-9",
        location={"city": "Hawassa", "landmark": "Lake"},
        property={"title_number": "BB/1", "bedrooms_total": 3},
        price=birr(1_000),
    )
    await edit(client, owner, listing, external_id="flat-10")
    changes = (await history(client, listing))["changes"]
    assert [(change["what"], change["fields"]) for change in changes] == [
        ("published", []),
        ("edited", ["location", "property.bedrooms_total", "title"]),
        ("price_changed", []),
    ]


async def test_what_changed_while_nobody_could_see_it_is_told_when_they_can(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    listing = await world.published(owner)
    await world.act(owner, listing, "pause")
    hidden = clock.now()
    for amount in (100, 200, 300):
        await edit(client, owner, listing, price=birr(amount))
    await edit(client, owner, listing, title="Quite another title")
    assert told(await history(client, listing, owner)) == ["published", "paused"]
    await world.act(owner, listing, "resume")
    found = await history(client, listing)
    assert told(found) == ["published", "paused", *["price_changed"] * 3, "edited", "resumed"]
    assert all(change["at"] > hidden.isoformat().replace("+00:00", "Z") for change in found["changes"][2:])
    assert [item["price"] for item in found["items"]] == [listing["price"], birr(300)]
    assert len((await history(client, listing, owner))["items"]) == 4


async def test_the_feed_says_paused_whatever_the_reason(client: AsyncClient, world: World, journey: Journey) -> None:
    listing = await world.published(journey.owner)
    for action in ("hold", "lift", "suspend", "restore", "expire", "renew", "renew", "withdraw", "renew", "close"):
        assert (await journey.take(action, listing["id"], reason=HoldReason.LICENCE)).is_done, action
    found = await history(client, listing, journey.owner)
    wanted = ["published", "paused", "resumed", "paused", "resumed", "expired", "renewed", "renewed"]
    assert told(found) == [*wanted, "withdrawn", "renewed", "sold"]
    assert found["times_listed"] == 3


async def test_the_feed_is_bounded_and_its_newest_are_last(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    listing = await world.published(owner)
    async with database.transaction() as session:
        entry = {"listing_id": UUID(listing["id"]), "seen_at": clock.now(), "what": Told.EDITED, "fields": ["title"]}
        session.add_all(ListingChange(**entry) for _ in range(205))
    await edit(client, owner, listing, negotiable=True)
    changes = (await history(client, listing))["changes"]
    assert (len(changes), changes[0]["what"], changes[-1]["fields"]) == (200, "edited", ["negotiable"])


async def test_an_asset_that_is_public_elsewhere_raises_an_alarm(client: AsyncClient, world: World) -> None:
    first, second = await world.person(), await world.person()
    old = await world.published(first, car())
    assert await facts("listing.asset_listed_twice") == []
    new = await world.published(second, car())
    [fact] = await facts("listing.asset_listed_twice")
    assert (fact["listing_id"], fact["public_elsewhere"], fact["sold_lately"]) == (new["id"], [old["id"]], [])
    async with database.transaction() as session:
        named = select(AuditEntry).where(AuditEntry.action == "listing.asset_listed_twice")
        entry = (await session.scalars(named)).one()
    assert (entry.subject_id, entry.data["public_elsewhere"]) == (UUID(new["id"]), [old["id"]])
    assert VIN not in str(entry.data)


async def test_returning_or_becoming_an_asset_that_is_public_elsewhere_raises_it_too(
    client: AsyncClient, world: World
) -> None:
    owner = await world.person()
    paused = await world.published(owner, car())
    await world.act(owner, paused, "pause")
    await world.published(owner, car())
    other = await world.published(owner, car(None))
    assert await facts("listing.asset_listed_twice") == []
    await world.act(owner, paused, "resume")
    await edit(client, owner, other, vehicle={"vin": VIN})
    await edit(client, owner, other, price=birr(1_000))
    alarms = await facts("listing.asset_listed_twice")
    assert [(fact["listing_id"], len(fact["public_elsewhere"])) for fact in alarms] == [
        (paused["id"], 1),
        (other["id"], 2),
    ]


async def test_what_another_owner_sold_lately_raises_an_alarm(client: AsyncClient, world: World) -> None:
    seller, buyer = await world.person(), await world.person()
    sold = await world.published(seller, car())
    await world.act(seller, sold, "close")
    again = await world.published(seller, car())
    await world.act(seller, again, "withdraw")
    assert await facts("listing.asset_listed_twice") == []
    buyer = await later(world, buyer, 80)
    new = await world.published(buyer, car())
    [fact] = await facts("listing.asset_listed_twice")
    assert (fact["listing_id"], fact["public_elsewhere"], fact["sold_lately"]) == (new["id"], [], [sold["id"]])
    await world.act(buyer, new, "withdraw")
    buyer = await later(world, buyer, 20)
    await world.published(buyer, car())
    assert len(await facts("listing.asset_listed_twice")) == 1


async def test_the_same_title_sold_twice_raises_an_alarm(client: AsyncClient, world: World) -> None:
    first, second = await world.person(), await world.person()
    sale = home(purpose="sale", rent_period=None)
    old, new = await world.published(first, sale), await world.published(second, sale)
    await world.act(first, old, "close")
    assert await facts("listing.asset_sold_twice") == []
    await world.act(second, new, "close")
    [fact] = await facts("listing.asset_sold_twice")
    assert (fact["listing_id"], fact["sold_lately"]) == (new["id"], [old["id"]])


async def test_a_sale_is_not_hidden_behind_newer_listings_of_the_same_title(world: World) -> None:
    first, second = await world.person(), await world.person()
    sale = home(purpose="sale", rent_period=None)
    old, new = await world.published(first, sale), await world.published(second, sale)
    await world.act(first, old, "close")
    drafts = [properties.draft(PropertyCreate(**sale)) for _ in range(MOST_OTHERS)]
    async with database.transaction() as session:
        await actions.create_submitted(session, second.id, properties.kind, drafts)
    await world.act(second, new, "close")
    assert [fact["sold_lately"] for fact in await facts("listing.asset_sold_twice")] == [[old["id"]]]


async def test_a_batch_that_says_the_same_of_every_car_raises_bounded_alarms(world: World) -> None:
    owner = await world.person()
    drafts = [vehicles.draft(VehicleCreate(**car())) for _ in range(15)]
    async with database.transaction() as session:
        await actions.create_submitted(session, owner.id, vehicles.kind, drafts)
    assert [len(fact["public_elsewhere"]) for fact in await facts("listing.asset_listed_twice")] == [10] * 15


async def test_two_who_publish_one_vin_at_once_are_noticed(committed: None, client: AsyncClient, world: World) -> None:
    owners = [await world.person() for _ in range(4)]
    drafts = [await world.draft(owner, car()) for owner in owners]
    await asyncio.gather(*(world.act(owner, draft, "submit") for owner, draft in zip(owners, drafts, strict=True)))
    alarms = await facts("listing.asset_listed_twice")
    # Each but the first sees all that came before it.
    assert sorted(len(fact["public_elsewhere"]) for fact in alarms) == [1, 2, 3]
    named = {fact["listing_id"] for fact in alarms} | {name for fact in alarms for name in fact["public_elsewhere"]}
    assert named == {draft["id"] for draft in drafts}


async def test_two_who_sell_one_title_at_once_are_noticed(committed: None, client: AsyncClient, world: World) -> None:
    owners = [await world.person() for _ in range(2)]
    listings = [await world.published(owner, home(purpose="sale", rent_period=None)) for owner in owners]
    await asyncio.gather(*(world.act(owner, sold, "close") for owner, sold in zip(owners, listings, strict=True)))
    [fact] = await facts("listing.asset_sold_twice")
    assert {fact["listing_id"], *fact["sold_lately"]} == {listing["id"] for listing in listings}


async def test_spells_end_and_begin_once_under_a_race(committed: None, client: AsyncClient, world: World) -> None:
    owner = await world.person()
    listing = await world.published(owner, car())
    url, headers = f"/api/v1/vehicles/{listing['id']}", {**owner.headers, "If-Match": "*"}
    prices = [client.patch(url, json={"price": birr(1_000 + number)}, headers=headers) for number in range(8)]
    moves = [
        client.post(f"/api/v1/listings/{listing['id']}/{action}", headers=owner.headers)
        for action in ("pause", "resume", "pause", "resume")
    ]
    await asyncio.gather(*prices, *moves)
    spells = await stored.spells_of(listing["id"])
    is_public = (await stored.row_of(listing["id"]))["is_public"]
    assert [spell.ended_at is None for spell in spells] == [False] * (len(spells) - 1) + [is_public]
    assert all(old.ended_at <= new.started_at for old, new in pairwise(spells) if old.ended_at)


async def test_a_moderator_reads_the_history_of_what_is_hidden(client: AsyncClient, world: World) -> None:
    owner, moderator = await world.person(), await world.person(Role.MODERATOR)
    listing = await world.published(owner)
    await world.act(owner, listing, "withdraw")
    assert told(await history(client, listing, moderator)) == ["published", "withdrawn"]
    assert (await client.get(f"/api/v1/listings/{listing['id']}/history")).status_code == 404
