"""An event of the tests' own, with handlers whose effects can be counted."""

import asyncio
import os
import signal
import time
from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from src.core.broker import Queue
from src.core.database import independent
from src.core.events import Event, current_event_id, on
from src.core.schedule import every
from src.listings.events import ListingPublished


class BellRung(Event, name="test.bell_rung"):
    """Somebody rang; `manner` is how its handler takes it."""

    number: int
    manner: str = "gladly"


class BellPolished(Event, name="test.bell_polished"):
    """Something slow is to be done."""

    number: int


# No key: an effect that happened twice is there twice.
TABLES = (
    "CREATE TABLE bell_effects (event_id uuid NOT NULL, number int NOT NULL)",
    "CREATE TABLE bell_attempts (event_id uuid NOT NULL)",
    "CREATE TABLE bell_strikes (due_at timestamptz NOT NULL)",
)


@on(BellRung)
async def hear(session: AsyncSession, event: BellRung) -> None:
    """Leave an effect, each in its manner."""
    await _leave_effect(session, event.number)
    match event.manner.partition(" "):
        case ["slowly", _, seconds]:
            await asyncio.sleep(float(seconds))
        case ["wrongly", *_]:
            await _note_attempt(session)
            raise RuntimeError(event.manner)
        case ["tellingly", _, secret]:
            await session.execute(text("SELECT CAST(:secret AS int)"), {"secret": secret})
        case ["deadly", *_]:
            await _note_attempt(session)
            os.kill(os.getpid(), signal.SIGKILL)
        case ["stubbornly", _, seconds]:
            time.sleep(float(seconds))  # noqa: ASYNC251 - it is to block


@on(ListingPublished)
async def toll(session: AsyncSession, _: ListingPublished) -> None:
    """Leave an effect of what happened over HTTP."""
    await _leave_effect(session, 0)


async def polish(session: AsyncSession, event: BellPolished) -> None:
    """Takes its time; the program before this one could not do it."""
    await _leave_effect(session, event.number)
    await asyncio.sleep(float(os.environ.get("POLISH_SECONDS", "0.2")))


if "OLD_BELLS" not in os.environ:
    on(BellPolished, queue=Queue.SLOW)(polish)


@every(timedelta(seconds=int(os.environ.get("STRIKE_PERIOD", "3600"))))
async def strike(session: AsyncSession) -> None:
    """Leave an effect, which names the period that it is for, and take as long as this process does."""
    await session.execute(
        text("INSERT INTO bell_strikes (due_at) SELECT due_at FROM jobs WHERE name = :name"),
        {"name": f"{__name__}.strike"},
    )
    await asyncio.sleep(float(os.environ.get("STRIKE_SECONDS", "0")))


async def _leave_effect(session: AsyncSession, number: int) -> None:
    await session.execute(
        text("INSERT INTO bell_effects (event_id, number) VALUES (:id, :number)"),
        {"id": current_event_id(), "number": number},
    )


async def _note_attempt(session: AsyncSession) -> None:
    """Committed, whatever becomes of the handler's transaction."""
    async with independent() as trace:
        await trace.execute(text("INSERT INTO bell_attempts (event_id) VALUES (:id)"), {"id": current_event_id()})
