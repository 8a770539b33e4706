"""Takes away what the core keeps only for a while."""

from datetime import timedelta

from sqlalchemy import Index, delete, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from src.core import clock, idempotency, revocation
from src.core.events import HandledEvent, OutboxMessage
from src.core.schedule import every

BATCH = 1000
# A dead letter that is replayed later than that might have its effect twice.
CLAIMS_KEPT = timedelta(days=365)

Index("ix_handled_events_handled_at", HandledEvent.handled_at)


@every(timedelta(hours=1))
async def forget_answers(session: AsyncSession) -> bool:
    """What was answered to requests with an `Idempotency-Key`, once that has expired."""
    return await idempotency.forget_expired(session, BATCH) == BATCH


@every(timedelta(days=1))
async def forget_revocations(session: AsyncSession) -> bool:
    """The ends of sessions and tokens that have expired since."""
    return await revocation.forget_old(session, BATCH) == BATCH


@every(timedelta(days=1))
async def forget_claims(session: AsyncSession) -> bool:
    """That handlers have done events, unless the event still waits for another handler: all of them would run again."""
    waits = exists().where(OutboxMessage.event_id == HandledEvent.event_id)
    old = select(HandledEvent.handler, HandledEvent.event_id).where(
        HandledEvent.handled_at < clock.now() - CLAIMS_KEPT, ~waits
    )
    found = old.limit(BATCH).with_for_update(of=HandledEvent, skip_locked=True).cte("old")
    gone = delete(HandledEvent).where(
        HandledEvent.handler == found.c.handler, HandledEvent.event_id == found.c.event_id
    )
    forgotten = gone.returning(HandledEvent.handler).execution_options(synchronize_session=False)
    return len((await session.scalars(forgotten)).all()) == BATCH
