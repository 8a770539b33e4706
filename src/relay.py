"""From the outbox to the handlers: through RabbitMQ, or without one straight to them, in this process.

Several relays at once are fine: each takes rows that nobody else holds. A committed `emit` wakes them (NOTIFY, by a
trigger); looking again after a while is the net.
"""

import asyncio
import importlib
import pkgutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import structlog
from aio_pika.abc import AbstractChannel
from sqlalchemy import ColumnElement, Row, delete, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from structlog.contextvars import bound_contextvars

import src
from src.core import broker, clock, database, events, metrics
from src.core.broker import Publisher, Queue, Task
from src.core.config import AmqpSettings
from src.core.database import transaction
from src.core.events import Event, EventRecord, Handler, OutboxMessage

log = structlog.get_logger(__name__)

CHANNEL = "outbox"
BATCH = 50
PUBLISHED_AT_ONCE = 200
POLL_SECONDS = 1.0
SHORTEST_OUTAGE_SECONDS, LONGEST_OUTAGE_SECONDS = 0.5, 5.0
LONGEST_DELAY_SECONDS = 3600
NEWER_VERSION_SECONDS = 30
UNKNOWN = "UnknownEvent"
# Less than PostgreSQL lets a transaction do nothing.
HANDLER_SECONDS = 50

Fact = Row[UUID, str, str | None, int, bool]

Deliver = Callable[[], Awaitable[int]]


def subscribe_all() -> None:
    """Import every module's `tasks`, so that its `@on` handlers and its jobs are known."""
    for module in pkgutil.iter_modules(src.__path__, f"{src.__name__}."):
        if module.ispkg and importlib.util.find_spec(f"{module.name}.tasks"):
            importlib.import_module(f"{module.name}.tasks")


async def run(config: AmqpSettings) -> None:
    """Deliver until cancelled; a database or a broker that is away is waited for, longer each time."""
    outage = SHORTEST_OUTAGE_SECONDS
    while True:
        try:
            async with AsyncExitStack() as stack:
                deliver: Deliver = deliver_batch
                if config.url is not None:
                    channel = await stack.enter_async_context(broker.connected(config))
                    watching = asyncio.create_task(_watch(channel))
                    stack.callback(watching.cancel)
                    deliver = partial(publish_batch, await broker.publisher(channel))
                woken = await stack.enter_async_context(database.listening(CHANNEL))
                while not woken.is_over:
                    if not await deliver():
                        outage = SHORTEST_OUTAGE_SECONDS
                        await woken.wait(POLL_SECONDS)
        except (SQLAlchemyError, *broker.BROKER_ERRORS) as exc:
            log.warning("relay_waits", error=type(exc).__name__, seconds=outage)
        except Exception:
            log.exception("relay_failed")
        await asyncio.sleep(outage)
        outage = min(outage * 2, LONGEST_OUTAGE_SECONDS)


async def _watch(channel: AbstractChannel) -> None:
    """Tell how long the queues are, until cancelled or the connection ends."""
    with suppress(*broker.BROKER_ERRORS):
        while True:
            for queue, messages in (await broker.depths(channel)).items():
                metrics.QUEUE_DEPTH.labels(queue).set(messages)
            await asyncio.sleep(metrics.SAMPLE_SECONDS)


async def publish_batch(publisher: Publisher) -> int:
    """Publish what is due, oldest first; how many events were taken.

    The rows go when RabbitMQ has confirmed their messages. Whoever dies in between publishes them again, under the same
    ids.

    Raises:
        broker.BROKER_ERRORS: nothing was confirmed to us, and the rows stay as they were.
    """
    async with transaction() as session:
        due = await _take(session, clock.now(), PUBLISHED_AT_ONCE)
        known = [fact for fact in due if fact.name in Event.registry]
        unknown = [fact for fact in due if fact.name not in Event.registry]
        await publisher.publish([task for fact in known for task in _tasks(fact)])
        await session.execute(delete(OutboxMessage).where(OutboxMessage.event_id.in_([fact.id for fact in known])))
        # Emitted by a newer version, whose relay knows who waits for them.
        await _put_off(session, [fact.id for fact in unknown], NEWER_VERSION_SECONDS, UNKNOWN)
    return len(due)


