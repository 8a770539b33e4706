"""What searches know, taken in at once instead of by the relay."""

from uuid import UUID

from src.core import database
from src.listings import vocabulary


async def learn(*listing_ids: str) -> None:
    """What the handler does for each of these that is public."""
    async with database.transaction() as session:
        await vocabulary.learn(session, [UUID(listing_id) for listing_id in listing_ids])
