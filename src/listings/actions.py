"""Use cases that move a listing through its life; `life.EDGES` says from where to where."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from src.core import clock
from src.core.config import settings
from src.core.errors import invalid_field
from src.core.events import emit
from src.core.money import Money
from src.core.security import Actor
from src.listings import events, life, market, pending
from src.listings.completeness import missing, require_complete
from src.listings.decisions import decide
from src.listings.errors import ListingNotEdited, ListingWrongState, SameModerator
from src.listings.events import ListingMoved
from src.listings.kinds import Kind
from src.listings.life import Action
from src.listings.models import HoldReason, Listing, ListingDecision, Purpose
from src.listings.models import ListingStatus as S
from src.listings.service import Drafts, add, build, details_of, is_published_unseen, touch


async def _move(session: AsyncSession, listing: Listing, action: Action, target: S, fact: type[ListingMoved]) -> None:
    await _record(session, listing, _moved(listing, action, target, fact))


def _moved(
    listing: Listing, action: Action, target: S, fact: type[ListingMoved], at: datetime | None = None
) -> ListingMoved:
    life.require(listing, action)
    assert target in life.targets(action, listing.status), f"no edge {action} from {listing.status} to {target}"
    moved = fact(listing_id=listing.id, owner_id=listing.owner_id, old_status=listing.status, new_status=target)
    listing.status = target
    listing.moved_at = at or clock.now()
    listing.timer_at = life.timer_of(listing)
    touch(listing)
    return moved


async def _record(session: AsyncSession, listing: Listing, moved: ListingMoved) -> None:
    await session.flush()
    await emit(session, moved)
    await market.follow(session, (listing, moved))
    if moved.new_status in life.OVER:
        await pending.drop(session, listing)


async def submit(session: AsyncSession, listing: Listing) -> None:
    """Hand a draft in: published where review is `auto` or the owner is trusted, else it waits for a moderator.

    Raises:
        ListingWrongState, ListingIncomplete, ListingNotEdited: a rejected listing that nobody changed.
    """
    life.require(listing, Action.SUBMIT)
    require_complete(listing, await details_of(session, listing))
    await _record(session, listing, await _submitted(session, listing))


async def create_submitted(
    session: AsyncSession, owner_id: UUID, kind: Kind, drafts: Drafts
) -> list[tuple[Listing, list[str]]]:
    """Save drafts and hand in those that lack nothing; each listing with what it lacks, as `missing` tells it.

    Raises:
        ExternalIdTaken: as `service.create` does.
    """
    built = await build(session, owner_id, kind, drafts)
    lacking = [missing(listing, details) for listing, details in built]
    made = [(listing, names) for (listing, _), names in zip(built, lacking, strict=True)]
    moves = [(listing, await _submitted(session, listing)) for listing, names in made if not names]
    await add(session, built)
    await emit(session, *(moved for _, moved in moves))
    await market.follow(session, *moves)
    return made


async def _submitted(session: AsyncSession, listing: Listing) -> ListingMoved:
    if listing.status == S.REJECTED:
        if not listing.is_edited_since_review:
            raise ListingNotEdited
    elif await is_published_unseen(session, listing):
        return _published(listing, Action.SUBMIT)
    return _moved(listing, Action.SUBMIT, S.PENDING_REVIEW, events.ListingSubmitted)


def _published(listing: Listing, action: Action) -> ListingMoved:
    now = clock.now()
    listing.published_at = now
    _run_until(listing, now + _lifetime())
    listing.is_edited_since_review = False
    return _moved(listing, action, S.PUBLISHED, events.ListingPublished, at=now)


def _run_until(listing: Listing, expires_at: datetime) -> None:
    """Another stretch of time, with warnings of its own."""
    listing.expires_at = expires_at
    listing.warning_days = life.first_warning(clock.now(), expires_at)


def _lifetime() -> timedelta:
    return timedelta(days=settings().listings.lifetime_days)


async def approve(session: AsyncSession, listing: Listing, moderator: Actor) -> None:
    """Publish what waited for review.

    Raises:
        ListingWrongState, OwnListing, ListingIncomplete.
    """
    life.require(listing, Action.APPROVE)
    require_complete(listing, await details_of(session, listing))
    decide(session, listing, moderator, Action.APPROVE, None)
    await _record(session, listing, _published(listing, Action.APPROVE))


async def request_changes(session: AsyncSession, listing: Listing, moderator: Actor, reason: str) -> None:
    """Give it back to the owner to change.

    Raises:
        ListingWrongState, OwnListing.
    """
    life.require(listing, Action.REQUEST_CHANGES)
    decide(session, listing, moderator, Action.REQUEST_CHANGES, reason)
    await _move(session, listing, Action.REQUEST_CHANGES, S.CHANGES_REQUESTED, events.ListingChangesRequested)


async def reject(session: AsyncSession, listing: Listing, moderator: Actor, reason: str) -> None:
    """Turn it down.

    Raises:
        ListingWrongState, OwnListing.
    """
    life.require(listing, Action.REJECT)
    decide(session, listing, moderator, Action.REJECT, reason)
    listing.is_edited_since_review = False
    await _move(session, listing, Action.REJECT, S.REJECTED, events.ListingRejected)


async def suspend(session: AsyncSession, listing: Listing, moderator: Actor, reason: str) -> None:
    """Hide a live listing.

    Raises:
        ListingWrongState, OwnListing.
    """
    life.require(listing, Action.SUSPEND)
    decide(session, listing, moderator, Action.SUSPEND, reason)
    listing.status_before_suspension = listing.status
    await _move(session, listing, Action.SUSPEND, S.SUSPENDED, events.ListingSuspended)


async def restore(session: AsyncSession, listing: Listing, moderator: Actor, reason: str) -> None:
    """Uphold an appeal: a rejected listing is reviewed again, a suspended one goes back to where it was.

    Raises:
        ListingWrongState, OwnListing, SameModerator: whoever decided does not hear the appeal.
    """
    life.require(listing, Action.RESTORE)
    last = await session.scalar(
        select(ListingDecision.moderator_id)
        .where(ListingDecision.listing_id == listing.id)
        .order_by(ListingDecision.id.desc())
        .limit(1)
    )
    if last == moderator.id:
        raise SameModerator
    decide(session, listing, moderator, Action.RESTORE, reason)
    target = S.PENDING_REVIEW
    if listing.status == S.SUSPENDED:
        target = S(listing.status_before_suspension or S.PUBLISHED)
        listing.status_before_suspension = None
    await _move(session, listing, Action.RESTORE, target, events.ListingRestored)


async def pause(session: AsyncSession, listing: Listing) -> None:
    """Hide one's own listing for a while; its expiry clock stops.

    Raises:
        ListingWrongState.
    """
    life.require(listing, Action.PAUSE)
    await _hold(session, listing, Action.PAUSE, HoldReason.OWNER)


async def resume(session: AsyncSession, listing: Listing) -> None:
    """End one's own pause; it stays on hold while there is another reason.

    Raises:
        ListingWrongState: also when the owner did not pause it.
    """
    life.require(listing, Action.RESUME)
    await _lift(session, listing, Action.RESUME, HoldReason.OWNER)


async def hold(session: AsyncSession, listing: Listing, reason: HoldReason) -> None:
    """One more reason to hide a listing, from outside (a licence or company lapsed).

    Raises:
        ListingWrongState.
    """
    life.require(listing, Action.HOLD)
    await _hold(session, listing, Action.HOLD, reason)


async def lift(session: AsyncSession, listing: Listing, reason: HoldReason) -> None:
    """One reason less.

    Raises:
        ListingWrongState: also when that was not a reason.
    """
    life.require(listing, Action.LIFT)
    await _lift(session, listing, Action.LIFT, reason)


async def _hold(session: AsyncSession, listing: Listing, action: Action, reason: HoldReason) -> None:
    listing.hold_reasons = sorted({*listing.hold_reasons, reason})
    if reason is HoldReason.OWNER:
        listing.held_at = clock.now()
    await _move(session, listing, action, S.ON_HOLD, events.ListingHeld)


async def _lift(session: AsyncSession, listing: Listing, action: Action, reason: HoldReason) -> None:
    if reason not in listing.hold_reasons:
        held = f"A listing that is {listing.status}, but not by reason of {reason},"
        raise ListingWrongState(f"{held} does not take the action {action}")
    listing.hold_reasons = [kept for kept in listing.hold_reasons if kept != reason]
    if reason is HoldReason.OWNER:
        _restart_clock(listing)
    target = S.ON_HOLD if listing.hold_reasons else S.PUBLISHED
    await _move(session, listing, action, target, events.ListingResumed)


def _restart_clock(listing: Listing) -> None:
    """The time of the pause is not counted."""
    if listing.held_at is not None and listing.expires_at is not None:
        listing.expires_at += clock.now() - listing.held_at
    listing.held_at = None


async def reserve(session: AsyncSession, listing: Listing) -> None:
    """Give somebody the first claim; the row lock makes one winner.

    Raises:
        ListingWrongState.
    """
    await _move(session, listing, Action.RESERVE, S.RESERVED, events.ListingReserved)


async def release(session: AsyncSession, listing: Listing) -> None:
    """Give the claim up.

    Raises:
        ListingWrongState.
    """
    await _move(session, listing, Action.RELEASE, S.PUBLISHED, events.ListingReleased)


async def close(session: AsyncSession, listing: Listing, price: Money | None) -> None:
    """Sold or rented, by purpose; for what, if the owner says.

    Raises:
        ListingWrongState, Invalid: the price is in another currency than was asked.
    """
    life.require(listing, Action.CLOSE)
    if price is not None and price.currency != listing.currency:
        raise invalid_field("/price/currency", "other_currency", f"the listing asks for {listing.currency}")
    listing.closed_at = clock.now()
    if price is not None:
        listing.close_price_amount, listing.close_price_currency = price.amount, price.currency
    target = S.SOLD if listing.purpose == Purpose.SALE else S.RENTED
    await _move(session, listing, Action.CLOSE, target, events.ListingClosed)


async def withdraw(session: AsyncSession, listing: Listing) -> None:
    """Take one's own listing down.

    Raises:
        ListingWrongState.
    """
    life.require(listing, Action.WITHDRAW)
    _forget_holds(listing)
    await _move(session, listing, Action.WITHDRAW, S.WITHDRAWN, events.ListingWithdrawn)


async def expire(session: AsyncSession, listing: Listing) -> None:
    """Its time ran out: it is off the market since then, however late that is noticed.

    Raises:
        ListingWrongState.
    """
    life.require(listing, Action.EXPIRE)
    _forget_holds(listing)
    now = clock.now()
    # What was reserved or suspended at the time could not expire before that ended.
    ran_out_at = min(now, max(listing.expires_at or now, listing.moved_at))
    await _record(session, listing, _moved(listing, Action.EXPIRE, S.EXPIRED, events.ListingExpired, at=ran_out_at))


def _forget_holds(listing: Listing) -> None:
    listing.hold_reasons = []
    _restart_clock(listing)


async def renew(session: AsyncSession, listing: Listing) -> None:
    """Another lifetime, added to what is left; never more than two lifetimes ahead.

    Raises:
        ListingWrongState, ListingIncomplete.
    """
    life.require(listing, Action.RENEW)
    require_complete(listing, await details_of(session, listing))
    was_edited = listing.status != S.PUBLISHED and listing.is_edited_since_review
    if was_edited and not await is_published_unseen(session, listing):
        await _move(session, listing, Action.RENEW, S.PENDING_REVIEW, events.ListingSubmitted)
        return
    _run_until(listing, _renewed(listing.expires_at))
    await _move(session, listing, Action.RENEW, S.PUBLISHED, events.ListingRenewed)


def _renewed(expires_at: datetime | None) -> datetime:
    now = clock.now()
    return min(max(expires_at or now, now) + _lifetime(), now + 2 * _lifetime())


async def relist(session: AsyncSession, listing: Listing) -> None:
    """What was rented becomes a draft again.

    Raises:
        ListingWrongState.
    """
    life.require(listing, Action.RELIST)
    cleared: dict[str, Any] = dict.fromkeys(
        ("published_at", "expires_at", "closed_at", "close_price_amount", "close_price_currency")
    )
    for name, value in cleared.items():
        setattr(listing, name, value)
    await _move(session, listing, Action.RELIST, S.DRAFT, events.ListingRelisted)


async def archive(session: AsyncSession, listing: Listing) -> None:
    """Keep it for its transactions alone.

    Raises:
        ListingWrongState.
    """
    await _move(session, listing, Action.ARCHIVE, S.ARCHIVED, events.ListingArchived)
