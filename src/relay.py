"""From the outbox to the handlers. Without a broker the relay runs them itself, in this process.

Several relays at once are fine: each takes rows that nobody else holds.
"""

import asyncio
import importlib
import pkgutil
from datetime import timedelta

import structlog
from sqlalchemy import delete, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

import src
from src.core import clock, events
from src.core.database import transaction
from src.core.events import Event, EventRecord, OutboxMessage

log = structlog.get_logger(__name__)

BATCH = 50
IDLE_SECONDS = 0.5
OUTAGE_SECONDS = 2.0
LONGEST_DELAY_SECONDS = 3600


def subscribe_all() -> None:
    """Import every module's `tasks`, so that its `@on` handlers are known."""
    for module in pkgutil.iter_modules(src.__path__, f"{src.__name__}."):
        if module.ispkg and importlib.util.find_spec(f"{module.name}.tasks"):
            importlib.import_module(f"{module.name}.tasks")


async def run() -> None:
    """Deliver until cancelled; a database that is away is waited for."""
    while True:
        try:
            delivered = await deliver_batch()
        except (SQLAlchemyError, OSError) as exc:
            log.warning("relay_waits", error=type(exc).__name__)
            await asyncio.sleep(OUTAGE_SECONDS)
        except Exception:
            log.exception("relay_failed")
            await asyncio.sleep(OUTAGE_SECONDS)
        else:
            if delivered < BATCH:
                await asyncio.sleep(IDLE_SECONDS)


async def deliver_batch() -> int:
    """Deliver what is due, oldest first; how many messages were taken.

    The rows stay locked, so that no other relay takes them, while each handler commits on its own.
    """
    async with transaction() as session:
        due = await session.execute(
            select(OutboxMessage, EventRecord)
            .join(EventRecord, EventRecord.id == OutboxMessage.event_id)
            .where(OutboxMessage.next_attempt_at <= clock.now())
            .order_by(OutboxMessage.next_attempt_at, OutboxMessage.event_id)
            .limit(BATCH)
            .with_for_update(of=OutboxMessage, skip_locked=True)
        )
        rows = due.all()
        done = [message.event_id for message, record in rows if await _deliver(session, message, record)]
        if done:
            await session.execute(delete(OutboxMessage).where(OutboxMessage.event_id.in_(done)))
    return len(rows)


async def _deliver(session: AsyncSession, message: OutboxMessage, record: EventRecord) -> bool:
    """Whether every handler has done the event; what failed is tried again, later each time."""
    handlers = events.handlers_of(record.name)
    if not handlers:
        return True
    try:
        event = Event.registry[record.name].model_validate(record.data)
        for handler in handlers:
            await events.handle_once(handler, record.id, event)
    except Exception as exc:
        log.exception("handler_failed", event_name=record.name, event_id=str(record.id), attempt=message.attempts + 1)
        await session.execute(
            update(OutboxMessage)
            .where(OutboxMessage.event_id == message.event_id)
            .values(
                attempts=message.attempts + 1,
                last_error=type(exc).__name__,
                next_attempt_at=clock.now() + _delay(message.attempts),
            )
        )
        return False
    return True


def _delay(attempts: int) -> timedelta:
    """Twice as long each time, up to an hour."""
    return timedelta(seconds=min(2 ** min(attempts, 12), LONGEST_DELAY_SECONDS))
