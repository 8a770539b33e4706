"""Use cases that end the wait of a pending change."""

from sqlalchemy.ext.asyncio import AsyncSession

from src.core.events import emit
from src.core.security import Actor
from src.listings import kinds, life, market, pending
from src.listings.completeness import require_complete
from src.listings.decisions import decide
from src.listings.errors import NoPendingChange
from src.listings.events import ListingChangeApproved, ListingChangeRejected
from src.listings.life import Action
from src.listings.models import Listing, PendingChange
from src.listings.service import derive, details_of, record_edit


async def approve_change(session: AsyncSession, listing: Listing, moderator: Actor) -> None:
    """Let the pending change go live.

    Raises:
        ListingWrongState, NoPendingChange, OwnListing.
        ListingIncomplete: with what changed meanwhile, something that publishing needs would be missing.
    """
    waiting = await _ended(session, listing, Action.APPROVE_CHANGE)
    decide(session, listing, moderator, Action.APPROVE_CHANGE, None)
    kind, details = kinds.get(listing.kind), await details_of(session, listing)
    before = market.face_of(listing, details)
    names = kind.apply(details, waiting.changes)
    require_complete(listing, details)
    derive(listing, kind, details)
    fields = sorted(f"{kind.name}.{name}" for name in names)
    await emit(session, ListingChangeApproved(listing_id=listing.id, owner_id=listing.owner_id, fields=fields))
    await record_edit(session, listing, details, before, set(fields))


async def reject_change(session: AsyncSession, listing: Listing, moderator: Actor, reason: str) -> None:
    """Turn the pending change down; the listing stays as it is.

    Raises:
        ListingWrongState, NoPendingChange, OwnListing.
    """
    waiting = await _ended(session, listing, Action.REJECT_CHANGE)
    decide(session, listing, moderator, Action.REJECT_CHANGE, reason)
    listing.version += 1
    await session.flush()
    fields = pending.field_names(listing, waiting.changes)
    await emit(session, ListingChangeRejected(listing_id=listing.id, owner_id=listing.owner_id, fields=fields))


async def drop_change(session: AsyncSession, listing: Listing) -> None:
    """Take one's own pending change back.

    Raises:
        ListingWrongState, NoPendingChange.
    """
    life.require(listing, Action.DROP_CHANGE)
    if not await pending.drop(session, listing):
        raise NoPendingChange
    listing.version += 1


async def _ended(session: AsyncSession, listing: Listing, action: Action) -> PendingChange:
    life.require(listing, action)
    waiting = await pending.find(session, listing)
    if waiting is None:
        raise NoPendingChange
    await session.delete(waiting)
    return waiting
