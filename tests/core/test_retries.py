"""Waits that PostgreSQL ends, transactions that it gives up, and requests that go away: none costs more than itself."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from src.core import config, database
from src.core.config import DatabaseSettings
from src.core.dependencies import ReaderDep, SessionDep
from src.core.events import Event, emit
from src.core.reads import EngineReader, Reader, Statement
from src.core.strict import Router
from src.main import create_app
from tests.conftest import bind
from tests.factories import World

HASTY = DatabaseSettings(pool_size=2, statement_timeout_ms=200, lock_timeout_ms=60, idle_transaction_timeout_ms=60)
# Long enough for a machine that is busy with something else.
PATIENT = DatabaseSettings(
    pool_size=2, statement_timeout_ms=9001, lock_timeout_ms=9002, idle_transaction_timeout_ms=9003
)
SHOWN = {
    "statement_timeout": "9001ms",
    "lock_timeout": "9002ms",
    "idle_in_transaction_session_timeout": "9003ms",
    "TimeZone": "UTC",
    "application_name": "key2key",
}


class CountsCrossed(Event, name="counts.crossed"):
    """Both counts were raised."""

    first: int


class Crossing(BaseModel):
    """Which count to raise first, and which then."""

    first: int
    then: int


class Meeting:
    """Two requests that have each done their first half; whoever comes again does not wait."""

    def __init__(self) -> None:
        self.here = 0
        self.both = asyncio.Event()

    async def wait(self) -> None:
        self.here += 1
        if self.here >= 2:
            self.both.set()
        await self.both.wait()


async def raise_count(session: AsyncSession, number: int) -> None:
    await session.execute(text("UPDATE counts SET count = count + 1 WHERE number = :number"), {"number": number})


def crossing_routes(meeting: Meeting) -> Router:
    router = Router()

    @router.post("/cross")
    async def cross(session: SessionDep, data: Crossing) -> dict[str, bool]:
        await emit(session, CountsCrossed(first=data.first))
        await raise_count(session, data.first)
        await meeting.wait()
        await raise_count(session, data.then)
        return {"done": True}

    @router.post("/read-then-write")
    async def read_then_write(session: SessionDep, data: Crossing) -> dict[str, bool]:
        await session.execute(text("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"))
        await session.execute(text("SELECT sum(count) FROM counts"))
        await meeting.wait()
        await raise_count(session, data.first)
        return {"done": True}

    @router.post("/fail/{state}")
    async def fail(session: SessionDep, state: str) -> None:
        await raise_count(session, 1)
        await session.execute(text(f"DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{state}'; END $$"))

    @router.get("/read/{state}")
    async def read(reader: ReaderDep, state: str) -> None:
        await reader.fetch(Statement(f"SELECT fail('{state}')", (), {}, False), {})

    @router.post("/wait")
    async def wait(session: SessionDep, statement: str) -> None:
        await raise_count(session, 1)
        await session.execute(text(statement))

    @router.post("/do-nothing")
    async def do_nothing(session: SessionDep) -> None:
        await raise_count(session, 1)
        pid = await session.scalar(text("SELECT pg_backend_pid()"))
        async with engine_of(session).connect() as other:
            while await other.scalar(text("SELECT true FROM pg_stat_activity WHERE pid = :pid"), {"pid": pid}):
                await other.rollback()
        await raise_count(session, 1)

    return router


def engine_of(session: AsyncSession) -> AsyncEngine:
    assert isinstance(session.bind, AsyncEngine)
    return session.bind


@pytest.fixture
async def counts(committed: None, engine: AsyncEngine) -> AsyncIterator[AsyncClient]:
    """A client of routes that get in each other's way on the two rows of a table."""
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE counts (number integer PRIMARY KEY, count integer NOT NULL)"))
        await connection.execute(text("INSERT INTO counts VALUES (1, 0), (2, 0)"))
    app = create_app()
    app.include_router(crossing_routes(Meeting()))
    transport = ASGITransport(app, raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="http://test") as client:
        yield client
    async with engine.begin() as connection:
        await connection.execute(text("DROP TABLE counts"))


@pytest.fixture
async def hasty(committed: None, database_url: str, engine: AsyncEngine, pool: Reader) -> AsyncIterator[AsyncEngine]:
    """The application on two connections that wait for nothing."""
    made = database.create_engine(database_url, HASTY)
    bind(made, EngineReader(made))
    yield made
    bind(engine, pool)
    await made.dispose()


async def stored_counts(engine: AsyncEngine) -> list[int]:
    async with engine.connect() as connection:
        return list(await connection.scalars(text("SELECT count FROM counts ORDER BY number")))


