"""One way to go async: `emit` a fact; higher modules subscribe with `@on`.

`emit` writes the fact to `events` (append-only) and a row to `outbox` in the caller's transaction. The relay takes
them to each handler, which runs in a transaction that first claims `(handler, event)`, so that its effects in our
database happen exactly once, however often the event is delivered.
"""

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, TypeVar
from uuid import UUID

import structlog
from pydantic import BaseModel, ConfigDict
from sqlalchemy import ForeignKey, Index, Row, Select, select
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Mapped, mapped_column
from structlog.contextvars import bound_contextvars

from src.core import clock, metrics
from src.core.broker import Queue
from src.core.database import Base, new_id, savepoint, transaction

log = structlog.get_logger(__name__)


class Event(BaseModel):
    """A fact in the past tense; ids and changed, non-personal values only. Subclass with `name="noun.verbed"`."""

    model_config = ConfigDict(frozen=True)

    name: ClassVar[str]
    registry: ClassVar[dict[str, type["Event"]]] = {}

    def __init_subclass__(cls, *, name: str | None = None, **options: Any) -> None:
        super().__init_subclass__(**options)
        if name is None:
            return
        if name in Event.registry:
            raise ValueError(f"two events are called {name}")
        cls.name = name
        Event.registry[name] = cls


class EventRecord(Base):
    """An emitted fact, kept for ever; a trigger refuses to change or delete it."""

    __tablename__ = "events"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    occurred_at: Mapped[datetime] = mapped_column(index=True)
    request_id: Mapped[str | None]
    actor_id: Mapped[UUID | None]
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)


class OutboxMessage(Base):
    """An event on its way to its handlers; the row goes when all of them have run."""

    __tablename__ = "outbox"
    __table_args__ = (Index("ix_outbox_is_bulk_next_attempt_at_event_id", "is_bulk", "next_attempt_at", "event_id"),)

    event_id: Mapped[UUID] = mapped_column(ForeignKey("events.id"), primary_key=True)
    is_bulk: Mapped[bool] = mapped_column(default=False)
    next_attempt_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    last_error: Mapped[str | None]


class HandledEvent(Base):
    """Handler H has done event E: the claim that makes a second delivery harmless."""

    __tablename__ = "handled_events"

    handler: Mapped[str] = mapped_column(primary_key=True)
    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    handled_at: Mapped[datetime]


async def emit(session: AsyncSession, *events: Event) -> None:
    """Record facts and queue them for their handlers, in the caller's transaction."""
    await emit_as(session, {new_id(): event for event in events})


async def emit_as(session: AsyncSession, events: Mapping[UUID, Event]) -> None:
    """The same, under ids of the caller's: what is on record already is only queued again, unless it still waits.

    Then `on_outside` handlers are called again; what others have done, they do not do a second time.
    """
    if not events:
        return
    now, context = clock.now(), structlog.contextvars.get_contextvars()
    records = [
        {
            "id": event_id,
            "name": event.name,
            "occurred_at": now,
            "request_id": context.get("request_id"),
            "actor_id": context.get("actor_id"),
            "data": event.model_dump(mode="json"),
        }
        for event_id, event in events.items()
    ]
    messages = [{"event_id": event_id, "next_attempt_at": now, "is_bulk": _is_bulk.get()} for event_id in events]
    await session.execute(insert(EventRecord).on_conflict_do_nothing(), records)
    await session.execute(insert(OutboxMessage).on_conflict_do_nothing(), messages)


_is_bulk: ContextVar[bool] = ContextVar("is_bulk", default=False)


@contextmanager
def bulk() -> Iterator[None]:
    """What is emitted meanwhile comes by the thousand, and lets everything else go first."""
    token = _is_bulk.set(True)
    try:
        yield
    finally:
        _is_bulk.reset(token)


