"""One id from the access log to the database, the event, its handler's log lines and what that emits."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest
import structlog
from httpx import AsyncClient
from sqlalchemy import select, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncSession
from structlog.contextvars import bound_contextvars

from src import relay
from src.core import database, events
from src.core.events import Event, EventRecord, OutboxMessage, emit, on
from src.core.tracing import TracedConnection
from src.listings.events import ListingPublished
from tests.factories import World
from tests.locks import until_somebody_waits

ID = "trace-me.0123_abc"


class WordSpread(Event, name="test.word_spread"):
    """What a handler emits."""


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.INFO):
        yield caplog


def lines(log: pytest.LogCaptureFixture, event: str) -> list[dict[str, Any]]:
    return [record.msg for record in log.records if isinstance(record.msg, dict) and record.msg.get("event") == event]


async def waiting() -> list[str]:
    """What pg_stat_activity calls those who wait for a lock."""
    names = text(
        "SELECT application_name FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with database.independent() as session:
        return list(await session.scalars(names))


async def test_O11_one_id_joins_the_request_its_events_their_handlers_and_what_these_emit(
    committed: None,
    client: AsyncClient,
    world: World,
    log: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(events, "_handlers", {})

    @on(ListingPublished)
    async def spread(session: AsyncSession, event: ListingPublished) -> None:
        structlog.get_logger("test").info("word_spread")
        await emit(session, WordSpread())

    owner = await world.person()
    draft = await world.draft(owner)
    headers = {**owner.headers, "X-Request-ID": ID}
    answer = await client.post(f"/api/v1/listings/{draft['id']}/submit", headers=headers)
    async with database.transaction() as session:
        queued = select(EventRecord.request_id).join(OutboxMessage, OutboxMessage.event_id == EventRecord.id)
        waits = list(await session.scalars(queued.where(EventRecord.name == ListingPublished.name)))
    await relay.deliver_batch()
    async with database.transaction() as session:
        of = {row.name: row for row in await session.scalars(select(EventRecord).where(EventRecord.request_id == ID))}
    [told] = lines(log, "word_spread")
    assert (answer.status_code, answer.headers["X-Request-ID"], waits) == (200, ID, [ID])
    assert ID in [line["request_id"] for line in lines(log, "request")], "the access log"
    assert (told["request_id"], told["event_id"]) == (ID, str(of[ListingPublished.name].id))
    assert WordSpread.name in of


async def test_O11_a_write_that_waits_for_a_lock_is_found_by_its_request(
    committed: None, client: AsyncClient, world: World
) -> None:
    owner = await world.person()
    draft = await world.draft(owner)
    async with database.transaction() as session:
        await session.execute(text("SELECT FROM listings FOR UPDATE"))
        headers = {**owner.headers, "X-Request-ID": ID}
        submitting = asyncio.create_task(client.post(f"/api/v1/listings/{draft['id']}/submit", headers=headers))
        await until_somebody_waits()
        found = await waiting()
    assert (await submitting).status_code == 200
    assert found == [f"key2key {ID}"]


@pytest.mark.parametrize(
    ("request_id", "name", "comment"),
    [
        (ID, f"key2key {ID}", f"BEGIN; /* request_id={ID} */ SET"),
        ("a" * 64, f"key2key {'a' * 55}", f"BEGIN; /* request_id={'a' * 64} */ SET"),
        (None, "key2key", "BEGIN;"),
        ("short", "key2key", "BEGIN;"),
        ("x'; DROP TABLE users; --", "key2key", "BEGIN;"),
        ("*/ SELECT 1; /* 12345", "key2key", "BEGIN;"),
        ("newline\n0123456", "key2key", "BEGIN;"),
    ],
)
async def test_O11_a_transaction_says_whose_it_is_if_that_is_a_sane_id(
    database_url: str, request_id: str | None, name: str, comment: str
) -> None:
    address = make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)
    seen = "SELECT application_name, query FROM pg_stat_activity WHERE pid = $1"
    watcher = await asyncpg.connect(address)
    options = {"application_name": "key2key"}
    connection = await asyncpg.connect(address, connection_class=TracedConnection, server_settings=options)
    try:
        with bound_contextvars(request_id=request_id):
            async with connection.transaction():
                told, query = await watcher.fetchrow(seen, connection.get_server_pid())
            after, _ = await watcher.fetchrow(seen, connection.get_server_pid())
    finally:
        await connection.close()
        await watcher.close()
    assert (told, after) == (name, "key2key")
    assert query.startswith(comment)
