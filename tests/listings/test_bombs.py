"""Searches that are made to hurt: refused, answered soon, or given up; and nothing of them is kept."""

import gc
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from math import cos, sin
from typing import Any

import orjson
import polyline
import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from src.core import config, database, reads
from src.listings import relaxations, search
from src.listings.filters import ListingSearch
from src.listings.models import Listing
from src.listings.places import MOST_CORNERS
from src.listings.router import MixedSearch
from src.listings.search import Catalogue
from src.vehicles import service as vehicles
from src.vehicles.schemas import VehicleSearch
from tests.factories import vehicle_data
from tests.listings.published import publish

PATHS = ("listings", "vehicles", "properties")
KINDS: dict[str, tuple[type[ListingSearch], Catalogue]] = {
    "listings": (MixedSearch, search.EVERYTHING),
    "vehicles": (VehicleSearch, vehicles.CATALOGUE),
}
NAME = "x" * 118
LONG_WORDS = " ".join(letter * 15 for letter in "abcdefghijkl")
BOMBS: dict[str, tuple[dict[str, Any], int]] = {
    "a thousand ORs": ({"q": " OR ".join(map(str, range(1000)))}, 422),
    "a thousand names": ({"city": [f"city {number}" for number in range(1000)]}, 422),
    "a thousand values": ({"purpose": ["sale"] * 1000}, 422),
    "every word an operator": ({"q": "a|b & !c:* <-> (d) OR -e \"f g\"~9 h^4 AND NOT 'i'"}, 200),
    "a hundred words": ({"q": "a b " * 50}, 200),
    "long words": ({"q": LONG_WORDS}, 200),
    "one long word": ({"q": "toyota" * 33}, 200),
    "prefixes of all there is": ({"q": "a e i o u t m s d l c v"}, 200),
    "any number of anything": ({"q": "%"}, 200),
    "wildcards": ({"q": "%" * 100 + "_" * 100}, 200),
    "wildcards for names": ({"city": ["%", "_%", "%%%%"], "region": "%", "postal_code": ["____"]}, 200),
    "quotes": ({"q": "'\"`$$\\", "city": "'; --", "region": "\\"}, 200),
    "expressions": ({"q": "(a+)+$ .* [[:alpha:]]{1,255}", "city": "(.*)*"}, 200),
    "the whole earth": ({"bbox": "-180,-90,180,90"}, 200),
    "across the antimeridian": ({"bbox": "180,-90,-180,90", "sort": "price_asc"}, 200),
    "nowhere": ({"bbox": "0,0,0,0"}, 200),
    "a huge box": ({"bbox": "-1e9,-1e9,1e9,1e9"}, 422),
    "a huge circle": ({"near": "9,38", "radius_km": "1e9"}, 422),
    "the largest circle": ({"near": "-90,180", "radius_km": "1000", "sort": "nearest"}, 200),
    "a tiny circle": ({"near": "9,38", "radius_km": "1e-300", "sort": "nearest"}, 200),
    "a price without end": ({"currency": "ETB", "price_min": 0, "price_max": 10**15, "sort": "price_desc"}, 200),
}


@pytest.fixture
async def hurried(storage: None) -> None:
    """The statements of this test may take a second; the slowest here takes some hundredths."""
    async with database.transaction() as session:
        await session.execute(text("SET LOCAL statement_timeout = '1s'"))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", BOMBS)
async def test_I08_a_bomb_is_refused_or_answered_soon(client: AsyncClient, hurried: None, name: str, path: str) -> None:
    await publish(vehicle_data())
    query, status = BOMBS[name]
    answer = await client.get(f"/api/v1/{path}", params=query)
    assert answer.status_code == status, answer.text
    if "wildcards" in name or name == "any number of anything":
        assert answer.json()["items"] == []


def largest(schema: dict[str, Any], schemas: dict[str, Any]) -> Any:
    """Something valid that is as large as the document lets it be."""
    schema = next((part for part in schema.get("anyOf", []) if part.get("type") != "null"), schema)
    schema = schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    if "enum" in schema:
        return schema["enum"][-1]
    if schema["type"] == "array":
        return [largest(schema["items"], schemas)] * schema["maxItems"]
    if schema["type"] == "string":
        return "a" * min(schema.get("maxLength", 1), 110)
    return schema["type"] == "boolean" or schema["maximum"]


