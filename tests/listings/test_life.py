"""Z06 and the state machine: the table of `domain.md`, written out again here and compared with what happens."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from httpx import AsyncClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.listings.models import HoldReason
from tests.factories import Person, vehicle_data
from tests.listings import stored
from tests.listings.journeys import ACTIONS, MODERATOR, PUBLIC, ROUTES, SYSTEM, Journey

# From the states that `journeys.ROUTES` leads to, where listings are reviewed. "on_hold" is by owner and licence.
TABLE: dict[str, dict[str, str]] = {
    "draft": {"submit": "pending_review", "edit": "draft", "delete": "gone"},
    "pending_review": {"approve": "published", "request-changes": "changes_requested", "reject": "rejected"},
    "changes_requested": {"submit": "pending_review", "edit": "changes_requested", "delete": "gone"},
    "rejected": {
        "submit": "pending_review",
        "restore": "pending_review",
        "archive": "archived",
        "edit": "rejected",
        "delete": "gone",
    },
    "published": {
        "pause": "on_hold",
        "hold": "on_hold",
        "reserve": "reserved",
        "close": "sold",
        "withdraw": "withdrawn",
        "expire": "expired",
        "renew": "published",
        "suspend": "suspended",
        "edit": "published",
    },
    "reserved": {"release": "published", "close": "sold", "suspend": "suspended"},
    "on_hold": {
        "resume": "on_hold",
        "hold": "on_hold",
        "lift": "on_hold",
        "withdraw": "withdrawn",
        "expire": "expired",
        "suspend": "suspended",
        "edit": "on_hold",
    },
    "sold": {"archive": "archived"},
    "rented": {"relist": "draft", "archive": "archived"},
    "withdrawn": {"renew": "published", "archive": "archived", "edit": "withdrawn"},
    "expired": {"renew": "published", "archive": "archived", "edit": "expired"},
    "suspended": {"restore": "published"},
    "archived": {},
}

FACTS = {
    "submit": "listing.submitted",
    "approve": "listing.published",
    "request-changes": "listing.changes_requested",
    "reject": "listing.rejected",
    "restore": "listing.restored",
    "pause": "listing.held",
    "hold": "listing.held",
    "resume": "listing.resumed",
    "lift": "listing.resumed",
    "reserve": "listing.reserved",
    "release": "listing.released",
    "close": "listing.closed",
    "withdraw": "listing.withdrawn",
    "expire": "listing.expired",
    "renew": "listing.renewed",
    "relist": "listing.relisted",
    "suspend": "listing.suspended",
    "archive": "listing.archived",
    "edit": "listing.edited",
    "delete": "listing.deleted",
}


@pytest.mark.parametrize("state", TABLE)
async def test_each_allowed_action_leads_where_the_table_says_and_leaves_one_fact(
    manual_review: None, journey: Journey, state: str
) -> None:
    for action, target in TABLE[state].items():
        listing_id = await journey.start(state)
        before = await stored.events_of(listing_id)
        outcome = await journey.take(action, listing_id)
        assert outcome.is_done, (action, outcome)
        assert await stored.events_of(listing_id) == [*before, FACTS[action]]
        if target != "gone":
            assert (await journey.seen(listing_id))["status"] == target, action


@pytest.mark.parametrize("state", TABLE)
async def test_Z06_any_other_pair_is_a_conflict_naming_both_and_changes_nothing(
    manual_review: None, journey: Journey, state: str
) -> None:
    listing_id = await journey.start(state)
    assert (await journey.seen(listing_id))["status"] == state
    async with stored.nothing_changes():
        for action in set(ACTIONS) - set(TABLE[state]):
            outcome = await journey.take(action, listing_id)
            assert (outcome.status, outcome.code) == (409, "listing_wrong_state"), action
            assert state in outcome.detail, action
            assert action in outcome.detail, action


def test_the_table_knows_every_state_and_action() -> None:
    assert set(TABLE) == set(ROUTES)
    assert set(FACTS) == set(ACTIONS)


@dataclass
class Model:
    """What a listing's state should be, kept beside the real one."""

    is_reviewed: bool
    closed: str
    status: str = "draft"
    reasons: set[str] = field(default_factory=set)
    is_edited: bool = False
    before_suspension: str = ""
    decided_by: Person | None = None
    facts: list[str] = field(default_factory=lambda: ["listing.created"])

    def expected(self, action: str, judge: Person, reason: HoldReason) -> str:
        """The state afterwards, or the code of the refusal."""
        if action not in TABLE[self.status]:
            return "listing_wrong_state"
        if action == "submit" and self.status == "rejected" and not self.is_edited:
            return "listing_not_edited"
        if action == "restore" and judge is self.decided_by:
            return "same_moderator"
        if action in ("resume", "lift") and (reason if action == "lift" else "owner") not in self.reasons:
            return "listing_wrong_state"
        return self.target(action, reason)

    def target(self, action: str, reason: HoldReason) -> str:
        """Where an allowed action leads."""
        if action in ("resume", "lift"):
            return "on_hold" if self.reasons - {reason if action == "lift" else "owner"} else "published"
        if action == "submit" and self.status != "rejected" and not self.is_reviewed:
            return "published"
        if action == "renew" and self.status != "published" and self.is_reviewed and self.is_edited:
            return "pending_review"
        if action == "restore" and self.status == "suspended":
            return self.before_suspension
        return self.closed if action == "close" else TABLE[self.status][action]

    def move(self, action: str, target: str, judge: Person, reason: HoldReason) -> None:
        """Remember what was done."""
        added: dict[str, set[str]] = {"pause": {"owner"}, "hold": {reason}}
        removed: dict[str, set[str]] = {"resume": {"owner"}, "lift": {reason}}
        self.reasons = (self.reasons | added.get(action, set())) - removed.get(action, set())
        if target in ("withdrawn", "expired") and action != "edit":
            self.reasons = set()
        if action == "suspend":
            self.before_suspension = self.status
        if action in MODERATOR:
            self.decided_by = judge
        if action == "edit":
            self.is_edited = True
        elif action in ("approve", "reject") or (action == "submit" and target == "published"):
            self.is_edited = False
        self.facts.append(self.fact(action, target))
        self.status = target

    def fact(self, action: str, target: str) -> str:
        """What is announced."""
        if action == "renew" and target == "pending_review":
            return "listing.submitted"
        return "listing.published" if action == "submit" and target == "published" else FACTS[action]


