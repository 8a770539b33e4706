"""Facts and audit entries are append-only; events carry the request they came from."""

from typing import Any

import pytest
import structlog
from httpx import AsyncClient
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from src.core import audit, database
from src.core.audit import AuditEntry
from src.core.events import Event, EventRecord, emit
from tests.factories import World


class CandleLit(Event, name="test.candle_lit"):
    """Something happened."""

    colour: str


@pytest.mark.parametrize("table", ["events", "audit_log"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET data = '{{}}'", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
async def test_append_only_tables_refuse_change(committed: None, table: str, statement: str) -> None:
    async with database.transaction() as session:
        await emit(session, CandleLit(colour="red"))
        audit.record(session, "test.lit", actor_id=None, subject_id=None, colour="red")
    with pytest.raises(DBAPIError, match="append-only"):
        async with database.transaction() as session:
            await session.execute(text(statement.format(table)))
    async with database.transaction() as session:
        model: Any = EventRecord if table == "events" else AuditEntry
        assert (await session.scalars(select(model.data))).one() == {"colour": "red"}


async def test_an_event_names_the_request_it_came_from(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    request_id = "a-request-of-ours"
    with structlog.contextvars.bound_contextvars():
        answer = await client.patch(
            "/api/v1/users/me", json={"about": "Cars"}, headers=owner.headers | {"X-Request-ID": request_id}
        )
    assert answer.status_code == 200
    async with database.transaction() as session:
        [fact] = await session.scalars(select(EventRecord).where(EventRecord.name == "user.edited"))
    assert (fact.request_id, fact.actor_id) == (request_id, owner.id)
    assert fact.data == {"user_id": str(owner.id), "fields": ["about"]}


def test_two_events_cannot_share_a_name() -> None:
    with pytest.raises(ValueError, match=r"test\.candle_lit"):
        type("Other", (Event,), {"__module__": __name__}, name="test.candle_lit")