# Where the document says more than `largest` understands.
SPECIAL = {
    "q": LONG_WORDS,
    "near": "9.123456789,38.123456789",
    "bbox": "-180,-90,180,90",
    "polygon": polyline.encode([(80 * sin(corner), 170 * cos(corner)) for corner in range(MOST_CORNERS)]),
    "language": ["amh"] * 10,
    "country": ["ET"] * 20,
    "currency": "ETB",
    "owner_id": "01a1fd02-0912-714f-9138-b514c31c4104",
    "availability_date_min": "2100-12-31",
    "availability_date_max": "2100-12-31",
    "limit": 100,
    "sort": "relevance",
    "explain": True,
}


def everything(app: FastAPI, path: str) -> dict[str, Any]:
    """Every parameter of the search at once, as large as may be."""
    document = app.openapi()
    parameters = document["paths"][f"/api/v1/{path}"]["get"]["parameters"]
    asked = {one["name"]: one["schema"] for one in parameters if one["in"] == "query" and one["name"] != "cursor"}
    schemas = document["components"]["schemas"]
    return {name: SPECIAL.get(name) or largest(schema, schemas) for name, schema in asked.items()}


@pytest.mark.parametrize("path", PATHS)
async def test_I08_every_parameter_at_once_is_answered_soon(
    app: FastAPI, client: AsyncClient, hurried: None, path: str
) -> None:
    await publish(vehicle_data())
    query = everything(app, path)
    assert len(query) > 20
    for sort in ("relevance", "nearest", "newest", "price_asc"):
        answer = await client.get(f"/api/v1/{path}", params={**query, "sort": sort})
        assert answer.status_code == 200, answer.text
        assert answer.json()["items"] == []


@pytest.fixture
async def impatient(committed: None, database_url: str) -> AsyncIterator[None]:
    """Reads that give up after a twentieth of a second."""
    settings = config.settings().database
    asked = database.server_settings(settings) | {"statement_timeout": "50"}
    async with reads.pool(database.libpq_url(database_url), settings, asked) as reader:
        reads.readers.primary = reads.readers.replica = reader
        yield


async def test_I08_D03_a_search_that_takes_too_long_is_given_up_and_its_connection_serves_on(
    impatient: None, client: AsyncClient, engine: AsyncEngine
) -> None:
    [listing] = await publish(vehicle_data())
    urls = [f"/api/v1/{path}" for path in (*PATHS, "listings?q=toyota", f"listings/{listing}")]
    async with engine.begin() as connection:
        await connection.execute(text("LOCK TABLE listings"))
        for url in urls * 2:
            answer = await client.get(url)
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable"), url
            assert answer.headers["Retry-After"] == "2"
    for url in urls:
        assert (await client.get(url)).status_code == 200, url


