"""What `key2key maintain` does, once a night, say: periodic jobs at once, rows and files of nobody, statistics."""

import re
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Delete, delete, select, text, tuple_, update
from sqlalchemy.ext.asyncio import AsyncEngine

from src.core import clock, schedule
from src.core.config import Settings
from src.core.database import Base, transaction
from src.core.events import EventRecord, HandledEvent
from src.core.schedule import JobRow

MAIL_KEPT = timedelta(days=30)
BATCH = 10_000
# So that a job which always has more does not keep the rest from being done.
MOST_ROUNDS = 1000


async def maintain(engine: AsyncEngine, settings: Settings) -> AsyncIterator[str]:
    """Each thing that was done, in a line. All of it may be done at any time, and again."""
    yield f"Ran periodic jobs, {await _run_jobs()} times"
    yield f"Removed {await _remove_claims()} claims on events that are gone"
    yield f"Removed {await _remove_jobs()} jobs that no module has any more"
    yield f"Removed {_remove(_old_mail(settings))} mails of over {MAIL_KEPT.days} days"
    yield f"Removed {_remove(_old_logs(settings))} log files beyond the {settings.log.file_count} kept"
    yield f"Vacuumed and analysed {await _vacuum(engine)} tables"


async def _run_jobs() -> int:
    """Jobs look for what is due by themselves: called early they find less to do. One that runs now is left alone."""
    async with transaction() as session:
        idle = select(JobRow.name).with_for_update(skip_locked=True).cte("idle")
        await session.execute(update(JobRow).where(JobRow.name == idle.c.name).values(due_at=clock.now()))
    runs = 0
    for _ in range(MOST_ROUNDS):
        ran = await schedule.tick()
        if not ran:
            break
        runs += ran
    return runs


async def _remove_claims() -> int:
    is_known = select(EventRecord.id).where(EventRecord.id == HandledEvent.event_id).exists()
    identity = (HandledEvent.handler, HandledEvent.event_id)
    some = select(*identity).where(~is_known).limit(BATCH)
    return await _remove_rows(delete(HandledEvent).where(tuple_(*identity).in_(some)))


async def _remove_rows(some: Delete) -> int:
    """Batch by batch, so that nobody waits for a lock for long."""
    removed = 0
    while True:
        async with transaction() as session:
            batch: int = (await session.execute(some.execution_options(synchronize_session=False))).rowcount  # type: ignore[attr-defined]
        removed += batch
        if batch < BATCH:
            return removed


async def _remove_jobs() -> int:
    return await _remove_rows(delete(JobRow).where(JobRow.name.not_in(schedule.names())))


def _old_mail(settings: Settings) -> Iterator[Path]:
    """Mail that was written to files, since no server is set."""
    until = (clock.now() - MAIL_KEPT).timestamp()
    yield from (path for path in (settings.data_dir / "mail").rglob("*.eml") if path.stat().st_mtime < until)


def _old_logs(settings: Settings) -> Iterator[Path]:
    """Rotated log files with a number that is no longer reached, since fewer are kept than once were."""
    if (log := settings.log.file) is None:
        return
    for path in log.parent.glob(f"{log.name}.*"):
        number = path.name.removeprefix(f"{log.name}.")
        if re.fullmatch("[0-9]+", number) and int(number) > settings.log.file_count:
            yield path


def _remove(paths: Iterator[Path]) -> int:
    found = list(paths)
    for path in found:
        path.unlink(missing_ok=True)
    return len(found)


async def _vacuum(engine: AsyncEngine) -> int:
    names = [table.name for table in Base.metadata.sorted_tables]
    async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        await connection.execute(text("SET statement_timeout = 0"))
        await connection.execute(text(f"VACUUM (ANALYZE) {', '.join(names)}"))
        await connection.invalidate()  # the pool's connections have the limit
    return len(names)
