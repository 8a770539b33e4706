"""Makes again what an older folding made of the listings' words, after a release that folds otherwise."""

from collections.abc import Sequence
from typing import Any

import structlog
from sqlalchemy import Integer, Text, Uuid, cast, column, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY, TSVECTOR
from sqlalchemy.ext.asyncio import AsyncSession

from src.core import datasets
from src.core.database import transaction
from src.core.text import FOLDING
from src.listings import kinds, vocabulary
from src.listings.models import Listing
from src.listings.service import derive, details_by_id, find_cities

log = structlog.get_logger(__name__)

BATCH = 1000
_REPORTED = 10_000
_TYPES: dict[str, Any] = {"id": Uuid, "search": Text, "completeness": Integer, "city_key": Text, "city_id": Integer}


async def refold() -> int:
    """Bring every listing to this folding, batch by committed batch; how many were not. Several at once are fine."""
    total = 0
    while count := await _next_batch():
        if total // _REPORTED < (total + count) // _REPORTED:
            log.info("listings_refolding", listings=total + count)
        total += count
    if total:
        log.info("listings_refolded", listings=total, folding=FOLDING)
    return total


async def _next_batch() -> int:
    async with transaction() as session:
        await datasets.lock(session, "listings-folding")
        older = select(Listing).where(Listing.folding < FOLDING).order_by(Listing.folding, Listing.id).limit(BATCH)
        listings = (await session.scalars(older.with_for_update(of=Listing, key_share=True))).all()
        details = await details_by_id(session, listings)
        # What they are made into is saved by one statement, which is several times as fast as one for each.
        session.expunge_all()
        await find_cities(session, listings)
        for listing in listings:
            derive(listing, kinds.get(listing.kind), details[listing.id])
        await _save(session, listings)
        await vocabulary.take_in(session, [listing for listing in listings if listing.is_public], details)
    return len(listings)


async def _save(session: AsyncSession, listings: Sequence[Listing]) -> None:
    arrays = (cast([getattr(row, name) for row in listings], ARRAY(kind)) for name, kind in _TYPES.items())
    made = func.unnest(*arrays).table_valued(*(column(name, kind) for name, kind in _TYPES.items())).render_derived()
    new = {name: made.c[name] for name in ("completeness", "city_key", "city_id")}
    saved = update(Listing).values(folding=FOLDING, search=cast(made.c.search, TSVECTOR), **new)
    await session.execute(saved.where(Listing.id == made.c.id).execution_options(synchronize_session=False))
