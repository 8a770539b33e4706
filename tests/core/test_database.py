"""One request, one transaction, committed before the answer leaves; and the traces that outlive it."""

from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

import pytest
from fastapi import Depends
from httpx import ASGITransport, AsyncClient
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from src.core import audit, database
from src.core.audit import AuditEntry
from src.core.database import get_session, independent, transaction
from src.core.dependencies import SessionDep
from src.core.errors import Conflict
from src.core.strict import Router
from src.main import create_app

PROMISE = text("INSERT INTO promises (number) VALUES (1), (1)")
ACTOR = UUID("01a1fc10-b727-7426-85ce-320caeac1522")


async def _promise(session: SessionDep) -> dict[str, bool]:
    await session.execute(PROMISE)
    return {"saved": True}


async def _promise_too_late(session: Annotated[AsyncSession, Depends(get_session)]) -> dict[str, bool]:
    await session.execute(PROMISE)
    return {"saved": True}


async def _deny(session: SessionDep) -> None:
    await session.execute(text("INSERT INTO promises (number) VALUES (7)"))
    async with independent() as trace:
        audit.record(trace, "test.denied", actor_id=ACTOR, subject_id=None, why="because")
    raise Conflict


@pytest.fixture
async def promises(committed: None, engine: AsyncEngine) -> AsyncIterator[AsyncClient]:
    """A client of routes on a table whose constraint is checked no earlier than at the commit."""
    async with engine.begin() as connection:
        deferred = "CONSTRAINT uq_promises_number UNIQUE DEFERRABLE INITIALLY DEFERRED"
        await connection.execute(text(f"CREATE TABLE promises (number integer {deferred})"))
    router, app = Router(), create_app()
    for path, endpoint in (("/promise", _promise), ("/promise-too-late", _promise_too_late), ("/deny", _deny)):
        router.add_api_route(path, endpoint, methods=["POST"])
    app.include_router(router)
    transport = ASGITransport(app, raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="http://test") as client:
        yield client
    async with engine.begin() as connection:
        await connection.execute(text("DROP TABLE promises"))


async def _kept() -> list[int]:
    async with transaction() as session:
        return list(await session.scalars(text("SELECT number FROM promises")))


async def test_a_commit_that_fails_is_answered_as_a_failure(promises: AsyncClient) -> None:
    answer = await promises.post("/promise")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert answer.json()["errors"][0]["pointer"] == "/number"
    assert await _kept() == []


async def test_with_the_default_scope_the_same_failure_would_have_answered_success(promises: AsyncClient) -> None:
    answer = await promises.post("/promise-too-late")
    assert (answer.status_code, answer.json()) == (200, {"saved": True})
    assert await _kept() == []


async def test_what_is_written_independently_survives_the_rollback_of_the_request(promises: AsyncClient) -> None:
    answer = await promises.post("/deny", headers={"X-Request-ID": "denied-request-1"})
    assert answer.status_code == 409
    assert await _kept() == []
    async with transaction() as session:
        [entry] = await session.scalars(select(AuditEntry))
    assert (entry.action, entry.actor_id, entry.request_id) == ("test.denied", ACTOR, "denied-request-1")


async def test_a_transaction_that_fails_leaves_nothing(promises: AsyncClient) -> None:
    with pytest.raises(IntegrityError):
        async with transaction() as session:
            await session.execute(PROMISE)
    assert await _kept() == []


async def test_connections_carry_our_timeouts_and_speak_utc(engine: AsyncEngine) -> None:
    wanted = {"statement_timeout": "15s", "lock_timeout": "5s", "TimeZone": "UTC", "application_name": "key2key"}
    async with engine.connect() as connection:
        for name, value in wanted.items():
            assert await connection.scalar(text(f"SHOW {name}")) == value


async def test_errors_of_the_database_do_not_repeat_values(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        with pytest.raises(Exception, match="hidden due to hide_parameters") as caught:
            await connection.execute(text("SELECT 1 / (length(:secret) - 7)"), {"secret": "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_ids_are_version_7_and_in_the_order_of_their_making() -> None:
    ids = [database.new_id() for _ in range(1000)]
    assert {made.version for made in ids} == {7}
    assert ids == sorted(ids)


@pytest.mark.parametrize("url", ["postgres://u:p@h:1/d", "postgresql://u:p@h:1/d", "postgresql+psycopg://u:p@h:1/d"])
def test_any_postgresql_address_is_spoken_to_through_asyncpg(url: str) -> None:
    made = database.async_url(url)
    assert made.render_as_string(hide_password=False) == "postgresql+asyncpg://u:p@h:1/d"
