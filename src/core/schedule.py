"""Periodic jobs: `@every(timedelta(minutes=5))`, one row each.

Whoever locks the row runs the job, and its effects commit together with the row's next time: any number of schedulers
run it once a period, and a scheduler that dies in the middle leaves it to the others.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from src.core import clock
from src.core.database import Base, transaction

log = structlog.get_logger(__name__)

TICK_SECONDS = 1.0
LONGEST_DELAY = timedelta(minutes=5)
# By so much two machines may disagree about the time.
CLOCKS_DIFFER = timedelta(minutes=1)

Run = Callable[[AsyncSession], Awaitable[bool | None]]


@dataclass(frozen=True, slots=True)
class Job:
    """Work that comes round; `run(session)` is True while more of it waits, and is then called again at once."""

    name: str
    period: timedelta
    run: Run


class JobRow(Base):
    """When a job is due next, and how it went."""

    __tablename__ = "jobs"

    name: Mapped[str] = mapped_column(primary_key=True)
    period: Mapped[timedelta]
    due_at: Mapped[datetime]
    ran_at: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(default=0)
    last_error: Mapped[str | None]


_jobs: dict[str, Job] = {}


def every(period: timedelta) -> Callable[[Run], Run]:
    """Run the decorated `async def job(session)` once a period, in a transaction of its own.

    Periods that nobody ran in are not made up for. Its name must never change once deployed.
    """

    def register(run: Run) -> Run:
        name = f"{run.__module__}.{run.__name__}"
        _jobs[name] = Job(name, period, run)
        return run

    return register


def names() -> set[str]:
    """What the jobs that there are, are called."""
    return set(_jobs)


async def run() -> None:
    """Run what is due until cancelled; a database that is away is waited for."""
    while True:
        runs = 0
        try:
            runs = await tick()
        except (SQLAlchemyError, OSError) as exc:
            log.warning("schedule_waits", error=type(exc).__name__)
        except Exception:
            log.exception("schedule_failed")
        if not runs:
            await asyncio.sleep(TICK_SECONDS)


async def tick() -> int:
    """Run each job that is due once, the longest due first; how many ran.

    What has more waiting is due still. One that always has keeps none of the others from their turn.
    """
    return sum([await _run_if_due(_jobs[name]) for name in await _due()])


async def _due() -> list[str]:
    async with transaction() as session:
        rows = {row.name: row for row in await session.scalars(select(JobRow).where(JobRow.name.in_(_jobs)))}
        if new := [job for job in _jobs.values() if job.name not in rows or rows[job.name].period != job.period]:
            await _enrol(session, new)
    now = clock.now()
    waiting = [(rows[name].due_at if name in rows else now, name) for name in _jobs]
    return [
        name for due_at, name in sorted(waiting) if due_at <= now or due_at > now + _jobs[name].period + CLOCKS_DIFFER
    ]


async def _enrol(session: AsyncSession, jobs: list[Job]) -> None:
    now = clock.now()
    # In one order for everybody: two that enrol the same ones at once must not wait for each other.
    values = [{"name": job.name, "period": job.period, "due_at": now} for job in sorted(jobs, key=lambda job: job.name)]
    rows = insert(JobRow).values(values)
    await session.execute(rows.on_conflict_do_update(index_elements=["name"], set_={"period": rows.excluded.period}))


async def _run_if_due(job: Job) -> bool:
    """Whether it was due, nobody else had it, and it ran to its end."""
    was_due_at = None
    try:
        async with transaction() as session:
            was_due_at = await session.scalar(
                select(JobRow.due_at).where(JobRow.name == job.name, _is_due(job)).with_for_update(skip_locked=True)
            )
            if was_due_at is None:
                return False
            now = clock.now()
            has_more = await job.run(session)
            due_at = was_due_at if has_more else _next(was_due_at, job.period, now)
            # Not through an object: what the job does to its session must not lose this.
            ran = {"due_at": due_at, "ran_at": now, "failures": 0, "last_error": None}
            await session.execute(update(JobRow).where(JobRow.name == job.name).values(ran))
    except Exception as exc:
        log.exception("job_failed", job=job.name)
        await _put_off(job, was_due_at, type(exc).__name__)
        return False
    return True


def _is_due(job: Job) -> ColumnElement[bool]:
    """Its time has come; or lies further ahead than it can, since the clock was turned back."""
    now = clock.now()
    return or_(JobRow.due_at <= now, JobRow.due_at > now + job.period + CLOCKS_DIFFER)


def _next(due_at: datetime, period: timedelta, now: datetime) -> datetime:
    """The first later time in step with the earlier ones."""
    if due_at > now:
        return now + period
    return due_at + ((now - due_at) // period + 1) * period


async def _put_off(job: Job, was_due_at: datetime | None, error: str) -> None:
    """Try again later, unless somebody else has run it meanwhile or is running it."""
    async with transaction() as session:
        row = await session.scalar(
            select(JobRow).where(JobRow.name == job.name, JobRow.due_at == was_due_at).with_for_update(skip_locked=True)
        )
        if row is not None:
            row.due_at = clock.now() + min(job.period, LONGEST_DELAY)
            row.failures, row.last_error = row.failures + 1, error
