"""Reading places."""

from collections.abc import Iterable, Sequence

from sqlalchemy import ColumnElement, ScalarResult, ScalarSelect, Select, false, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from src.core.text import name_key
from src.geo.models import City, CityName, Country

LAST_CHARACTER = "\U0010ffff"


async def list_countries(session: AsyncSession) -> ScalarResult[Country]:
    """Every country, by name."""
    return await session.scalars(select(Country).order_by(Country.name))


async def search_cities(session: AsyncSession, *, country: str | None, q: str | None, limit: int) -> Sequence[City]:
    """Cities one of whose names, in any script, begins with `q`; the largest first."""
    found: Select[City] = select(City).order_by(City.population.desc(), City.id).limit(limit)
    if country is not None:
        found = found.where(City.country == country)
    if q is not None:
        found = found.where(City.id.in_(cities_beginning_with(q)))
    return (await session.scalars(found)).all()


def cities_beginning_with(text: str) -> Select[int]:
    """The ids of the cities one of whose names begins so, as a subquery; none for a text without letters or digits."""
    key = name_key(text)
    if not key:
        return select(CityName.city_id).where(false())
    # In the column's collation a prefix is a range, whatever plan the server keeps.
    return select(CityName.city_id).where(CityName.key >= key, CityName.key <= key + LAST_CHARACTER)


def cities_with_key(key: ColumnElement[str]) -> ScalarSelect[int]:
    """The ids of the cities with this `name_key` in any language, as a subquery."""
    return select(CityName.city_id).where(CityName.key == key).distinct().scalar_subquery()


async def resolve(session: AsyncSession, places: Iterable[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """For each (country, city name), the largest city of that country so called; unknown names are left out."""
    keys = {place: (place[0], name_key(place[1])) for place in places}
    if not keys:
        return {}
    found = await session.execute(
        select(City.country, CityName.key, City.id)
        .join(CityName, CityName.city_id == City.id)
        .where(tuple_(City.country, CityName.key).in_(set(keys.values())))
        .order_by(City.population)
    )
    ids = {(country, key): city_id for country, key, city_id in found}
    return {place: ids[key] for place, key in keys.items() if key in ids}
