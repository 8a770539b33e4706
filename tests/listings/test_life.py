"""Z06 and the state machine: the table of `domain.md`, written out again here and compared with what happens."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from httpx import AsyncClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.core import clock, database
from src.core.security import Role, Standing, issue_access_token
from src.listings.models import HoldReason
from tests.factories import Person, vehicle_data
from tests.listings import stored
from tests.listings.journeys import ACTIONS, MODERATOR, PENDING, PROPOSE, PUBLIC, ROUTES, SYSTEM, Journey

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


# Where what makes it another thing waits for a moderator, and where that wait may end how.
WAITS = ("published", "on_hold")
ENDS: dict[str, tuple[str, ...]] = {
    "approve-change": ("published", "on_hold"),
    "reject-change": ("published", "reserved", "on_hold"),
    "drop-change": ("published", "reserved", "on_hold"),
}
OVER = ("sold", "rented", "withdrawn", "expired")
AWAY = ("on_hold", "suspended")


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


@pytest.mark.parametrize("state", TABLE)
async def test_Z06_a_change_that_does_not_wait_is_not_decided_on(
    manual_review: None, journey: Journey, state: str
) -> None:
    listing_id = await journey.start(state)
    async with stored.nothing_changes():
        for action, states in ENDS.items():
            outcome = await journey.take(action, listing_id)
            wanted = "no_pending_change" if state in states else "listing_wrong_state"
            assert (outcome.status, outcome.code) == (409, wanted), action
            if wanted == "listing_wrong_state":
                assert state in outcome.detail, action
                assert action in outcome.detail, action


def test_the_table_knows_every_state_and_action() -> None:
    assert set(TABLE) == set(ROUTES)
    assert set(FACTS) == set(ACTIONS)


TOLD = {"held": "paused", "suspended": "paused", "restored": "resumed"}


@dataclass
class Market:
    """What everybody could see: days, how often it came, and the change feed."""

    days: int = 0
    times: int = 0
    was_published: bool = False
    told: list[str] = field(default_factory=list)
    untold: list[str] = field(default_factory=list)

    def move(self, action: str, source: str, target: str, fact: str) -> None:
        """Remember a move, or an edit."""
        if action == "edit":
            self.edit(source)
            return
        if action == "relist":
            self.was_published = False
        if target in PUBLIC and source not in PUBLIC:
            self.times += source not in AWAY
            self.told += self.untold
            self.untold, self.was_published = [], True
        if source in PUBLIC or target in PUBLIC:
            name = fact.removeprefix("listing.")
            self.told.append(target if name == "closed" else TOLD.get(name, name))

    def edit(self, status: str) -> None:
        """What changes while nobody sees it is told when they do; of drafts, nothing is."""
        if self.was_published:
            (self.told if status in PUBLIC else self.untold).append("edited")


@dataclass
class Model:
    """What a listing's state should be, kept beside the real one."""

    is_reviewed: bool
    closed: str
    status: str = "draft"
    reasons: set[str] = field(default_factory=set)
    is_edited: bool = False
    is_waiting: bool = False
    before_suspension: str = ""
    decided_by: Person | None = None
    facts: list[str] = field(default_factory=lambda: ["listing.created"])
    market: Market = field(default_factory=Market)

    def expected(self, action: str, judge: Person, reason: HoldReason) -> str:
        """The state afterwards, or the code of the refusal."""
        if action in ENDS:
            return self.end_of_wait(action)
        if action not in TABLE[self.status]:
            return "listing_wrong_state"
        if action == "submit" and self.status == "rejected" and not self.is_edited:
            return "listing_not_edited"
        if action == "restore" and self.decided_by is not None and judge.id == self.decided_by.id:
            return "same_moderator"
        if action in ("resume", "lift") and (reason if action == "lift" else "owner") not in self.reasons:
            return "listing_wrong_state"
        return self.target(action, reason)

    def end_of_wait(self, action: str) -> str:
        """The same for what becomes of a pending change."""
        if self.status not in ENDS[action]:
            return "listing_wrong_state"
        return self.status if self.is_waiting else "no_pending_change"

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
        if action in (*MODERATOR, "approve-change", "reject-change"):
            self.decided_by = judge
        if action == "edit":
            self.is_edited = True
        elif action in ("approve", "reject") or (action == "submit" and target == "published"):
            self.is_edited = False
        self.facts.append(self.fact(action, target))
        self.market.move(action, self.status, target, self.facts[-1])
        if self.is_waiting and target in OVER:
            self.facts.append("listing.change_dropped")
            self.is_waiting = False
        self.status = target

    def propose(self) -> None:
        """Remember that it waits."""
        self.is_waiting = True
        self.facts.append("listing.change_submitted")

    def end(self, action: str, judge: Person) -> None:
        """Remember what became of it."""
        self.is_waiting = False
        self.facts.append({"approve-change": "approved", "reject-change": "rejected"}.get(action, "dropped"))
        self.facts[-1] = f"listing.change_{self.facts[-1]}"
        if action != "drop-change":
            self.decided_by = judge
        if action == "approve-change":
            self.facts.append("listing.edited")
            self.market.edit(self.status)

    def fact(self, action: str, target: str) -> str:
        """What is announced."""
        if action == "renew" and target == "pending_review":
            return "listing.submitted"
        return "listing.published" if action == "submit" and target == "published" else FACTS[action]


