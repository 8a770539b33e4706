"""What time alone does to listings: its owner is warned, it expires, it is archived.

`Listing.timer_at` says when the next of these is due. Each listing takes one step at a time, so that however late this
runs, and however far the clock went at once, its facts come in order and each of them once.
"""

from datetime import timedelta

import structlog
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from src.core import clock
from src.core.events import emit
from src.listings import actions, life
from src.listings.events import ListingExpiring
from src.listings.life import Action
from src.listings.models import Listing

log = structlog.get_logger(__name__)

# Each of them has a savepoint, of which PostgreSQL keeps 64 at hand.
BATCH = 50
RETRY_AFTER = timedelta(minutes=5)


async def run_due(session: AsyncSession) -> bool:
    """Take the next step of some listings whose time has come, the longest due first; whether more are due.

    What somebody else holds is left to them, and looked at again the next time.
    """
    due = select(Listing).where(Listing.timer_at <= clock.now()).order_by(Listing.timer_at, Listing.id).limit(BATCH)
    listings = (await session.scalars(due.with_for_update(of=Listing, key_share=True, skip_locked=True))).all()
    are_due = [await _step_or_put_off(session, listing) for listing in listings]
    return len(listings) == BATCH or any(are_due)


async def _step_or_put_off(session: AsyncSession, listing: Listing) -> bool:
    """Whether its following step is due as well; a listing that fails does not hold up the others."""
    listing_id = listing.id
    try:
        async with session.begin_nested():
            await _step(session, listing)
    except Exception:
        log.exception("listing_timer_failed", listing_id=str(listing_id))
        later = update(Listing).where(Listing.id == listing_id).values(timer_at=clock.now() + RETRY_AFTER)
        await session.execute(later.execution_options(synchronize_session=False))
        return False
    return listing.timer_at is not None and listing.timer_at <= clock.now()


async def _step(session: AsyncSession, listing: Listing) -> None:
    if listing.status in life.sources(Action.ARCHIVE):
        await actions.archive(session, listing)
    elif listing.warning_days:
        await _warn(session, listing)
    else:
        await actions.expire(session, listing)


async def _warn(session: AsyncSession, listing: Listing) -> None:
    """No new version of the listing: nobody reads a difference."""
    warning = ListingExpiring(listing_id=listing.id, owner_id=listing.owner_id, days=listing.warning_days)
    listing.warning_days = life.next_warning(listing.warning_days)
    listing.timer_at = life.timer_of(listing)
    await emit(session, warning)