@settings(max_examples=8, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_a_random_walk_through_a_life_agrees_with_the_model(
    journey: Journey, client: AsyncClient, reviewed: Callable[[str], None], data: st.DataObject
) -> None:
    review = data.draw(st.sampled_from(["manual", "auto"]), label="review")
    purpose = data.draw(st.sampled_from(["sale", "rent"]), label="purpose")
    reviewed(review)
    listing_id = await journey.start("draft", vehicle_data(purpose=purpose))
    model = Model(is_reviewed=review == "manual", closed="sold" if purpose == "sale" else "rented")
    for _ in range(data.draw(st.integers(5, 25), label="steps")):
        allowed = sorted(set(TABLE[model.status]) - {"delete", "archive"})
        action = data.draw(st.sampled_from(allowed) | st.sampled_from(ACTIONS) if allowed else st.sampled_from(ACTIONS))
        judge = data.draw(st.sampled_from([journey.first, journey.second])) if action in MODERATOR else journey.first
        reason = data.draw(st.sampled_from([HoldReason.LICENCE, HoldReason.COMPANY])) if action in SYSTEM else "licence"
        expected = model.expected(action, judge, HoldReason(reason))
        outcome = await journey.take(action, listing_id, judge, HoldReason(reason))
        assert (outcome.code or "done") == (expected if expected not in {*TABLE, "gone"} else "done"), action
        if outcome.is_done:
            model.move(action, expected, judge, HoldReason(reason))
        if expected == "gone":
            break
        row = await stored.row_of(listing_id)
        assert (row["status"], set(row["hold_reasons"])) == (model.status, model.reasons)
    assert await stored.events_of(listing_id) == model.facts
    public = await client.get(f"/api/v1/listings/{listing_id}")
    assert public.status_code == (200 if model.status in PUBLIC else 404)
