"""Who decides on a listing, and what the owner is told."""

import pytest
from httpx import AsyncClient
from sqlalchemy import select

from src.core import database
from src.core.audit import AuditEntry
from src.core.security import Role
from src.users.models import UserStatus
from tests.factories import World
from tests.listings import stored
from tests.listings.journeys import MODERATOR, Journey

STATE = {
    "approve": "pending_review",
    "request-changes": "pending_review",
    "reject": "pending_review",
    "suspend": "published",
    "restore": "suspended",
}
BODY = {"reason": "The photos show another car."}


@pytest.mark.parametrize("action", MODERATOR)
async def test_only_moderators_decide(
    manual_review: None, client: AsyncClient, world: World, journey: Journey, action: str
) -> None:
    others = [await world.person(role) for role in (Role.USER, Role.BROKER)]
    listing_id = await journey.start(STATE[action])
    async with stored.nothing_changes():
        for person in (*others, journey.owner):
            answer = await client.post(f"/api/v1/listings/{listing_id}/{action}", json=BODY, headers=person.headers)
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize("action", MODERATOR)
async def test_a_moderator_does_not_decide_on_their_own_listing(
    manual_review: None, journey: Journey, action: str
) -> None:
    owner = journey.first
    other = Journey(journey.client, owner=owner, first=journey.second, second=journey.owner)
    listing_id = await other.start(STATE[action])
    async with stored.nothing_changes():
        outcome = await other.take(action, listing_id, by=owner)
    assert (outcome.status, outcome.code) == (403, "own_listing")


@pytest.mark.parametrize("role", [Role.MODERATOR, Role.ADMIN])
async def test_a_suspended_moderator_decides_nothing(
    manual_review: None, client: AsyncClient, world: World, journey: Journey, role: Role
) -> None:
    fallen, listing_id = await world.person(role, UserStatus.SUSPENDED), await journey.start("pending_review")
    async with stored.nothing_changes():
        answer = await client.post(f"/api/v1/listings/{listing_id}/approve", headers=fallen.headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "account_suspended")
    assert (await client.get(f"/api/v1/listings/{listing_id}", headers=fallen.headers)).status_code == 404


@pytest.mark.parametrize("state", ["rejected", "suspended"])
async def test_an_appeal_is_heard_by_another_moderator(manual_review: None, journey: Journey, state: str) -> None:
    listing_id = await journey.start(state)
    async with stored.nothing_changes():
        refusal = await journey.take("restore", listing_id, by=journey.first)
    assert (refusal.status, refusal.code) == (403, "same_moderator")
    assert (await journey.take("restore", listing_id, by=journey.second)).is_done
    assert (await journey.seen(listing_id))["status"] == ("pending_review" if state == "rejected" else "published")


@pytest.mark.parametrize("action", ["request-changes", "reject", "suspend", "restore"])
async def test_the_owner_reads_why(manual_review: None, client: AsyncClient, journey: Journey, action: str) -> None:
    listing_id = await journey.start(STATE[action])
    judge = journey.second if action == "restore" else journey.first
    decided = await client.post(f"/api/v1/listings/{listing_id}/{action}", json=BODY, headers=judge.headers)
    assert decided.status_code == 200
    decision = (await journey.seen(listing_id))["decision"]
    assert (decision["action"], decision["reason"]) == (action, BODY["reason"])
    assert str(judge.id) not in str(await journey.seen(listing_id))


BAD_BODIES: tuple[tuple[object, str], ...] = (
    (None, ""),
    ({}, "/reason"),
    ({"reason": " ? "}, "/reason"),
    ({"reason": "x" * 2001}, "/reason"),
    ({"reason": None}, "/reason"),
    ({"reason": "Long enough", "status": "published"}, "/status"),
)


@pytest.mark.parametrize("action", ["request-changes", "reject", "suspend", "restore"])
async def test_a_decision_needs_a_reason(
    manual_review: None, client: AsyncClient, journey: Journey, action: str
) -> None:
    listing_id = await journey.start(STATE[action])
    url = f"/api/v1/listings/{listing_id}/{action}"
    for body, pointer in BAD_BODIES:
        async with stored.nothing_changes():
            answer = await client.post(url, json=body, headers=journey.second.headers)
        assert answer.status_code == 422, body
        assert [field["pointer"] for field in answer.json()["errors"]] == [pointer], body


async def test_decisions_are_in_the_audit_log(manual_review: None, journey: Journey) -> None:
    listing_id = await journey.start("pending_review")
    await journey.take("approve", listing_id)
    async with database.transaction() as session:
        entry = (await session.scalars(select(AuditEntry).where(AuditEntry.action == "listing.approve"))).one()
    assert (entry.actor_id, str(entry.subject_id)) == (journey.first.id, listing_id)
