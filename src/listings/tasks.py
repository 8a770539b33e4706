"""What follows from what happened to listings."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from src.core.events import Event, on
from src.core.schedule import every
from src.listings import timers, vocabulary
from src.listings.events import (
    ListingEdited,
    ListingMoved,
    ListingPublished,
    ListingRenewed,
    ListingRestored,
    ListingResumed,
)

# After each of these a listing may be public with words that searches do not know.
_MAY_BE_NEWS: tuple[type[Event], ...] = (
    ListingPublished,
    ListingEdited,
    ListingRenewed,
    ListingRestored,
    ListingResumed,
)


async def learn_words(session: AsyncSession, event: ListingMoved | ListingEdited) -> None:
    """Whatever became public is known to searches that are mistyped or not yet whole."""
    await vocabulary.learn(session, [event.listing_id])


for _event in _MAY_BE_NEWS:
    on(_event)(learn_words)  # type: ignore[arg-type]


@every(timedelta(minutes=1))
async def run_timers(session: AsyncSession) -> bool:
    """Warn owners, expire and archive, each when it is due."""
    return await timers.run_due(session)