def _tasks(fact: Fact) -> list[Task]:
    return [
        Task(handler.name, fact.id, fact.request_id, _queue(handler, fact)) for handler in events.handlers_of(fact.name)
    ]


def _queue(handler: Handler, fact: Fact) -> Queue:
    return Queue.BULK if fact.is_bulk and handler.queue is Queue.DEFAULT else handler.queue


async def deliver_batch() -> int:
    """Have the handlers do what is due now, oldest first; how many events were taken."""
    until = clock.now()
    return await _deliver_quick(until) + await _deliver_slow(until)


async def _deliver_quick(until: datetime) -> int:
    """Many in one transaction, each handler behind a savepoint: on a small machine it is commits that take the time."""
    async with transaction() as session:
        due = await _take(session, until, BATCH, EventRecord.name.not_in(_slow()))
        connection = await session.connection()
        await _settle(session, {fact: await _failures(fact, connection) for fact in due})
    return len(due)


async def _deliver_slow(until: datetime) -> int:
    """One whose handlers take their time, or call somebody: each in its own transactions, within a limit."""
    async with transaction() as session:
        due = await _take(session, until, 1, EventRecord.name.in_(_slow()))
        await _settle(session, {fact: await _failures(fact, None) for fact in due})
    return len(due)


def _slow() -> list[str]:
    return [name for name in Event.registry if any(one.queue != Queue.DEFAULT for one in events.handlers_of(name))]


async def _settle(session: AsyncSession, outcomes: Mapping[Fact, list[str]]) -> None:
    """What was done leaves the outbox; what failed is tried again, later each time."""
    done = [fact.id for fact, failures in outcomes.items() if not failures]
    await session.execute(delete(OutboxMessage).where(OutboxMessage.event_id.in_(done)))
    for fact, failures in outcomes.items():
        if failures:
            await _put_off(session, [fact.id], _delay(fact.attempts), failures[0])


async def _failures(fact: Fact, connection: AsyncConnection | None) -> list[str]:
    """Have every handler do the event; of what some have failed."""
    if fact.name not in Event.registry:
        return [UNKNOWN]
    attempts = [await _failure(handler, fact, connection) for handler in events.handlers_of(fact.name)]
    return [error for error in attempts if error]


async def _failure(handler: Handler, fact: Fact, connection: AsyncConnection | None) -> str | None:
    """Have the handler do the event; if it fails, of what."""
    try:
        async with asyncio.timeout(None if connection else HANDLER_SECONDS):
            await events.handle(handler, fact.id, fact.request_id, connection)
    except Exception as exc:
        if connection is not None and connection.invalidated:
            # The shared transaction is lost, and with it what the others did: no failure of this handler's.
            raise
        with bound_contextvars(request_id=fact.request_id, event_id=str(fact.id), handler=handler.name):
            log.exception("handler_failed", event_name=fact.name, attempt=fact.attempts + 1)
        return type(exc).__name__
    return None


async def _take(session: AsyncSession, until: datetime, most: int, *which: ColumnElement[bool]) -> Sequence[Fact]:
    due = await session.execute(
        select(EventRecord.id, EventRecord.name, EventRecord.request_id, OutboxMessage.attempts, OutboxMessage.is_bulk)
        .join(OutboxMessage, OutboxMessage.event_id == EventRecord.id)
        .where(OutboxMessage.next_attempt_at <= until, *which)
        .order_by(OutboxMessage.is_bulk, OutboxMessage.next_attempt_at, OutboxMessage.event_id)
        .limit(most)
        .with_for_update(of=OutboxMessage, skip_locked=True)
    )
    return due.all()


async def _put_off(session: AsyncSession, event_ids: list[UUID], seconds: float, error: str) -> None:
    if not event_ids:
        return
    await session.execute(
        update(OutboxMessage)
        .where(OutboxMessage.event_id.in_(event_ids))
        .values(
            attempts=OutboxMessage.attempts + 1,
            last_error=error,
            next_attempt_at=clock.now() + timedelta(seconds=seconds),
        )
    )


def _delay(attempts: int) -> int:
    """Seconds; twice as long each time, up to an hour."""
    return int(min(2 ** min(attempts, 12), LONGEST_DELAY_SECONDS))