class Explaining:
    """A reader that has the plan of every statement told."""

    def __init__(self, reader: reads.Reader) -> None:
        self.reader = reader
        self.plans: list[dict[str, Any]] = []

    async def fetch(self, statement: reads.Statement, values: Mapping[str, Any]) -> Sequence[reads.Row]:
        """As `Reader` says."""
        explained = reads.Statement(
            "EXPLAIN (FORMAT JSON) " + statement.sql, statement.names, statement.fixed, statement.is_selective
        )
        [row] = await self.reader.fetch(explained, values)
        plan = row["QUERY PLAN"]
        self.plans.append((orjson.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"])
        return await self.reader.fetch(statement, values)


def scanned(plan: dict[str, Any]) -> Iterator[str]:
    """The tables that are read from one end to the other."""
    if plan["Node Type"] == "Seq Scan":
        yield plan["Relation Name"]
    for part in plan.get("Plans", []):
        yield from scanned(part)


# Of each value, one in five hundred listings has it; the places are all over the map.
VARIED = {
    "id": "gen_random_uuid()",
    "external_id": "NULL",
    "published_at": "published_at - n * interval '1 minute'",
    "price_amount": "1000 * n",
    "city": "'city ' || n % 500",
    "city_key": "'city ' || n % 500",
    "city_id": "NULL",
    "region": "'Region ' || n % 500",
    "subdivision": "'Subdivision ' || n % 500",
    "features": "ARRAY['feature_' || n % 500]",
    "search": "('''word' || n % 500 || '''\\:1A')\\:\\:tsvector",
    "public_latitude": "n * 7919 % 5000 / 62.5",
    "public_longitude": "n * 104729 % 4999 / 62.5",
    "latitude": "n * 7919 % 5000 / 62.5",
    "longitude": "n * 104729 % 4999 / 62.5",
}
COMPUTED = {"is_public", "sphere", "mileage_km"}


async def fill(listing: str, number: int) -> None:
    """So many listings like this one, and yet unlike each other, which the planner knows."""
    async with database.transaction() as session:
        columns = [column.name for column in Listing.__table__.columns if column.name not in COMPUTED]
        chosen = ", ".join(VARIED.get(column, column) for column in columns)
        copied = f"""
            WITH one AS MATERIALIZED (SELECT * FROM listings WHERE id = :listing)
            INSERT INTO listings ({", ".join(columns)}) SELECT {chosen} FROM one, generate_series(1, :number) n
        """  # noqa: S608
        await session.execute(text(copied), {"number": number, "listing": listing})
        made = (
            "INSERT INTO vehicles (listing_id, make, model, charge_ports) SELECT id, city, region, '{}' FROM listings"
        )
        await session.execute(text(f"{made} WHERE id <> :listing"), {"listing": listing})
        for table in ("listings", "vehicles", "city_names"):
            await session.execute(text(f"ANALYZE {table}"))
        for index in ("ix_listings_search", "ix_listings_features"):
            # What waits to be sorted in makes an index dear until the next vacuum.
            await session.execute(text(f"SELECT gin_clean_pending_list('{index}')"))


SELECTIVE: list[dict[str, Any]] = [
    {"sort": "price_desc", "currency": "ETB", "price_max": 30_000},
    {"q": "word499"},
    {"q": "word49", "sort": "newest"},
    {"city": ["City 7"]},
    {"city": ["City 7", "City 8"], "sort": "price_asc"},
    {"region": ["region 7"]},
    {"subdivision": ["subdivision 7"]},
    {"features": ["feature_7"]},
    {"near": "8,8", "radius_km": 200},
    {"near": "8,8", "radius_km": 1000, "sort": "nearest"},
    {"bbox": "8,8,11,11"},
    {"owner_id": "01a1fd02-0912-714f-9138-b514c31c4104"},
]


@pytest.mark.parametrize("kind", KINDS)
async def test_I08_what_finds_little_is_found_by_an_index(
    storage: None, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What might be found otherwise is counted in other ways.
    monkeypatch.setattr(relaxations, "MOST_FILTERS", 0)
    [listing] = await publish(vehicle_data())
    await fill(listing, 5000)
    model, catalogue = KINDS[kind]
    for query in SELECTIVE:
        reader = Explaining(reads.readers.get(is_anonymous=True))
        await search.page(reader, model(**query), catalogue)
        read = {table for plan in reader.plans for table in scanned(plan)}
        assert reader.plans, query
        assert "listings" not in read, query


def test_I08_a_table_that_is_read_from_end_to_end_would_be_noticed() -> None:
    plan = {"Node Type": "Limit", "Plans": [{"Node Type": "Seq Scan", "Relation Name": "listings"}]}
    assert list(scanned(plan)) == ["listings"]


async def test_I08_what_is_kept_of_a_search_holds_nothing_that_was_sent(app: FastAPI, client: AsyncClient) -> None:
    for path in PATHS:
        assert (await client.get(f"/api/v1/{path}", params=everything(app, path))).status_code == 200
    kept = search._statement.cache_info()
    gc.collect()
    assert kept.currsize > 0
    assert kept.maxsize is not None
    assert kept.maxsize <= 1000
    assert [found for found in gc.get_objects() if isinstance(found, ListingSearch)] == []


async def test_I08_a_connection_keeps_a_bounded_number_of_statements(committed: None) -> None:
    reader = reads.readers.get(is_anonymous=True)
    for number in range(reads.MOST_PREPARED + 20):
        await reader.fetch(reads.Statement(f"SELECT {number}", (), {}, is_selective=True), {})
    count = "SELECT count(*) AS prepared FROM pg_prepared_statements"
    [row] = await reader.fetch(reads.Statement(count, (), {}, is_selective=True), {})
    assert 50 < row["prepared"] <= reads.MOST_PREPARED