def refreshed(person: Person, role: Role) -> Person:
    """The same person with a token that is valid now."""
    token, _ = issue_access_token(person.id, database.new_id(), role, Standing.GOOD)
    return replace(person, headers={"Authorization": f"Bearer {token}"})


def pass_days(journey: Journey, model: Model, days: int) -> None:
    """Let time pass, which is time on the market if the listing is public."""
    clock.advance(timedelta(days=days))
    model.market.days += days if model.status in PUBLIC else 0
    journey.owner = refreshed(journey.owner, Role.USER)
    journey.first, journey.second = (refreshed(judge, Role.MODERATOR) for judge in (journey.first, journey.second))


def drawn(data: st.DataObject, journey: Journey, model: Model) -> tuple[str, Person, HoldReason]:
    """What to try next: mostly what may be done."""
    allowed = {*TABLE[model.status], *((PROPOSE, *PENDING) if model.status in WAITS else ())}
    likely = sorted(allowed - {"delete", "archive"})
    anything = st.sampled_from((*ACTIONS, PROPOSE, *PENDING))
    action = data.draw(st.sampled_from(likely) | anything if likely else anything)
    judge = data.draw(st.sampled_from([journey.first, journey.second])) if action in MODERATOR else journey.first
    reason = data.draw(st.sampled_from([HoldReason.LICENCE, HoldReason.COMPANY])) if action in SYSTEM else "licence"
    return action, judge, HoldReason(reason)


async def assert_step(data: st.DataObject, journey: Journey, model: Model, listing_id: str) -> bool:
    """Try something, and find that the listing does what the model does; whether it is still there."""
    action, judge, reason = drawn(data, journey, model)
    # Where nothing waits for a moderator it is an edit like any other.
    waits = action == PROPOSE and model.is_reviewed and model.status in WAITS
    meant = "edit" if action == PROPOSE else action
    expected = model.expected(meant, judge, reason)
    outcome = await journey.take(action, listing_id, judge, reason)
    assert (outcome.code or "done") == (expected if expected not in {*TABLE, "gone"} else "done"), action
    if outcome.is_done and waits:
        model.propose()
    elif outcome.is_done and action in PENDING:
        model.end(action, judge)
    elif outcome.is_done:
        model.move(meant, expected, judge, reason)
    return expected != "gone"


async def assert_agrees(journey: Journey, model: Model, listing_id: str) -> None:
    """Assert that what is stored and shown is what the model says."""
    row, seen = await stored.row_of(listing_id), await journey.seen(listing_id)
    assert (row["status"], set(row["hold_reasons"])) == (model.status, model.reasons)
    assert (seen["pending_change"] is not None) == model.is_waiting
    spells = await stored.spells_of(listing_id)
    is_open = [spell.ended_at is None for spell in spells]
    assert is_open == [False] * (len(spells) - 1) + [model.status in PUBLIC] * bool(spells)
    assert row["is_public"] == any(is_open) == (model.status in PUBLIC)


async def assert_history_agrees(journey: Journey, model: Model, listing_id: str) -> None:
    """Assert that the history is the model's."""
    answer = await journey.client.get(f"/api/v1/listings/{listing_id}/history", headers=journey.owner.headers)
    found: dict[str, Any] = answer.json()
    assert (found["days_on_market"], found["cumulative_days_on_market"]) == (model.market.days,) * 2
    assert found["times_listed"] == model.market.times
    assert [change["what"] for change in found["changes"]] == model.market.told


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
    is_there = True
    for _ in range(data.draw(st.integers(5, 25), label="steps")):
        if days := data.draw(st.sampled_from([0, 0, 1, 3]), label="days"):
            pass_days(journey, model, days)
        is_there = await assert_step(data, journey, model, listing_id)
        if not is_there:
            break
        await assert_agrees(journey, model, listing_id)
    assert await stored.events_of(listing_id) == model.facts
    if is_there:
        await assert_history_agrees(journey, model, listing_id)
    public = await client.get(f"/api/v1/listings/{listing_id}")
    assert public.status_code == (200 if model.status in PUBLIC else 404)
