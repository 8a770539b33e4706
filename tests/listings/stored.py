"""What is in the database, to show that a refusal changed none of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import select, text

from src.core import database
from src.core.events import EventRecord
from src.listings.models import Listing, MarketSpell


async def digests() -> dict[str, str]:
    """For each table, a digest of all its rows."""
    digest = "md5(coalesce(string_agg(md5({0}::text), '' ORDER BY md5({0}::text)), ''))"
    names = [table.name for table in database.Base.metadata.sorted_tables if table.name not in ("cities", "city_names")]
    parts = [f"SELECT '{name}' AS name, {digest.format(name)} AS digest FROM {name}" for name in names]  # noqa: S608
    async with database.transaction() as session:
        rows = await session.execute(text(" UNION ALL ".join(parts)))
        return {row.name: row.digest for row in rows}


@asynccontextmanager
async def nothing_changes() -> AsyncIterator[None]:
    """Asserts that no row of any table is another one afterwards."""
    before = await digests()
    yield
    assert await digests() == before


async def row_of(listing_id: str) -> dict[str, Any]:
    """The columns of a listing as stored."""
    async with database.transaction() as session:
        row = await session.get_one(Listing, UUID(listing_id))
        return {column.name: getattr(row, column.key) for column in Listing.__table__.columns}


async def events_of(listing_id: str) -> list[str]:
    """The names of what happened to a listing, in order."""
    async with database.transaction() as session:
        names = await session.scalars(
            select(EventRecord.name).where(EventRecord.data["listing_id"].astext == listing_id).order_by(EventRecord.id)
        )
        return list(names)


async def spells_of(listing_id: str) -> list[MarketSpell]:
    """The stretches of time for which a listing was on the market, in order."""
    async with database.transaction() as session:
        found = select(MarketSpell).where(MarketSpell.listing_id == UUID(listing_id))
        return list(await session.scalars(found.order_by(MarketSpell.started_at, MarketSpell.id)))
