"""What is asked: paths drawn from the data, and the statements behind some of ours."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import asyncpg
import httpx
import orjson

import src.main  # noqa: F401 - registers the kinds
from src.core import database
from src.core.config import settings
from src.core.reads import Reader, Row, Statement, readers
from src.core.short_way import QueryReader
from src.listings import search
from src.vehicles.schemas import VehicleSearch
from src.vehicles.service import CATALOGUE

API = "/api/v1"
DETAILS, RANGES = 500, 100
# Words, filters and, once there are any, facets.
WORDS = [
    {"q": "chevrolet sedan", "price_max": "3000000", "currency": "USD", "facets": "price"},
    {"q": "toyota", "body_type": "suv", "facets": "make"},
    {"q": "pontiac vibe", "model_year_min": "2005"},
    {"q": "saturn ion 2005", "price_min": "500000", "currency": "USD", "sort": "price_asc"},
]


async def vehicle_ids(url: str) -> list[str]:
    """Public vehicle listings, drawn at random."""
    rows = await _fetch(
        url, "SELECT id FROM listings WHERE is_public AND kind = 'vehicle' ORDER BY random() LIMIT $1", DETAILS
    )
    return [str(row["id"]) for row in rows]


async def price_ranges(url: str) -> list[dict[str, int]]:
    """Ranges of price that hold something, from that of a listing drawn at random upwards."""
    rows = await _fetch(
        url,
        "SELECT price_amount FROM listings WHERE is_public AND kind = 'vehicle' AND currency = 'USD'"
        " ORDER BY random() LIMIT $1",
        RANGES,
    )
    return [{"price_min": row["price_amount"], "price_max": row["price_amount"] * 3 // 2} for row in rows]


async def _fetch(url: str, sql: str, *arguments: Any) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    rows = await connection.fetch(sql, *arguments)
    await connection.close()
    return list(rows)


def later_page(address: str, number: int) -> str:
    """The path of a later page of all listings, or of the last full one, reached as clients reach it."""
    path = f"{API}/listings?limit=20"
    for _ in range(number - 1):
        cursor = httpx.get(address + path).json()["next_cursor"]
        if cursor is None:
            break
        path = f"{API}/listings?limit=20&cursor={cursor}"
    return path


class _Recorder:
    """Reads, and keeps what was read with."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.read: list[tuple[str, list[Any]]] = []

    async def fetch(self, statement: Statement, values: Mapping[str, Any]) -> Sequence[Row]:
        self.read.append((statement.sql, statement.arguments(values)))
        return await self._reader.fetch(statement, values)


async def record_same(url: str, path: Path) -> None:
    """Write to the file the statements of each search of `WORDS`, for the limit to run."""
    config = settings().model_copy(update={"database": settings().database.model_copy(update={"url": url})})
    async with database.connected(config):
        same = {str(number): await _statements(asked) for number, asked in enumerate(WORDS)}
    path.write_bytes(orjson.dumps(same, default=str))


async def _statements(asked: dict[str, str]) -> list[tuple[str, list[Any]]]:
    recorder = _Recorder(readers.get(is_anonymous=True))
    wanted = QueryReader(VehicleSearch).read(urlencode(asked).encode())
    assert isinstance(wanted, VehicleSearch), f"no search: {asked}"
    await search.page(recorder, wanted, CATALOGUE)
    return recorder.read
