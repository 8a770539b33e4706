"""PostgreSQL goes away under load: `make faults`. Not named test_…, since it is no part of `make test`."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import asyncpg
import httpx
import psutil
import pytest

from src.core import embedded
from tests.e2e.load import Load
from tests.e2e.server import Server, serving

RECOVERY_SECONDS = 5
# Whatever happens to the processes, the machine goes on.
OPTIONS = {"fsync": "off"}


@pytest.fixture
def cluster(open_path: Path) -> Path:
    """The folder of a PostgreSQL server of this test's own."""
    return open_path / "postgres"


@pytest.fixture
def postgres(cluster: Path) -> Iterator[str]:
    """The address of that server, for as long as the test wants it to be there."""
    with embedded.running(cluster, options=OPTIONS) as url:
        yield url


@pytest.fixture
def server(postgres: str, tmp_path: Path) -> Iterator[Server]:
    """Our server, on that."""
    with serving(postgres, tmp_path) as made:
        yield made


def end(cluster: Path, how: signal.Signals) -> None:
    """End PostgreSQL, and wait until it has ended."""
    postmaster = psutil.Process(int((cluster / "data" / "postmaster.pid").read_text().splitlines()[0]))
    postmaster.send_signal(how)
    postmaster.wait(timeout=20)


def start(cluster: Path, stack: ExitStack) -> None:
    """Start it again; it is there once this returns, and until the stack is left."""
    stack.enter_context(embedded.running(cluster, options=OPTIONS))


async def ready(client: httpx.AsyncClient) -> int:
    return (await client.get("/health/ready")).status_code


async def outage(load: Load, cluster: Path, how: signal.Signals, stack: ExitStack) -> None:
    """PostgreSQL ends, is away until everybody has noticed, and comes back."""
    await load.well()
    await asyncio.to_thread(end, cluster, how)
    async with asyncio.timeout(RECOVERY_SECONDS):
        await load.refused()
    assert await ready(load.client) == 503
    await asyncio.to_thread(start, cluster, stack)
    async with asyncio.timeout(RECOVERY_SECONDS):
        recovered = await load.well()
    assert await ready(load.client) == 200
    again = await load.well()
    statuses = {status for worker in load.workers for status in worker.between(recovered, again)}
    assert statuses <= {200, 201}, "it was well, and then no more"


async def outbox_is_empty(connection: asyncpg.Connection) -> None:
    """Until every event is delivered."""
    async with asyncio.timeout(2 * RECOVERY_SECONDS):
        while await connection.fetchval("SELECT count(*) FROM outbox"):
            pass


async def assert_every_promise_is_kept(load: Load, url: str) -> None:
    """What was answered with success is there, once, and what follows from it has followed."""
    connection = await asyncpg.connect(url)
    stored = {str(row["id"]): row for row in await connection.fetch("SELECT id, title, status FROM listings")}
    assert sorted(stored) == sorted(load.created), "lost, or created twice"
    assert len({row["title"] for row in stored.values()}) == len(stored)
    assert {stored[listing]["status"] for listing in load.published} == {"published"}
    assert stored[load.edited[0]]["title"] == load.edited[1]
    await outbox_is_empty(connection)
    told = "SELECT data->>'listing_id' FROM events WHERE name = 'listing.published'"
    assert sorted(row[0] for row in await connection.fetch(told)) == sorted(load.published)
    handled = "SELECT count(*) FROM events JOIN handled_events ON event_id = id WHERE name = 'listing.published'"
    by_handler = await connection.fetch(f"{handled} GROUP BY handler")
    assert [row[0] for row in by_handler] == [len(load.published)] * len(by_handler) != []
    await connection.close()


async def test_D01_postgres_restarts_under_load_and_nothing_that_was_promised_is_lost(
    server: Server, cluster: Path, postgres: str
) -> None:
    async with httpx.AsyncClient(base_url=server.address, timeout=10) as client:
        load = Load(client)
        with ExitStack() as stack:
            async with load.going():
                for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
                    await outage(load, cluster, how, stack)
            await assert_every_promise_is_kept(load, postgres)
    assert [wrong for worker in load.workers for wrong in worker.wrong] == []
    assert server.leave(signal.SIGTERM) == 0
    assert [line for line in server.log if "unhandled_error" in line or "relay_failed" in line] == []
