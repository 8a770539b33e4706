"""Clients that go away in the middle: what they began is done or undone, and no connection stays taken."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from src.cli import _uvicorn_config
from src.core import config
from tests.factories import Person, World, vehicle_data

pytestmark = pytest.mark.usefixtures("committed")

PATH = "/api/v1/vehicles"
ROUNDS = 5
# A vehicle is five rows; anything in between would be half of one.
ROWS = {
    "listings": "SELECT count(*) FROM listings",
    "vehicles": "SELECT count(*) FROM vehicles JOIN listings ON id = listing_id",
    "listing_prices": "SELECT count(*) FROM listing_prices",
    "events": "SELECT count(*) FROM events WHERE name = 'listing.created'",
    "outbox": "SELECT count(*) FROM outbox",
}


def connections(engine: AsyncEngine) -> tuple[int, int]:
    """How many are taken, and how many there are."""
    pool: Any = engine.pool
    return pool.checkedout(), pool.checkedout() + pool.checkedin()


async def rows(engine: AsyncEngine) -> dict[str, int]:
    async with engine.connect() as connection:
        return {name: int(await connection.scalar(text(counted)) or 0) for name, counted in ROWS.items()}


async def open_transactions(engine: AsyncEngine) -> int:
    """How many clients of this database have one, ourselves aside."""
    others = "backend_type = 'client backend' AND datname = current_database() AND pid <> pg_backend_pid()"
    async with engine.connect() as connection:
        counted = f"SELECT count(*) FROM pg_stat_activity WHERE xact_start IS NOT NULL AND {others}"  # noqa: S608
        return int(await connection.scalar(text(counted)) or 0)


async def until(is_so: Callable[[], bool]) -> None:
    """Give way to everybody else until it is so."""
    async with asyncio.timeout(10):
        while not is_so():  # noqa: ASYNC110 - nobody tells when the pool changes
            await asyncio.sleep(0)


async def assert_nothing_is_left_over(engine: AsyncEngine, client: AsyncClient, owner: Person) -> int:
    """Every vehicle is whole, no transaction is open, and the application goes on; how many vehicles there are."""
    await until(lambda: connections(engine)[0] == 0)
    assert connections(engine)[1] <= config.settings().database.pool_size
    found = await rows(engine)
    assert len(set(found.values())) == 1, found
    async with asyncio.timeout(10):
        # PostgreSQL takes its time to notice that a client is gone.
        while await open_transactions(engine):  # noqa: ASYNC110 - nobody tells when one has ended
            await asyncio.sleep(0)
    own = await client.get("/api/v1/users/me/listings", params={"limit": 1}, headers=owner.headers)
    assert own.status_code == 200
    return found["listings"]


def scope_of(owner: Person, body: bytes) -> dict[str, Any]:
    headers = owner.headers | {"Content-Type": "application/json", "Content-Length": str(len(body))}
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": PATH,
        "raw_path": PATH.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 50000),
        "server": ("test", 80),
    }


async def create(app: FastAPI, owner: Person) -> list[int]:
    """Save a draft without a server between; the statuses that were sent."""
    body = json.dumps(vehicle_data()).encode()
    sent: list[int] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.extend([message["status"]] if message["type"] == "http.response.start" else [])

    await app(scope_of(owner, body), receive, send)
    return sent


@contextmanager
def cancelling(engine: AsyncEngine, moment: str, at: int) -> Iterator[list[int]]:
    """Cancel the task that brings the database to this moment for the `at`th time; what is yielded counts them."""
    times = [0]

    def strike(*_: Any) -> None:
        times[0] += 1
        if times[0] == at and (task := asyncio.current_task()):
            task.cancel()

    event.listen(engine.sync_engine, moment, strike)
    try:
        yield times
    finally:
        event.remove(engine.sync_engine, moment, strike)


@pytest.mark.parametrize("moment", ["before_cursor_execute", "after_cursor_execute", "begin", "commit", "checkout"])
async def test_D05_a_request_cancelled_anywhere_is_whole_or_nothing(
    app: FastAPI, client: AsyncClient, world: World, engine: AsyncEngine, moment: str
) -> None:
    owner = await world.person()
    cancelled = finished = 0
    for _ in range(ROUNDS):
        for at in count(1):
            request = asyncio.create_task(create(app, owner))
            with cancelling(engine, moment, at) as times, suppress(asyncio.CancelledError):
                finished += await request == [201]
            cancelled += request.cancelled()
            if times[0] < at:
                break
    assert finished >= ROUNDS
    assert cancelled >= ROUNDS
    assert finished <= await assert_nothing_is_left_over(engine, client, owner) <= finished + cancelled


async def test_D05_requests_cancelled_together_give_every_connection_back(
    app: FastAPI, client: AsyncClient, world: World, engine: AsyncEngine
) -> None:
    owner = await world.person()
    requests = [asyncio.create_task(create(app, owner)) for _ in range(100)]
    await until(lambda: connections(engine)[0] == config.settings().database.pool_size)
    for request in requests:
        request.cancel()
    await asyncio.gather(*requests, return_exceptions=True)
    assert all(request.done() for request in requests)
    await assert_nothing_is_left_over(engine, client, owner)


@pytest.fixture
async def server(app: FastAPI) -> AsyncIterator[int]:
    """The application behind a real server; its port."""
    made = _uvicorn_config(app, config.settings().model_copy(update={"port": 0}))
    made.lifespan = "off"
    made.load()
    running = uvicorn.Server(made)
    running.lifespan = made.lifespan_class(made)
    await running.startup()
    yield running.servers[0].sockets[0].getsockname()[1]
    await running.shutdown()


async def hang_up(port: int, sent: bytes) -> None:
    """Send it and leave without waiting for an answer; the server sees a reset."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    await writer.drain()
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()


async def test_D05_clients_that_hang_up_leave_whole_vehicles_or_none(
    server: int, client: AsyncClient, world: World, engine: AsyncEngine
) -> None:
    owner = await world.person()
    body = json.dumps(vehicle_data()).encode()
    lines = [f"POST {PATH} HTTP/1.1", "Host: test", *(f"{name}: {value}" for name, value in owner.headers.items())]
    head = "\r\n".join([*lines, "Content-Type: application/json", f"Content-Length: {len(body)}", "", ""]).encode()
    whole = head + body
    for _ in range(3):
        await asyncio.gather(*(hang_up(server, whole[: len(whole) - cut]) for cut in range(0, len(whole), 11)))
    status = await exchange(server, whole)
    assert status == 201
    assert await assert_nothing_is_left_over(engine, client, owner) >= 1


async def exchange(port: int, sent: bytes) -> int:
    """The status of the answer that somebody gets who waits for it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    status = int((await reader.readline()).split()[1])
    writer.close()
    await writer.wait_closed()
    return status