async def facts(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        found = await connection.scalar(text("SELECT count(*) FROM events WHERE name = 'counts.crossed'"))
    return int(found or 0)


def codes(answers: list[Response]) -> list[int]:
    return [answer.status_code for answer in answers]


def retried(caplog: pytest.LogCaptureFixture) -> list[tuple[str, int]]:
    """Why, and for which time, a request was run again."""
    entries = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    return [(entry["sqlstate"], entry["attempt"]) for entry in entries if entry["event"] == "transaction_retried"]


async def test_D04_crossed_updates_both_succeed_once(
    counts: AsyncClient, engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    answers = await asyncio.gather(
        counts.post("/cross", json={"first": 1, "then": 2}), counts.post("/cross", json={"first": 2, "then": 1})
    )
    assert codes(list(answers)) == [200, 200]
    assert await stored_counts(engine) == [2, 2]
    assert await facts(engine) == 2
    assert retried(caplog) == [("40P01", 1)]


async def test_D04_what_cannot_be_serialised_is_done_one_after_the_other(
    counts: AsyncClient, engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    answers = await asyncio.gather(
        *(counts.post("/read-then-write", json={"first": number, "then": 0}) for number in (1, 2))
    )
    assert codes(list(answers)) == [200, 200]
    assert await stored_counts(engine) == [1, 1]
    assert retried(caplog) == [("40001", 1)]


@pytest.mark.parametrize("state", ["40P01", "40001"])
async def test_D04_after_three_retries_it_is_unavailable(
    counts: AsyncClient, engine: AsyncEngine, caplog: pytest.LogCaptureFixture, state: str
) -> None:
    answer = await counts.post(f"/fail/{state}")
    assert (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) == (503, "unavailable", "2")
    assert retried(caplog) == [(state, 1), (state, 2), (state, 3)]
    assert await stored_counts(engine) == [0, 0]


async def test_D04_a_hot_read_that_a_replica_gives_up_is_run_again(
    counts: AsyncClient, engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    async with engine.begin() as connection:
        await connection.execute(
            text(
                "CREATE FUNCTION fail(state text) RETURNS void LANGUAGE plpgsql AS"
                " $$ BEGIN RAISE EXCEPTION 'conflict with recovery' USING ERRCODE = state; END $$"
            )
        )
    answer = await counts.get("/read/40001")
    async with engine.begin() as connection:
        await connection.execute(text("DROP FUNCTION fail"))
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert retried(caplog) == [("40001", 1), ("40001", 2), ("40001", 3)]


@pytest.mark.parametrize(("state", "status"), [("55P03", 503), ("57014", 503), ("23505", 409), ("42601", 500)])
async def test_D04_nothing_else_is_tried_again(
    counts: AsyncClient, engine: AsyncEngine, caplog: pytest.LogCaptureFixture, state: str, status: int
) -> None:
    answer = await counts.post(f"/fail/{state}")
    assert answer.status_code == status
    assert retried(caplog) == []
    assert await stored_counts(engine) == [0, 0]


@pytest.mark.parametrize("pgbouncer", [False, True])
async def test_D03_every_connection_has_the_limits_of_the_settings(
    storage: None, database_url: str, pgbouncer: bool
) -> None:
    made = database.create_engine(database_url, PATIENT.model_copy(update={"pgbouncer": pgbouncer}))
    async with made.connect() as one, made.connect() as other:
        for connection in (one, other):
            shown = {name: await connection.scalar(text(f"SHOW {name}")) for name in SHOWN}
            assert shown == SHOWN
            await connection.rollback()
            assert await connection.scalar(text("SHOW statement_timeout")) == "9001ms"
    await made.dispose()


async def test_D03_the_connections_of_traces_have_them_too(committed: None, database_url: str) -> None:
    settings = config.Settings(database=PATIENT.model_dump() | {"url": database_url})
    async with database.connected(settings):
        for maker in (database.transaction, database.independent):
            async with maker() as session:
                assert {name: await session.scalar(text(f"SHOW {name}")) for name in SHOWN} == SHOWN


async def test_D03_a_statement_that_takes_too_long_is_unavailable_and_its_connection_is_used_again(
    counts: AsyncClient, hasty: AsyncEngine, engine: AsyncEngine
) -> None:
    for _ in range(3):
        answer = await counts.post("/wait", params={"statement": "SELECT pg_sleep(30)"})
        assert (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) == (503, "unavailable", "2")
    assert await stored_counts(engine) == [0, 0]
    assert pool_of(hasty) == (0, 1)
    fine = await counts.post("/wait", params={"statement": "SELECT 1"})
    assert (fine.status_code, pool_of(hasty)) == (200, (0, 1))
    assert await stored_counts(engine) == [1, 0]


def pool_of(engine: AsyncEngine) -> tuple[int, int]:
    """How many connections are taken, and how many wait to be."""
    pool: Any = engine.pool
    return pool.checkedout(), pool.checkedin()


async def test_D03_a_lock_that_is_not_free_in_time_is_unavailable_and_nothing_is_half_done(
    app: FastAPI, client: AsyncClient, world: World, engine: AsyncEngine, hasty: AsyncEngine
) -> None:
    owner = await world.person()
    draft = await world.draft(owner)
    url, headers = f"/api/v1/vehicles/{draft['id']}", owner.headers | {"If-Match": "*"}
    async with engine.begin() as holder:
        await holder.execute(text("SELECT FROM listings FOR UPDATE"))
        answers = [await client.patch(url, json={"title": "Too late"}, headers=headers) for _ in range(3)]
        read = await client.get(url, headers=owner.headers)
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(503, "unavailable")] * 3
    assert read.json() == draft
    assert pool_of(hasty)[0] == 0
    assert (await client.patch(url, json={"title": "In time"}, headers=headers)).status_code == 200


async def test_D03_a_transaction_that_does_nothing_is_ended(
    counts: AsyncClient, hasty: AsyncEngine, engine: AsyncEngine
) -> None:
    answer = await counts.post("/do-nothing")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert await stored_counts(engine) == [0, 0]
    assert pool_of(hasty)[0] == 0
    assert (await counts.post("/wait", params={"statement": "SELECT 1"})).status_code == 200
