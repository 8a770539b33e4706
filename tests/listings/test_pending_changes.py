"""Edits that make a live listing another thing: they wait for a moderator, and the old version stays live."""

import asyncio
from typing import Any

import pytest
from httpx import AsyncClient, Response
from sqlalchemy import select, update

from src.core import database
from src.core.audit import AuditEntry
from src.core.events import EventRecord
from src.core.security import Role
from src.listings.models import PendingChange
from src.users.models import User
from tests.factories import Person, World, property_data, vehicle_data
from tests.listings import stored
from tests.listings.journeys import Journey

VIN = "JTDKB20U093123456"
REASON = {"reason": "The papers show another car."}
SUZUKI = {"make": "Suzuki"}

HIGH_RISK: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    (vehicle_data(), {"vin": VIN}, {"vin": VIN}),
    (vehicle_data(), SUZUKI, SUZUKI),
    (vehicle_data(), {"model_year": 2014}, {"model_year": 2014}),
    (vehicle_data(), {"plate_code": "3"}, {"plate_code": "3"}),
    (property_data(), {"property_type": "commercial"}, {"property_type": "commercial"}),
    (property_data(), {"living_area_m2": 99}, {"living_area_m2": 99.0}),
    (property_data(), {"lot_size_m2": 200.5}, {"lot_size_m2": 200.5}),
    (property_data(), {"title_number": "AA/1/2"}, {"has_title_number": True}),
]

pytestmark = pytest.mark.usefixtures("manual_review")


def url(listing: dict[str, Any]) -> str:
    return f"/api/v1/{'properties' if listing['kind'] == 'property' else 'vehicles'}/{listing['id']}"


async def patch(client: AsyncClient, owner: Person, listing: dict[str, Any], **changes: Any) -> Response:
    return await client.patch(url(listing), json=changes, headers={**owner.headers, "If-Match": "*"})


async def decide(
    client: AsyncClient, judge: Person, listing: dict[str, Any], verdict: str, if_match: str | None = "*"
) -> Response:
    headers = judge.headers | ({"If-Match": if_match} if if_match else {})
    body = REASON if verdict == "reject" else None
    path = f"/api/v1/listings/{listing['id']}/pending-change/{verdict}"
    return await client.post(path, json=body, headers=headers)


async def drop(client: AsyncClient, owner: Person, listing: dict[str, Any]) -> Response:
    return await client.delete(f"/api/v1/listings/{listing['id']}/pending-change", headers=owner.headers)


async def public(client: AsyncClient, listing: dict[str, Any]) -> dict[str, Any]:
    seen: dict[str, Any] = (await client.get(f"/api/v1/listings/{listing['id']}")).json()
    return seen


async def proposed(client: AsyncClient, journey: Journey, state: str = "published", **vehicle: Any) -> dict[str, Any]:
    """A vehicle in this state that is to change."""
    listing = await journey.seen(await journey.start("published"))
    answer = await patch(client, journey.owner, listing, vehicle=vehicle or SUZUKI)
    assert answer.status_code == 200
    for action in {"published": (), "reserved": ("reserve",), "on_hold": ("pause",)}[state]:
        await journey.take(action, listing["id"])
    return listing


@pytest.mark.parametrize(("data", "change", "shown"), HIGH_RISK, ids=[str(*change) for _, change, _ in HIGH_RISK])
async def test_what_makes_it_another_thing_waits_and_then_goes_live(
    client: AsyncClient, journey: Journey, data: dict[str, Any], change: dict[str, Any], shown: dict[str, Any]
) -> None:
    listing = await journey.seen(await journey.start("published", data))
    kind, before = listing["kind"], await public(client, listing)
    answer = await patch(client, journey.owner, listing, **{kind: change})
    assert answer.status_code == 200
    assert answer.json()["pending_change"]["fields"] == {kind: shown}
    assert answer.json()[kind] == listing[kind]
    assert await public(client, listing) == before
    approved = await decide(client, journey.first, listing, "approve")
    assert approved.status_code == 200
    assert approved.json()["pending_change"] is None
    assert approved.json()[kind] == listing[kind] | shown
    assert "AA/1/2" not in answer.text + approved.text
    [name] = change
    assert await stored.events_of(listing["id"]) == [
        "listing.created", "listing.submitted", "listing.published",
        "listing.change_submitted", "listing.change_approved", "listing.edited",
    ]  # fmt: skip
    async with database.transaction() as session:
        edited = select(EventRecord.data).where(EventRecord.name == "listing.edited")
        assert (await session.scalars(edited)).one()["fields"] == [f"{kind}.{name}"]


