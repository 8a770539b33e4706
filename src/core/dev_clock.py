"""The clock of development: an offset in the database that every process keeps up with, and the routes that add to it.

Outside development none of this is mounted or runs, and time is real time.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import structlog
from pydantic import Field
from sqlalchemy import BigInteger, CheckConstraint, SmallInteger, event, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, Session, mapped_column

from src.core import clock
from src.core.config import Settings
from src.core.database import Base, transaction
from src.core.dependencies import SessionDep
from src.core.errors import Conflict, invalid_field, raises
from src.core.schemas import Instant, Schema
from src.core.strict import Router

log = structlog.get_logger(__name__)

# Not in the document: it is no part of the contract with clients.
router = Router(prefix="/dev/clock", tags=["development"], include_in_schema=False)

POLL_SECONDS = 1.0
FURTHEST = timedelta(days=3650)
SECONDS, HOURS, DAYS = (int(FURTHEST / unit) for unit in (timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)))


class ClockTooFar(Conflict):
    """Dates would leave what can be stored and shown."""

    code, title = "clock_too_far", f"The clock of development is never more than {FURTHEST.days} days ahead"


class ClockOffset(Base):
    """How far the clock of development is ahead of real time: one row, and none until it is."""

    __tablename__ = "clock_offset"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"), CheckConstraint("seconds > 0", name="is_ahead"))

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    seconds: Mapped[int] = mapped_column(BigInteger)


class ClockAdvance(Schema):
    """How far to go, all of it together."""

    days: int = Field(0, ge=1, le=DAYS)
    hours: int = Field(0, ge=1, le=HOURS)
    seconds: int = Field(0, ge=1, le=SECONDS)


class ClockRead(Schema):
    """What time it is taken to be."""

    now: Instant
    offset_seconds: int = Field(description="How far that is ahead of real time")


@router.get("", summary="What time it is taken to be")
async def read_clock() -> ClockRead:
    """Time as this process tells it."""
    return _read(clock.offset())


@router.post("/advance", summary="Let time pass", responses=raises(ClockTooFar))
async def advance_clock(session: SessionDep, data: ClockAdvance) -> ClockRead:
    """What is due by then happens by itself, within seconds. There is no way back."""
    by = timedelta(days=data.days, hours=data.hours, seconds=data.seconds)
    if not by:
        raise invalid_field("/seconds", "missing", "say how far: seconds, hours or days, or several of them")
    return _read(await advance(session, by))


def _read(offset: timedelta) -> ClockRead:
    return ClockRead(now=clock.now() - clock.offset() + offset, offset_seconds=int(offset.total_seconds()))


async def advance(session: AsyncSession, by: timedelta) -> timedelta:
    """Move the clock of every process forward, and this one's at once; how far it is ahead then.

    Raises:
        ClockTooFar.
    """
    if by > FURTHEST:
        raise ClockTooFar
    first = insert(ClockOffset).values(id=1, seconds=by // timedelta(seconds=1))
    added = ClockOffset.seconds + first.excluded.seconds
    moved = first.on_conflict_do_update(index_elements=["id"], set_={"seconds": added}, where=added <= SECONDS)
    seconds = await session.scalar(moved.returning(ClockOffset.seconds))
    if seconds is None:
        raise ClockTooFar
    offset = timedelta(seconds=seconds)

    def keep_up(_: Session) -> None:
        clock.keep_up(offset)

    event.listen(session.sync_session, "after_commit", keep_up)
    return offset


@asynccontextmanager
async def followed(settings: Settings) -> AsyncIterator[None]:
    """In development, keep this process's clock up with the database's until leaving; for every process there is."""
    if not settings.is_development:
        yield
        return
    await load()
    task = asyncio.create_task(_follow(), name="dev_clock")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _follow() -> None:
    while True:
        await asyncio.sleep(POLL_SECONDS)
        await load()


async def load() -> None:
    """Keep up with the database; while it is away or not migrated yet, the clock goes on as it is."""
    try:
        async with transaction() as session:
            seconds = await session.scalar(select(ClockOffset.seconds))
    except Exception as exc:
        log.debug("clock_not_read", error=type(exc).__name__)
        return
    clock.keep_up(timedelta(seconds=seconds or 0))
