"""What is to change of a live listing and waits for a moderator: one change, while the old version stays live.

Whoever calls holds the listing locked, so that one row follows the other.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from src.core import clock
from src.core.events import emit
from src.listings import kinds
from src.listings.completeness import require_complete
from src.listings.events import ListingChangeDropped, ListingChangeSubmitted
from src.listings.kinds import Details, Kind
from src.listings.models import Listing, PendingChange


async def find(session: AsyncSession, listing: Listing) -> PendingChange | None:
    """What waits, if anything does."""
    return await session.get(PendingChange, listing.id)


async def submit(
    session: AsyncSession, listing: Listing, kind: Kind, details: Details, fields: Mapping[str, Any]
) -> bool:
    """Let these fields wait as well, the newest value of each; whether that makes a difference.

    Raises:
        ListingIncomplete: once approved, the listing would lack something that publishing needs.
    """
    waiting = await find(session, listing)
    wanted = (waiting.changes if waiting else {}) | kind.columns(fields)
    return await _replace(session, listing, details, waiting, wanted)


async def supersede(
    session: AsyncSession, listing: Listing, kind: Kind, details: Details, fields: Mapping[str, Any]
) -> bool:
    """Let these fields wait no longer, since they went live; whether that makes a difference."""
    waiting = await find(session, listing)
    if waiting is None:
        return False
    live = kind.columns(fields)
    wanted = {name: value for name, value in waiting.changes.items() if name not in live}
    return await _replace(session, listing, details, waiting, wanted)


async def _replace(
    session: AsyncSession,
    listing: Listing,
    details: Details,
    waiting: PendingChange | None,
    wanted: Mapping[str, Any],
) -> bool:
    old = waiting.changes if waiting else {}
    new = {name: value for name, value in wanted.items() if getattr(details, name) != value}
    if new == old:
        return False
    if not new:
        await drop(session, listing)
        return True
    kind = kinds.get(listing.kind)
    require_complete(listing, kind.imagined(details, new))
    waiting = waiting or PendingChange(listing_id=listing.id)
    waiting.changes, waiting.shown, waiting.submitted_at = new, kind.readable(new), clock.now()
    session.add(waiting)
    fields = field_names(listing, new)
    await emit(session, ListingChangeSubmitted(listing_id=listing.id, owner_id=listing.owner_id, fields=fields))
    return True


async def drop(session: AsyncSession, listing: Listing) -> bool:
    """Forget what waits; whether anything did."""
    gone = delete(PendingChange).where(PendingChange.listing_id == listing.id).returning(PendingChange.changes)
    changes = await session.scalar(gone)
    if changes is None:
        return False
    fields = field_names(listing, changes)
    await emit(session, ListingChangeDropped(listing_id=listing.id, owner_id=listing.owner_id, fields=fields))
    return True


def field_names(listing: Listing, columns: Iterable[str]) -> list[str]:
    """What events call these columns of the details."""
    return sorted(f"{listing.kind}.{name}" for name in kinds.get(listing.kind).names(columns))