async def test_a_title_number_waits_as_a_hash(client: AsyncClient, journey: Journey) -> None:
    listing = await journey.seen(await journey.start("published", property_data()))
    await patch(client, journey.owner, listing, property={"title_number": "AA/000/77"})
    async with database.transaction() as session:
        waiting = (await session.scalars(select(PendingChange))).one()
    assert list(waiting.changes) == ["title_number_hash"]
    assert "AA/000/77" not in str(waiting.changes) + str(waiting.shown)
    assert len(waiting.changes["title_number_hash"]) == 44


async def test_low_risk_fields_of_the_same_change_go_live_at_once(client: AsyncClient, journey: Journey) -> None:
    listing = await journey.seen(await journey.start("published"))
    price = {"amount": 170000000, "currency": "ETB"}
    both = SUZUKI | {"color": "white"}
    answer = await patch(client, journey.owner, listing, price=price, vehicle=both)
    assert answer.json()["pending_change"]["fields"] == {"vehicle": SUZUKI}
    seen = await public(client, listing)
    assert (seen["price"], seen["vehicle"]["color"], seen["vehicle"]["make"]) == (price, "white", "Toyota")


async def test_only_owner_and_moderators_know_of_it(client: AsyncClient, world: World, journey: Journey) -> None:
    stranger, admin = await world.person(), await world.person(Role.ADMIN)
    listing = await proposed(client, journey, vin=VIN)
    for path in (f"/api/v1/listings/{listing['id']}", url(listing), "/api/v1/listings", "/api/v1/vehicles"):
        for person in (None, stranger):
            answer = await client.get(path, headers=person.headers if person else {})
            assert answer.status_code == 200
            assert VIN not in answer.text
            body = answer.json()
            assert [item["pending_change"] for item in body.get("items", [body])] == [None]
    for person in (journey.owner, journey.first, admin):
        seen = (await client.get(url(listing), headers=person.headers)).json()
        assert seen["pending_change"]["fields"] == {"vehicle": {"vin": VIN}}
    mine = await client.get("/api/v1/users/me/listings", headers=journey.owner.headers)
    assert mine.json()["items"][0]["pending_change"]["fields"] == {"vehicle": {"vin": VIN}}


async def test_there_is_one_pending_change_and_the_newest_value_counts(client: AsyncClient, journey: Journey) -> None:
    listing = await proposed(client, journey)
    await patch(client, journey.owner, listing, vehicle={"model_year": 2014})
    answer = await patch(client, journey.owner, listing, vehicle={"make": "Kia"})
    assert answer.json()["pending_change"]["fields"] == {"vehicle": {"make": "Kia", "model_year": 2014}}
    same = await patch(client, journey.owner, listing, vehicle={"make": "Kia"})
    assert same.headers["ETag"] == answer.headers["ETag"]
    back = await patch(client, journey.owner, listing, vehicle={"make": "Toyota", "model_year": 2012})
    assert back.json()["pending_change"] is None
    assert (await stored.events_of(listing["id"]))[-1] == "listing.change_dropped"


async def test_I16_a_pending_change_is_a_new_version_that_the_public_does_not_notice(
    client: AsyncClient, journey: Journey
) -> None:
    listing = await journey.seen(await journey.start("published"))
    read = await client.get(url(listing), headers=journey.owner.headers)
    headers = {**journey.owner.headers, "If-Match": read.headers["ETag"]}
    async with stored.nothing_changes():
        missing = await client.patch(url(listing), json={"vehicle": SUZUKI}, headers=journey.owner.headers)
    assert missing.status_code == 428
    done = await client.patch(url(listing), json={"vehicle": SUZUKI}, headers=headers)
    assert (done.status_code, done.headers["ETag"] == read.headers["ETag"]) == (200, False)
    async with stored.nothing_changes():
        stale = await client.patch(url(listing), json={"vehicle": {"make": "Kia"}}, headers=headers)
    assert stale.status_code == 412
    assert done.json()["updated_at"] == listing["updated_at"]


