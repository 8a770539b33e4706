"""Files sent to the API, and the events that land them."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from src import relay
from src.core import clock, database
from src.core.events import OutboxMessage
from tests.factories import Person
from tests.imports.sheets import Row, car, sheet

URL = "/api/v1/imports"
CSV = {"Content-Type": "text/csv"}
Answer = dict[str, Any]


async def send(
    client: httpx.AsyncClient, person: Person, content: Any, headers: Mapping[str, str] = {}, **params: Any
) -> httpx.Response:
    return await client.post(URL, content=content, params=params, headers={**person.headers, **CSV, **headers})


async def sent(client: httpx.AsyncClient, person: Person, content: Any, **params: Any) -> Answer:
    """The import that is made of a file which has to be taken."""
    answer = await send(client, person, content, **params)
    assert answer.status_code == 201, answer.text
    found: Answer = answer.json()
    return found


async def read(client: httpx.AsyncClient, person: Person, import_id: str, **params: Any) -> Answer:
    answer = await client.get(f"{URL}/{import_id}", params=params, headers=person.headers)
    assert answer.status_code == 200, answer.text
    found: Answer = answer.json()
    return found


async def not_to_be_read() -> AsyncIterator[bytes]:
    """A file that is refused before."""
    pytest.fail("the body was read")
    yield b""


def large(external_id: str, /, **cells: str) -> Row:
    """A row so long that a part holds only three."""
    return car(external_id, notes="x" * 100_000, **cells)


def in_parts(parts: int) -> bytes:
    """A file that is cut into so many parts."""
    return sheet(*(large(str(number)) for number in range(3 * parts)))


async def drain() -> None:
    """Deliver events until there are none, those that failed before included."""
    while await count(OutboxMessage):
        if not await relay.deliver_batch():
            clock.advance(timedelta(seconds=2))


async def count(table: type[Any], *where: Any) -> int:
    async with database.transaction() as session:
        return await session.scalar(select(func.count()).select_from(table).where(*where)) or 0


def outcomes(found: Answer) -> Counter[str]:
    """How often each came out, told by the counters."""
    return Counter({name: times for name, times in found["counts"].items() if times})
