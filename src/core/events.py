"""One way to go async: `emit` a fact; higher modules subscribe with `@on`.

`emit` writes the fact to `events` (append-only) and a row to `outbox` in the caller's transaction. The relay takes
outbox rows and runs each handler in a transaction that first claims `(handler, event)`, so that its effects in our
database happen exactly once, however often the event is delivered.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, TypeVar
from uuid import UUID

import structlog
from pydantic import BaseModel, ConfigDict
from sqlalchemy import ForeignKey, Index, insert
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from src.core import clock
from src.core.database import Base, new_id, transaction


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
    __table_args__ = (Index("ix_outbox_next_attempt_at_event_id", "next_attempt_at", "event_id"),)

    event_id: Mapped[UUID] = mapped_column(ForeignKey("events.id"), primary_key=True)
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
    if not events:
        return
    now, context = clock.now(), structlog.contextvars.get_contextvars()
    records = [
        {
            "id": new_id(),
            "name": event.name,
            "occurred_at": now,
            "request_id": context.get("request_id"),
            "actor_id": context.get("actor_id"),
            "data": event.model_dump(mode="json"),
        }
        for event in events
    ]
    await session.execute(insert(EventRecord), records)
    await session.execute(
        insert(OutboxMessage), [{"event_id": record["id"], "next_attempt_at": now} for record in records]
    )


E = TypeVar("E", bound=Event)
Handle = Callable[[AsyncSession, E], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Handler:
    """A subscription: `run(session, event)` under a name that must never change once deployed."""

    name: str
    run: Handle[Any]


_handlers: dict[str, list[Handler]] = {}


def on(event: type[E]) -> Callable[[Handle[E]], Handle[E]]:
    """Subscribe the decorated `async def handle(session, event)`, which may be called again after a failure."""

    def subscribe(handle: Handle[E]) -> Handle[E]:
        name = f"{handle.__module__}.{handle.__name__}"
        _handlers.setdefault(event.name, []).append(Handler(name, handle))
        return handle

    return subscribe


def handlers_of(name: str) -> list[Handler]:
    """Who subscribed to events of this name."""
    return _handlers.get(name, [])


async def handle_once(handler: Handler, event_id: UUID, event: Event) -> bool:
    """Run the handler unless it has done this event before; its effects and the claim commit together."""
    async with transaction() as session:
        claim = upsert(HandledEvent).values(handler=handler.name, event_id=event_id, handled_at=clock.now())
        claimed = await session.scalar(claim.on_conflict_do_nothing().returning(HandledEvent.handler))
        if claimed is not None:
            await handler.run(session, event)
    return claimed is not None
