"""The life of a listing as data: only these edges exist (see `domain.md`, Listing life)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from src.listings.errors import ListingWrongState
from src.listings.models import Listing
from src.listings.models import ListingStatus as S


class Action(StrEnum):
    """Everything that moves or changes a listing; for what moves it, this is the last segment of the endpoint."""

    SUBMIT = "submit"
    APPROVE = "approve"
    REQUEST_CHANGES = "request-changes"
    REJECT = "reject"
    RESTORE = "restore"
    PAUSE = "pause"
    RESUME = "resume"
    HOLD = "hold"
    LIFT = "lift"
    RESERVE = "reserve"
    RELEASE = "release"
    CLOSE = "close"
    WITHDRAW = "withdraw"
    EXPIRE = "expire"
    RENEW = "renew"
    RELIST = "relist"
    SUSPEND = "suspend"
    ARCHIVE = "archive"
    DELETE = "delete"
    EDIT = "edit"
    APPROVE_CHANGE = "approve-change"
    REJECT_CHANGE = "reject-change"
    DROP_CHANGE = "drop-change"


class Who(StrEnum):
    """Who may take an action."""

    OWNER = "owner"
    MODERATOR = "moderator"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Edge:
    """From any of `sources`, the action leads to one of `targets`."""

    action: Action
    who: Who
    sources: frozenset[S]
    targets: frozenset[S]


def _edge(action: Action, who: Who, sources: set[S], targets: set[S]) -> Edge:
    return Edge(action, who, frozenset(sources), frozenset(targets))


_UNSUBMITTED = {S.DRAFT, S.CHANGES_REQUESTED, S.REJECTED}
_LIVE = {S.PUBLISHED, S.RESERVED, S.ON_HOLD}

EDGES: tuple[Edge, ...] = (
    _edge(Action.SUBMIT, Who.OWNER, {S.DRAFT, S.CHANGES_REQUESTED}, {S.PENDING_REVIEW, S.PUBLISHED}),
    _edge(Action.SUBMIT, Who.OWNER, {S.REJECTED}, {S.PENDING_REVIEW}),
    _edge(Action.APPROVE, Who.MODERATOR, {S.PENDING_REVIEW}, {S.PUBLISHED}),
    _edge(Action.REQUEST_CHANGES, Who.MODERATOR, {S.PENDING_REVIEW}, {S.CHANGES_REQUESTED}),
    _edge(Action.REJECT, Who.MODERATOR, {S.PENDING_REVIEW}, {S.REJECTED}),
    _edge(Action.RESTORE, Who.MODERATOR, {S.REJECTED}, {S.PENDING_REVIEW}),
    _edge(Action.RESTORE, Who.MODERATOR, {S.SUSPENDED}, _LIVE),
    _edge(Action.PAUSE, Who.OWNER, {S.PUBLISHED}, {S.ON_HOLD}),
    _edge(Action.RESUME, Who.OWNER, {S.ON_HOLD}, {S.PUBLISHED, S.ON_HOLD}),
    _edge(Action.HOLD, Who.SYSTEM, {S.PUBLISHED, S.ON_HOLD}, {S.ON_HOLD}),
    _edge(Action.LIFT, Who.SYSTEM, {S.ON_HOLD}, {S.PUBLISHED, S.ON_HOLD}),
    _edge(Action.RESERVE, Who.OWNER, {S.PUBLISHED}, {S.RESERVED}),
    _edge(Action.RELEASE, Who.OWNER, {S.RESERVED}, {S.PUBLISHED}),
    _edge(Action.CLOSE, Who.OWNER, {S.PUBLISHED, S.RESERVED}, {S.SOLD, S.RENTED}),
    _edge(Action.WITHDRAW, Who.OWNER, {S.PUBLISHED, S.ON_HOLD}, {S.WITHDRAWN}),
    _edge(Action.EXPIRE, Who.SYSTEM, {S.PUBLISHED, S.ON_HOLD}, {S.EXPIRED}),
    _edge(Action.RENEW, Who.OWNER, {S.PUBLISHED}, {S.PUBLISHED}),
    _edge(Action.RENEW, Who.OWNER, {S.EXPIRED, S.WITHDRAWN}, {S.PUBLISHED, S.PENDING_REVIEW}),
    _edge(Action.RELIST, Who.OWNER, {S.RENTED}, {S.DRAFT}),
    _edge(Action.SUSPEND, Who.MODERATOR, _LIVE, {S.SUSPENDED}),
    _edge(Action.ARCHIVE, Who.SYSTEM, {S.SOLD, S.RENTED, S.WITHDRAWN, S.EXPIRED, S.REJECTED}, {S.ARCHIVED}),
)

# What everybody sees; `Listing.is_public` says the same in SQL.
PUBLIC = frozenset({S.PUBLISHED, S.RESERVED})
# What was published, and what it offers is not changed without a moderator.
REVIEWED = frozenset({S.PUBLISHED, S.ON_HOLD})
# Whatever waited for a moderator is forgotten here: the listing has left the market.
OVER = frozenset({S.SOLD, S.RENTED, S.WITHDRAWN, S.EXPIRED})

# So many days before its time runs out, the owner is told.
WARNINGS = (7, 1)
# What is over for so long is archived.
ARCHIVED_AFTER = timedelta(days=90)

# What happens to a listing without moving it.
_IN_PLACE: dict[Action, frozenset[S]] = {
    Action.DELETE: frozenset(_UNSUBMITTED),
    # Not while a moderator is reading it, somebody has a claim on it, or its life is over.
    Action.EDIT: frozenset(_UNSUBMITTED | {S.PUBLISHED, S.ON_HOLD, S.WITHDRAWN, S.EXPIRED}),
    # Not under somebody who has a claim on what is offered.
    Action.APPROVE_CHANGE: REVIEWED,
    Action.REJECT_CHANGE: frozenset(_LIVE),
    Action.DROP_CHANGE: frozenset(_LIVE),
}


def targets(action: Action, source: str) -> frozenset[S]:
    """Where the action may lead from this state; empty if it may not be taken."""
    return frozenset(
        target for edge in EDGES if edge.action is action and source in edge.sources for target in edge.targets
    )


def sources(action: Action) -> frozenset[S]:
    """The states in which the action may be taken."""
    if action in _IN_PLACE:
        return _IN_PLACE[action]
    return frozenset(source for edge in EDGES if edge.action is action for source in edge.sources)


def require(listing: Listing, action: Action) -> None:
    """Raises ListingWrongState, naming the state and the action, where there is no such edge."""
    if listing.status not in sources(action):
        raise ListingWrongState(f"A listing that is {listing.status} does not take the action {action}")


def timer_of(listing: Listing) -> datetime | None:
    """When time alone does the next thing to a listing: has its owner warned, expires or archives it.

    While its owner pauses it the clock stands still.
    """
    if listing.status in sources(Action.ARCHIVE):
        return listing.moved_at + ARCHIVED_AFTER
    if listing.status in sources(Action.EXPIRE) and listing.held_at is None and listing.expires_at is not None:
        return listing.expires_at - timedelta(days=listing.warning_days)
    return None


def first_warning(now: datetime, expires_at: datetime) -> int:
    """The first warning that is ahead, in days before the end; 0 where none is."""
    return next((days for days in WARNINGS if now < expires_at - timedelta(days=days)), 0)


def next_warning(given: int) -> int:
    """The warning that follows on one; 0 where none does."""
    return next((days for days in WARNINGS if days < given), 0)