async def test_nothing_is_approved_that_the_moderator_has_not_read(client: AsyncClient, journey: Journey) -> None:
    listing = await proposed(client, journey)
    read = await client.get(url(listing), headers=journey.first.headers)
    await patch(client, journey.owner, listing, vehicle={"make": "Ferrari"})
    async with stored.nothing_changes():
        blind = await decide(client, journey.first, listing, "approve", None)
        stale = await decide(client, journey.first, listing, "approve", read.headers["ETag"])
        refused = await decide(client, journey.first, listing, "reject", read.headers["ETag"])
    assert [answer.status_code for answer in (blind, stale, refused)] == [428, 412, 412]
    again = await client.get(url(listing), headers=journey.first.headers)
    assert (await decide(client, journey.first, listing, "approve", again.headers["ETag"])).status_code == 200


async def test_a_rejected_change_is_gone_and_the_owner_reads_why(client: AsyncClient, journey: Journey) -> None:
    listing = await proposed(client, journey)
    before = await public(client, listing)
    answer = await decide(client, journey.first, listing, "reject", None)
    assert answer.status_code == 200
    seen = await journey.seen(listing["id"])
    assert (seen["pending_change"], seen["vehicle"], seen["status"]) == (None, listing["vehicle"], "published")
    assert (seen["decision"]["action"], seen["decision"]["reason"]) == ("reject-change", REASON["reason"])
    assert await public(client, listing) == before
    assert (await stored.events_of(listing["id"]))[-1] == "listing.change_rejected"
    async with database.transaction() as session:
        entry = (await session.scalars(select(AuditEntry).where(AuditEntry.action == "listing.reject-change"))).one()
    assert (entry.actor_id, str(entry.subject_id)) == (journey.first.id, listing["id"])


async def test_the_owner_takes_it_back(client: AsyncClient, journey: Journey) -> None:
    listing = await proposed(client, journey)
    before = await client.get(url(listing), headers=journey.owner.headers)
    answer = await drop(client, journey.owner, listing)
    assert (answer.status_code, answer.content) == (204, b"")
    after = await client.get(url(listing), headers=journey.owner.headers)
    assert after.json()["pending_change"] is None
    assert after.headers["ETag"] != before.headers["ETag"]
    assert (await stored.events_of(listing["id"]))[-1] == "listing.change_dropped"
    async with stored.nothing_changes():
        again = await drop(client, journey.owner, listing)
    assert (again.status_code, again.json()["code"]) == (409, "no_pending_change")


async def test_Z05_nobody_decides_on_a_change_of_their_own(client: AsyncClient, journey: Journey) -> None:
    own = Journey(client, owner=journey.first, first=journey.second, second=journey.owner)
    listing = await proposed(client, own)
    async with stored.nothing_changes():
        for verdict in ("approve", "reject"):
            answer = await decide(client, journey.first, listing, verdict)
            assert (answer.status_code, answer.json()["code"]) == (403, "own_listing")


async def test_Z05_only_moderators_decide_and_only_the_owner_takes_back(
    client: AsyncClient, world: World, journey: Journey
) -> None:
    strangers = [await world.person(), await world.person(Role.BROKER)]
    listing = await proposed(client, journey)
    async with stored.nothing_changes():
        for verdict in ("approve", "reject"):
            for person in (journey.owner, *strangers):
                answer = await decide(client, person, listing, verdict)
                assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        for person in (journey.first, *strangers):
            answer = await drop(client, person, listing)
            assert (answer.status_code, answer.json()["code"]) == (403, "not_your_listing")