E = TypeVar("E", bound=Event)
Handle = Callable[[AsyncSession, E], Awaitable[None]]
HandleOutside = Callable[[E], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Handler:
    """A subscription under a name that must never change once deployed; `is_outside` runs without a transaction."""

    name: str
    run: Callable[..., Awaitable[None]]
    queue: Queue
    is_outside: bool = False


_handlers: dict[str, list[Handler]] = {}
_current: ContextVar[UUID] = ContextVar("event_id")


def on(event: type[E], *, queue: Queue = Queue.DEFAULT) -> Callable[[Handle[E]], Handle[E]]:
    """Subscribe the decorated `async def handle(session, event)`; its effects in our database happen once."""

    def subscribe(handle: Handle[E]) -> Handle[E]:
        _subscribe(event, Handler(_name(handle), handle, queue))
        return handle

    return subscribe


def on_outside(event: type[E], *, queue: Queue) -> Callable[[HandleOutside[E]], HandleOutside[E]]:
    """Subscribe the decorated `async def handle(event)`, which calls somebody over the network.

    It has short transactions of its own, none while it waits, and must bear being called again.
    """

    def subscribe(handle: HandleOutside[E]) -> HandleOutside[E]:
        _subscribe(event, Handler(_name(handle), handle, queue, is_outside=True))
        return handle

    return subscribe


def _name(handle: Callable[..., object]) -> str:
    return f"{handle.__module__}.{handle.__name__}"


def _subscribe(event: type[Event], handler: Handler) -> None:
    _handlers.setdefault(event.name, []).append(handler)


def handlers_of(name: str) -> list[Handler]:
    """Who subscribed to events of this name."""
    return _handlers.get(name, [])


def handlers() -> dict[str, Handler]:
    """Every handler by its name; one may have subscribed to several events."""
    return {handler.name: handler for subscribed in _handlers.values() for handler in subscribed}


def current_event_id() -> UUID:
    """The event whose handler is running."""
    return _current.get()


async def handle(
    handler: Handler, event_id: UUID, request_id: str | None = None, connection: AsyncConnection | None = None
) -> bool:
    """Have the handler do the event; False if it had done it before, or there is no such event.

    On a connection that is given it is a part of the transaction there, behind a savepoint.

    What is logged, emitted and asked of the database meanwhile goes back to the request that it all began with.

    Raises:
        ValidationError: the fact is not as this version of its class says.
    """
    started = time.perf_counter()
    token = _current.set(event_id)
    try:
        with bound_contextvars(request_id=request_id, event_id=str(event_id), handler=handler.name, actor_id=None):
            if handler.is_outside:
                is_done = await _handle_outside(handler, event_id)
            else:
                is_done = await _handle_inside(handler, event_id, connection)
            seconds = time.perf_counter() - started
            log.info("event_handled" if is_done else "event_was_handled", ms=round(seconds * 1000, 1))
    except Exception:
        metrics.TASKS.labels(handler.name, "failed").inc()
        raise
    finally:
        _current.reset(token)
    if is_done:
        metrics.TASKS.labels(handler.name, "done").inc()
        metrics.TASK_SECONDS.labels(handler.name).observe(seconds)
    return is_done


async def _handle_inside(handler: Handler, event_id: UUID, connection: AsyncConnection | None) -> bool:
    async with savepoint(connection) if connection else transaction() as session:
        record = (await session.execute(_claimed(handler, event_id))).one_or_none()
        if record is not None:
            await handler.run(session, _event(record))
    return record is not None


async def _handle_outside(handler: Handler, event_id: UUID) -> bool:
    async with transaction() as session:
        record = (await session.execute(_FACT.where(EventRecord.id == event_id))).one_or_none()
    if record is not None:
        await handler.run(_event(record))
    return record is not None


_FACT = select(EventRecord.name, EventRecord.data)


def _claimed(handler: Handler, event_id: UUID) -> Select[Any]:
    """The fact, if it is this call that claims it: one statement does both."""
    claim = (
        insert(HandledEvent)
        .values(handler=handler.name, event_id=event_id, handled_at=clock.now())
        .on_conflict_do_nothing()
        .returning(HandledEvent.event_id)
        .cte("claim")
    )
    return _FACT.join(claim, EventRecord.id == claim.c.event_id)


def _event(record: Row[Any]) -> Event:
    return Event.registry[record.name].model_validate(record.data)
