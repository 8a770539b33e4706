"""What follows from what happened to listings."""

from sqlalchemy.ext.asyncio import AsyncSession

from src.core.events import on
from src.listings import vocabulary
from src.listings.events import (
    ListingEdited,
    ListingMoved,
    ListingPublished,
    ListingRenewed,
    ListingRestored,
    ListingResumed,
)


@on(ListingPublished)
@on(ListingEdited)
@on(ListingRenewed)
@on(ListingRestored)
@on(ListingResumed)
async def learn_words(session: AsyncSession, event: ListingMoved | ListingEdited) -> None:
    """Whatever became public is known to searches that are mistyped or not yet whole."""
    await vocabulary.learn(session, [event.listing_id])