async def test_a_rejection_needs_a_reason(client: AsyncClient, journey: Journey) -> None:
    listing = await proposed(client, journey)
    path = f"/api/v1/listings/{listing['id']}/pending-change/reject"
    for body, pointer in ((None, ""), ({}, "/reason"), ({"reason": " "}, "/reason"), (REASON | {"x": 1}, "/x")):
        async with stored.nothing_changes():
            answer = await client.post(path, json=body, headers=journey.first.headers)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


@pytest.mark.parametrize("held", [False, True])
async def test_a_change_that_would_make_it_incomplete_does_not_wait(
    client: AsyncClient, journey: Journey, held: bool
) -> None:
    listing = await journey.seen(await journey.start("published"))
    if held:
        await journey.take("pause", listing["id"])
    async with stored.nothing_changes():
        answer = await patch(client, journey.owner, listing, title="Fine", vehicle={"make": None, "color": "red"})
    assert (answer.status_code, answer.json()["code"]) == (422, "listing_incomplete")
    assert [field["pointer"] for field in answer.json()["errors"]] == ["/vehicle/make"]


async def test_what_became_incomplete_meanwhile_is_not_approved(client: AsyncClient, journey: Journey) -> None:
    land = {"property_type": "land", "lot_size_m2": 300}
    listing = await journey.seen(await journey.start("published", property_data(property=land)))
    await patch(client, journey.owner, listing, property={"property_type": "residential", "living_area_m2": 80})
    async with database.transaction() as session:
        # As if it had been proposed when a dwelling needed no living area.
        waiting = (await session.scalars(select(PendingChange))).one()
        waiting.changes = {"property_type": "residential"}
    async with stored.nothing_changes():
        answer = await decide(client, journey.first, listing, "approve")
    assert (answer.status_code, answer.json()["code"]) == (422, "listing_incomplete")
    assert [field["pointer"] for field in answer.json()["errors"]] == ["/property/living_area_m2"]


@pytest.mark.parametrize("action", ["close", "withdraw", "expire"])
async def test_leaving_the_market_drops_it(client: AsyncClient, journey: Journey, action: str) -> None:
    listing = await proposed(client, journey)
    assert (await journey.take(action, listing["id"])).is_done
    assert (await journey.seen(listing["id"]))["pending_change"] is None
    assert (await stored.events_of(listing["id"]))[-1] == "listing.change_dropped"
    async with stored.nothing_changes():
        for pending in ("approve-change", "reject-change", "drop-change"):
            assert (await journey.take(pending, listing["id"])).code == "listing_wrong_state"


async def test_it_survives_a_suspension_and_waits_while_somebody_has_a_claim(
    client: AsyncClient, journey: Journey
) -> None:
    listing = await proposed(client, journey, "reserved")
    async with stored.nothing_changes():
        assert (await journey.take("approve-change", listing["id"])).code == "listing_wrong_state"
    for action in ("suspend", "restore", "release"):
        assert (await journey.take(action, listing["id"])).is_done
    assert (await journey.seen(listing["id"]))["pending_change"]["fields"] == {"vehicle": SUZUKI}
    assert (await journey.take("approve-change", listing["id"])).is_done
    assert (await public(client, listing))["vehicle"]["make"] == "Suzuki"


@pytest.mark.parametrize("state", ["withdrawn", "expired", "changes_requested", "rejected", "draft"])
async def test_what_is_not_live_changes_at_once(client: AsyncClient, journey: Journey, state: str) -> None:
    listing = await journey.seen(await journey.start(state))
    changed = (await patch(client, journey.owner, listing, vehicle=SUZUKI)).json()
    assert (changed["vehicle"]["make"], changed["pending_change"]) == ("Suzuki", None)


async def test_what_goes_live_at_once_waits_no_longer(client: AsyncClient, journey: Journey) -> None:
    listing = await proposed(client, journey, make="Kia", model_year=2014)
    async with database.transaction() as session:
        await session.execute(update(User).where(User.id == journey.owner.id).values(is_trusted=True))
    changed = (await patch(client, journey.owner, listing, vehicle=SUZUKI)).json()
    assert changed["vehicle"]["make"] == "Suzuki"
    assert changed["pending_change"]["fields"] == {"vehicle": {"model_year": 2014}}
    changed = (await patch(client, journey.owner, listing, vehicle={"model_year": 2012})).json()
    assert (changed["vehicle"]["model_year"], changed["pending_change"]) == (2012, None)


