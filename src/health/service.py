"""What waits to be done, as the database knows it."""

from datetime import timedelta

from sqlalchemy import func, select

from src.core import clock, metrics
from src.core.database import independent
from src.core.events import OutboxMessage
from src.core.schedule import JobRow

# A job may wait for the one before it.
OVERDUE = timedelta(minutes=5)


async def measure_backlog() -> None:
    """Tell the metrics what is in the outbox, and which jobs are late."""
    now = clock.now()
    due = func.min(OutboxMessage.next_attempt_at).filter(OutboxMessage.next_attempt_at <= now)
    outbox = select(func.count(), func.count().filter(OutboxMessage.attempts > 0), due).select_from(OutboxMessage)
    is_late, has_failed = JobRow.due_at < now - OVERDUE, JobRow.failures > 0
    jobs = select(func.count().filter(is_late), func.count().filter(has_failed)).select_from(JobRow)
    async with independent() as session:
        waiting, failing, oldest = (await session.execute(outbox)).one()
        late, failed = (await session.execute(jobs)).one()
    metrics.OUTBOX_MESSAGES.set(waiting)
    metrics.OUTBOX_FAILING.set(failing)
    metrics.OUTBOX_LAG_SECONDS.set((now - oldest).total_seconds() if oldest else 0)
    metrics.JOBS_OVERDUE.set(late)
    metrics.JOBS_FAILING.set(failed)
