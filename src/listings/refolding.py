"""Makes again what an older folding made of the listings' words, after a release that folds otherwise."""

import structlog
from sqlalchemy import select

from src.core import datasets
from src.core.database import transaction
from src.core.text import FOLDING
from src.listings import kinds, vocabulary
from src.listings.models import Listing
from src.listings.service import derive, details_by_id, find_cities

log = structlog.get_logger(__name__)

BATCH = 500


async def refold() -> int:
    """Bring every listing to this folding, batch by committed batch; how many were not. Several at once are fine."""
    total = 0
    while count := await _next_batch():
        total += count
    if total:
        log.info("listings_refolded", listings=total, folding=FOLDING)
    return total


async def _next_batch() -> int:
    async with transaction() as session:
        await datasets.lock(session, "listings-folding")
        older = select(Listing).where(Listing.folding < FOLDING).order_by(Listing.folding, Listing.id).limit(BATCH)
        listings = (await session.scalars(older.with_for_update(of=Listing, key_share=True))).all()
        await find_cities(session, listings)
        details = await details_by_id(session, listings)
        for listing in listings:
            derive(listing, kinds.get(listing.kind), details[listing.id])
        await session.flush()
        await vocabulary.learn(session, [listing.id for listing in listings])
    return len(listings)