async def test_an_approved_change_is_found_told_and_another_asset(client: AsyncClient, journey: Journey) -> None:
    listing = await proposed(client, journey, make="Suzuki", vin=VIN)
    assert [item["id"] for item in (await client.get("/api/v1/vehicles?q=suzuki")).json()["items"]] == []
    await decide(client, journey.first, listing, "approve")
    found = (await client.get("/api/v1/vehicles", params={"q": "suzuki"})).json()["items"]
    assert [item["id"] for item in found] == [listing["id"]]
    history = (await client.get(f"/api/v1/listings/{listing['id']}/history")).json()
    assert [(change["what"], change["fields"]) for change in history["changes"]] == [
        ("published", []),
        ("edited", ["vehicle.make", "vehicle.vin"]),
    ]
    assert [len(spell.asset_keys) for spell in await stored.spells_of(listing["id"])] == [0, 1]


async def test_of_approving_rejecting_and_taking_back_one_wins(
    committed: None, client: AsyncClient, journey: Journey
) -> None:
    for _ in range(3):
        listing = await proposed(client, journey)
        answers = await asyncio.gather(
            decide(client, journey.first, listing, "approve"),
            decide(client, journey.second, listing, "reject"),
            decide(client, journey.second, listing, "approve"),
            drop(client, journey.owner, listing),
        )
        lost = [answer for answer in answers if not answer.is_success]
        assert [(answer.status_code, answer.json()["code"]) for answer in lost] == [(409, "no_pending_change")] * 3
        is_approved = answers[0].is_success or answers[2].is_success
        seen = await journey.seen(listing["id"])
        assert (seen["vehicle"]["make"], seen["pending_change"]) == ("Suzuki" if is_approved else "Toyota", None)


async def test_of_approving_and_changing_what_was_read_one_wins(
    committed: None, client: AsyncClient, journey: Journey
) -> None:
    for _ in range(3):
        listing = await proposed(client, journey)
        read = await client.get(url(listing), headers=journey.first.headers)
        headers = {**journey.owner.headers, "If-Match": read.headers["ETag"]}
        approved, patched = await asyncio.gather(
            decide(client, journey.first, listing, "approve", read.headers["ETag"]),
            client.patch(url(listing), json={"vehicle": {"make": "Ferrari"}}, headers=headers),
        )
        assert {approved.status_code, patched.status_code} == {200, 412}
        seen = await journey.seen(listing["id"])
        if approved.is_success:
            assert (seen["vehicle"]["make"], seen["pending_change"]) == ("Suzuki", None)
        else:
            assert seen["vehicle"]["make"] == "Toyota"
            assert seen["pending_change"]["fields"] == {"vehicle": {"make": "Ferrari"}}


async def test_of_approving_and_closing_nothing_is_left_waiting(
    committed: None, client: AsyncClient, journey: Journey
) -> None:
    for _ in range(3):
        listing = await proposed(client, journey)
        approved, closed = await asyncio.gather(
            decide(client, journey.first, listing, "approve"), journey.take("close", listing["id"])
        )
        assert closed.is_done
        assert approved.status_code in (200, 409)
        seen = await journey.seen(listing["id"])
        assert (seen["status"], seen["pending_change"]) == ("sold", None)
        assert seen["vehicle"]["make"] == ("Suzuki" if approved.is_success else "Toyota")


async def test_D08_reading_and_proposing_take_a_bounded_number_of_queries(
    client: AsyncClient, journey: Journey, count_queries: Any
) -> None:
    listing = await proposed(client, journey)
    with count_queries() as statements:
        await client.get(url(listing), headers=journey.owner.headers)
    assert len(statements) == 1, statements
    with count_queries() as statements:
        await patch(client, journey.owner, listing, vehicle={"make": "Kia"})
    # Lock, details, owner; what waits, read and written; the version; the fact and its message; the answer.
    assert len(statements) <= 9, statements
