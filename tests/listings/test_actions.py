"""What the actions do beside moving a listing: clocks, reasons, prices, completeness."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from httpx import AsyncClient
from sqlalchemy import update

from src.core import clock, database
from src.core.security import Role
from src.listings.models import HoldReason
from src.users.models import User
from tests.factories import Person, World, property_data, vehicle_data
from tests.listings import stored
from tests.listings.journeys import Journey

LIFETIME = timedelta(days=60)


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def is_about(measured: timedelta, wanted: timedelta) -> bool:
    return abs(measured - wanted) < timedelta(minutes=1)


async def refused(client: AsyncClient, owner: Person, listing: dict[str, Any], action: str) -> dict[str, Any]:
    """The problem that the action is answered with, having changed nothing."""
    async with stored.nothing_changes():
        answer = await client.post(f"/api/v1/listings/{listing['id']}/{action}", headers=owner.headers)
    assert answer.status_code >= 400, answer.text
    problem: dict[str, Any] = answer.json()
    return problem


async def test_publication_starts_the_clock(world: World) -> None:
    owner = await world.person()
    draft = await world.draft(owner)
    assert (draft["status"], draft["published_at"], draft["expires_at"]) == ("draft", None, None)
    listing = await world.act(owner, draft, "submit")
    assert is_about(instant(listing["published_at"]) - clock.now(), timedelta())
    assert is_about(instant(listing["expires_at"]) - clock.now(), LIFETIME)


async def test_an_incomplete_vehicle_is_refused_naming_everything_it_lacks(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    draft = await world.draft(owner, {"title": "A car", "purpose": "sale", "vehicle": {}})
    problem = await refused(client, owner, draft, "submit")
    assert (problem["status"], problem["code"]) == (422, "listing_incomplete")
    lacking = ["/location/city", "/location/country", "/price", "/vehicle/make", "/vehicle/mileage"]
    assert sorted(field["pointer"] for field in problem["errors"]) == [*lacking, "/vehicle/model_year"]


async def test_an_incomplete_property_is_refused_naming_everything_it_lacks(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    draft = await world.draft(owner, {"title": "A flat", "purpose": "rent", "property": {"bedrooms_total": 2}})
    problem = await refused(client, owner, draft, "submit")
    assert {field["pointer"] for field in problem["errors"]} == {
        "/price",
        "/location/country",
        "/location/city",
        "/property/property_type",
        "/property/living_area_m2",
    }


async def test_a_new_vehicle_has_no_mileage_to_tell(world: World) -> None:
    owner = await world.person()
    vehicle = {"make": "BYD", "model_year": 2026, "item_condition": "new"}
    assert (await world.published(owner, vehicle_data(vehicle=vehicle)))["status"] == "published"


async def test_land_needs_its_lot_and_no_living_area(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    draft = await world.draft(owner, property_data(property={"property_type": "land", "living_area_m2": 20}))
    problem = await refused(client, owner, draft, "submit")
    assert [field["pointer"] for field in problem["errors"]] == ["/property/lot_size_m2"]
    land = await world.published(owner, property_data(property={"property_type": "land", "lot_size_m2": 500}))
    assert land["status"] == "published"


async def test_a_trusted_owner_is_published_unseen_where_listings_are_reviewed(
    manual_review: None, world: World
) -> None:
    newcomer, trusted = await world.person(), await world.person()
    async with database.transaction() as session:
        await session.execute(update(User).where(User.id == trusted.id).values(is_trusted=True))
    assert (await world.published(newcomer))["status"] == "pending_review"
    assert (await world.published(trusted))["status"] == "published"


async def test_a_rejected_listing_is_submitted_again_only_after_an_edit(
    manual_review: None, client: AsyncClient, journey: Journey
) -> None:
    listing_id = await journey.start("pending_review")
    await journey.take("reject", listing_id)
    problem = await refused(client, journey.owner, {"id": listing_id}, "submit")
    assert (problem["status"], problem["code"]) == (409, "listing_not_edited")
    await journey.take("edit", listing_id)
    assert (await journey.take("submit", listing_id)).is_done
    assert (await journey.seen(listing_id))["status"] == "pending_review"


async def test_an_edit_that_changes_nothing_does_not_count_as_one(
    manual_review: None, client: AsyncClient, journey: Journey
) -> None:
    listing_id = await journey.start("pending_review")
    await journey.take("reject", listing_id)
    title = (await journey.seen(listing_id))["title"]
    same = await client.patch(
        f"/api/v1/vehicles/{listing_id}", json={"title": title}, headers={**journey.owner.headers, "If-Match": "*"}
    )
    assert same.status_code == 200
    assert (await refused(client, journey.owner, {"id": listing_id}, "submit"))["code"] == "listing_not_edited"


async def test_a_rejected_listing_is_reviewed_again_even_where_review_is_automatic(
    manual_review: None, journey: Journey, reviewed: Any
) -> None:
    listing_id = await journey.start("rejected")
    reviewed("auto")
    assert (await journey.take("submit", listing_id)).is_done
    assert (await journey.seen(listing_id))["status"] == "pending_review"


async def test_renewing_adds_to_what_is_left_up_to_two_lifetimes(world: World) -> None:
    owner = await world.person()
    listing = await world.published(owner)
    clock.advance(timedelta(days=20))
    owner = await world.sign_in(owner.id, owner.email)
    renewed = await world.act(owner, listing, "renew")
    assert is_about(instant(renewed["expires_at"]) - clock.now(), timedelta(days=100))
    again = await world.act(owner, listing, "renew")
    assert is_about(instant(again["expires_at"]) - clock.now(), 2 * LIFETIME)
    assert again["published_at"] == listing["published_at"]


async def test_an_expired_listing_renews_from_today(journey: Journey, world: World) -> None:
    listing = await world.published(journey.owner)
    await journey.take("expire", listing["id"])
    clock.advance(timedelta(days=90))
    owner = await world.sign_in(journey.owner.id, journey.owner.email)
    renewed = await world.act(owner, listing, "renew")
    assert renewed["status"] == "published"
    assert is_about(instant(renewed["expires_at"]) - clock.now(), LIFETIME)


async def test_a_withdrawn_listing_that_was_edited_is_reviewed_before_it_returns(
    manual_review: None, journey: Journey, world: World
) -> None:
    listing_id = await journey.start("withdrawn")
    await journey.take("edit", listing_id)
    renewed = await world.act(journey.owner, {"id": listing_id}, "renew")
    assert renewed["status"] == "pending_review"
    assert (await stored.events_of(listing_id))[-1] == "listing.submitted"


async def test_renewing_something_made_incomplete_meanwhile_is_refused(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    listing = await world.published(owner)
    await world.act(owner, listing, "withdraw")
    cleared = await client.patch(
        f"/api/v1/vehicles/{listing['id']}", json={"price": None}, headers={**owner.headers, "If-Match": "*"}
    )
    assert cleared.json()["price"] is None
    problem = await refused(client, owner, listing, "renew")
    assert [field["pointer"] for field in problem["errors"]] == ["/price"]


async def test_withdrawing_a_paused_listing_keeps_the_time_it_was_paused(world: World) -> None:
    owner = await world.person()
    listing = await world.published(owner)
    await world.act(owner, listing, "pause")
    clock.advance(timedelta(days=10))
    owner = await world.sign_in(owner.id, owner.email)
    withdrawn = await world.act(owner, listing, "withdraw")
    assert is_about(instant(withdrawn["expires_at"]) - instant(listing["expires_at"]), timedelta(days=10))


async def test_a_pause_stops_the_expiry_clock(world: World) -> None:
    owner = await world.person()
    listing = await world.published(owner)
    paused = await world.act(owner, listing, "pause")
    assert (paused["status"], paused["hold_reasons"]) == ("on_hold", ["owner"])
    clock.advance(timedelta(days=10))
    owner = await world.sign_in(owner.id, owner.email)
    resumed = await world.act(owner, listing, "resume")
    assert (resumed["status"], resumed["hold_reasons"]) == ("published", [])
    assert is_about(instant(resumed["expires_at"]) - instant(listing["expires_at"]), timedelta(days=10))


async def test_a_lapsed_licence_does_not_stop_the_clock(journey: Journey, world: World) -> None:
    listing = await world.published(journey.owner)
    await journey.take("hold", listing["id"])
    clock.advance(timedelta(days=10))
    await journey.take("lift", listing["id"])
    stored_row = await stored.row_of(listing["id"])
    assert stored_row["expires_at"] == instant(listing["expires_at"])


async def test_a_listing_returns_when_the_last_reason_to_hold_it_goes(journey: Journey, world: World) -> None:
    listing_id = (await world.published(journey.owner))["id"]
    await journey.take("pause", listing_id)
    await journey.take("hold", listing_id, reason=HoldReason.LICENCE)
    await journey.take("hold", listing_id, reason=HoldReason.LICENCE)
    await journey.take("hold", listing_id, reason=HoldReason.COMPANY)
    assert (await journey.seen(listing_id))["hold_reasons"] == ["company", "licence", "owner"]
    for action, reason, left in (
        ("lift", HoldReason.LICENCE, ["company", "owner"]),
        ("resume", HoldReason.OWNER, ["company"]),
    ):
        await journey.take(action, listing_id, reason=reason)
        seen = await journey.seen(listing_id)
        assert (seen["status"], seen["hold_reasons"]) == ("on_hold", left)
    async with stored.nothing_changes():
        refusal = await journey.take("resume", listing_id)
    assert (refusal.status, refusal.code) == (409, "listing_wrong_state")
    assert "on_hold" in refusal.detail
    assert "resume" in refusal.detail
    await journey.take("lift", listing_id, reason=HoldReason.COMPANY)
    seen = await journey.seen(listing_id)
    assert (seen["status"], seen["hold_reasons"]) == ("published", [])


async def test_withdrawing_forgets_why_it_was_held(world: World) -> None:
    owner = await world.person()
    listing = await world.published(owner)
    await world.act(owner, listing, "pause")
    assert (await world.act(owner, listing, "withdraw"))["hold_reasons"] == []
    assert (await world.act(owner, listing, "renew"))["status"] == "published"


async def test_a_listing_suspended_on_hold_returns_on_hold(journey: Journey, world: World) -> None:
    listing = await world.published(journey.owner)
    for action in ("pause", "suspend", "restore"):
        assert (await journey.take(action, listing["id"])).is_done
    seen = await journey.seen(listing["id"])
    assert (seen["status"], seen["hold_reasons"]) == ("on_hold", ["owner"])


@pytest.mark.parametrize(("purpose", "closed"), [("sale", "sold"), ("rent", "rented")])
async def test_the_close_price_is_kept_for_the_owner_alone(
    client: AsyncClient, world: World, purpose: str, closed: str
) -> None:
    owner, moderator = await world.person(), await world.person(Role.MODERATOR)
    listing = await world.published(owner, vehicle_data(purpose=purpose))
    price = {"amount": 170000000, "currency": "ETB"}
    sold = await world.act(owner, listing, "close", price=price)
    assert (sold["status"], sold["close_price"], sold["price"]) == (closed, price, listing["price"])
    assert is_about(instant(sold["closed_at"]) - clock.now(), timedelta())
    read = await client.get(f"/api/v1/listings/{listing['id']}", headers=moderator.headers)
    assert read.json()["close_price"] == price


async def test_closing_without_a_price_keeps_none(world: World) -> None:
    owner = await world.person()
    listing = await world.published(owner)
    await world.act(owner, listing, "reserve")
    assert (await world.act(owner, listing, "close"))["close_price"] is None


async def test_relisting_a_rental_clears_its_last_life(world: World) -> None:
    owner = await world.person()
    listing = await world.published(owner, property_data())
    await world.act(owner, listing, "close", price={"amount": 3400000, "currency": "ETB"})
    draft = await world.act(owner, listing, "relist")
    assert draft["status"] == "draft"
    assert [draft[name] for name in ("published_at", "expires_at", "closed_at", "close_price")] == [None] * 4
    assert (draft["title"], draft["price"]) == (listing["title"], listing["price"])
    assert (await world.act(owner, draft, "submit"))["status"] == "published"


async def test_each_action_makes_a_new_version(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    listing = await world.published(owner)
    url = f"/api/v1/listings/{listing['id']}"
    before = await client.get(url, headers=owner.headers)
    after = await client.post(f"{url}/pause", headers=owner.headers)
    assert before.headers["ETag"] != after.headers["ETag"]
    assert instant(after.json()["updated_at"]) > instant(before.json()["updated_at"])


async def test_a_listing_is_not_closed_in_another_currency(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    listing = await world.published(owner)
    price = {"amount": 185000000, "currency": "USD"}
    async with stored.nothing_changes():
        answer = await client.post(
            f"/api/v1/listings/{listing['id']}/close", json={"price": price}, headers=owner.headers
        )
    assert answer.status_code == 422
    assert [field["pointer"] for field in answer.json()["errors"]] == ["/price/currency"]
