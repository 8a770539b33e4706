"""The server dies in the middle of an import, and the next one goes on with it."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from src.core import database
from src.imports.models import ImportPart, ImportVerdict
from tests.e2e.server import serving
from tests.factories import World
from tests.imports.sent import CSV, URL, count, outcomes
from tests.imports.sheets import car, sheet, stored

pytestmark = pytest.mark.processes

ROWS = 3000


async def until_done(client: httpx.AsyncClient, import_id: str, rows: int) -> dict[str, Any]:
    """Ask until so many rows have their verdicts."""
    while True:
        found: dict[str, Any] = (await client.get(f"{URL}/{import_id}")).json()
        if found["rows_done"] >= rows:
            return found


async def counted_at_once() -> tuple[int, int]:
    """Verdicts and listings; what the dead server had asked for last may still be committed between two statements."""
    counted = "SELECT (SELECT count(*) FROM import_verdicts), (SELECT count(*) FROM listings)"
    async with database.transaction() as session:
        verdicts, listings = (await session.execute(text(counted))).one()
    return verdicts, listings


async def test_an_import_goes_on_where_kill_9_left_it(
    committed: None, client: httpx.AsyncClient, world: World, database_url: str, tmp_path: Path
) -> None:
    owner = await world.person()
    client.headers.update(owner.headers)
    content = sheet(*(car(str(number)) for number in range(ROWS)))
    asked = (await client.post(URL, content=content, params={"draft": True}, headers=CSV)).json()
    for rows in (1, ROWS // 4, ROWS // 2):
        with serving(database_url, tmp_path) as server:
            async with httpx.AsyncClient(base_url=server.address, headers=owner.headers, timeout=30) as other:
                await until_done(other, asked["id"], rows)
            server.process.kill()
            server.process.wait(timeout=10)
        verdicts, listings = await counted_at_once()
        assert rows <= verdicts == listings < ROWS
    with serving(database_url, tmp_path) as server:
        async with httpx.AsyncClient(base_url=server.address, headers=owner.headers, timeout=30) as other:
            found = await until_done(other, asked["id"], ROWS)
    assert (found["status"], outcomes(found)) == ("finished", {"draft": ROWS})
    assert (await count(ImportVerdict), await count(ImportPart), len(await stored(owner.id))) == (ROWS, 0, ROWS)
