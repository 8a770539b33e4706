"""Liveness asks nobody; readiness tells of each dependency, and recovers when they do."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from sqlalchemy.engine import make_url

from src.core.config import Settings
from src.main import create_app

READY = {"status": "ready", "dependencies": {"database": "up", "redis": "up"}}


async def test_O14_liveness_asks_nothing(
    client: AsyncClient, count_queries: Callable[[], AbstractContextManager[list[str]]], app: FastAPI
) -> None:
    del app.state.redis
    with count_queries() as statements:
        answer = await client.get("/health/live")
    assert (answer.status_code, answer.json(), statements) == (200, {"status": "alive"}, [])


async def test_O14_readiness_asks_each_dependency(
    client: AsyncClient, count_queries: Callable[[], AbstractContextManager[list[str]]]
) -> None:
    with count_queries() as statements:
        answer = await client.get("/health/ready")
    assert (answer.status_code, answer.json(), len(statements)) == (200, READY, 1)


async def test_Z11_health_tells_no_versions_and_no_addresses(client: AsyncClient) -> None:
    for path in ("/health/live", "/health/ready"):
        answer = await client.get(path)
        assert not [
            word for word in ("version", "postgres", "127.0.0.1", "18.", "0.1.0") if word in answer.text.lower()
        ]


class Gate:
    """Stands between an application and PostgreSQL, and can be shut."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []
        self.port = 0

    @property
    def url(self) -> str:
        """The database behind the gate."""
        through = self._url.set(drivername="postgresql", host="127.0.0.1", port=self.port, query={})
        return through.render_as_string(hide_password=False)

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        assert self._server is not None
        self._server.close()
        await _cut(self._writers)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        folder = self._url.query.get("host")
        if isinstance(folder, str):
            there = await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.5432")
        else:
            there = await asyncio.open_connection(self._url.host, self._url.port or 5432)
        self._writers += [writer, there[1]]
        await asyncio.gather(_pump(reader, there[1]), _pump(there[0], writer))


async def _cut(writers: list[asyncio.StreamWriter]) -> None:
    while writers:
        writer = writers.pop()
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while sent := await reader.read(65_536):
            writer.write(sent)
            await writer.drain()
    writer.close()


@pytest.fixture
async def gate(database_url: str) -> AsyncIterator[Gate]:
    made = Gate(database_url)
    await made.open()
    yield made
    await made.shut()


@asynccontextmanager
async def serving(**overrides: Any) -> AsyncIterator[AsyncClient]:
    """A client of an application with servers of its own, started as a server would start it."""
    app = create_app(Settings(**overrides))
    async with (
        app.router.lifespan_context(app),
        AsyncClient(transport=ASGITransport(app), base_url="http://test") as client,
    ):
        yield client


async def test_O14_without_the_database_it_lives_is_not_ready_and_recovers_by_itself(gate: Gate) -> None:
    async with serving(database={"url": gate.url}) as client:
        assert (await client.get("/health/ready")).json() == READY
        for _ in range(2):
            await gate.shut()
            away = await client.get("/health/ready")
            assert away.status_code == 503
            assert away.json() == {"status": "not_ready", "dependencies": {"database": "down", "redis": "up"}}
            assert (await client.get("/health/live")).status_code == 200
            search = await client.get("/api/v1/listings")
            assert (search.status_code, search.json()["code"]) == (503, "unavailable")
            assert search.headers["Retry-After"] == "2"
            await gate.open()
            assert (await client.get("/health/ready")).json() == READY
            assert (await client.get("/api/v1/listings")).status_code == 200


async def test_O14_it_starts_while_the_database_is_away(gate: Gate) -> None:
    await gate.shut()
    async with serving(database={"url": gate.url}) as client:
        assert (await client.get("/health/live")).status_code == 200
        assert (await client.get("/health/ready")).status_code == 503
        await gate.open()
        assert (await client.get("/health/ready")).json() == READY


async def test_O14_a_database_that_does_not_answer_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("src.health.router.TIMEOUT_SECONDS", 0.2)
    writers: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _, writer: writers.append(writer), "127.0.0.1")
    port = silent.sockets[0].getsockname()[1]
    async with serving(database={"url": f"postgresql://k2k@127.0.0.1:{port}/k2k", "pool_timeout": 0.5}) as client:
        answer = await client.get("/health/ready")
    silent.close()
    await _cut(writers)
    assert (answer.status_code, answer.json()["dependencies"]["database"]) == (503, "down")


async def test_O14_without_redis_it_is_ready_and_says_so(gate: Gate) -> None:
    async with serving(database={"url": gate.url}, redis={"url": "redis://127.0.0.1:1"}) as client:
        answer = await client.get("/health/ready")
        assert answer.status_code == 200
        assert answer.json() == {"status": "ready", "dependencies": {"database": "up", "redis": "down"}}
        assert (await client.get("/api/v1/listings")).status_code == 200
