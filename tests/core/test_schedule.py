"""Periodic jobs: once a period however many schedulers there are, whatever fails, and wherever the clock goes."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from src.core import clock, database, schedule
from src.core.events import Event, EventRecord, emit
from src.core.schedule import JobRow, every

HOUR = timedelta(hours=1)


class WheelTurned(Event, name="test.wheel_turned"):
    """A job ran."""

    job: str


Run = Callable[[AsyncSession], Awaitable[bool | None]]


@pytest.fixture(autouse=True)
def _no_jobs(committed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """None but those of the test."""
    monkeypatch.setattr(schedule, "_jobs", {})


async def turn(session: AsyncSession) -> None:
    await emit(session, WheelTurned(job="turn"))


async def turn_and_fail(session: AsyncSession) -> None:
    await emit(session, WheelTurned(job="turn_and_fail"))
    raise RuntimeError


async def turn_on(session: AsyncSession) -> bool:
    """There is always more of it."""
    await emit(session, WheelTurned(job="turn_on"))
    return True


async def turns(job: str = "turn") -> int:
    """How often it ran to its end."""
    async with database.transaction() as session:
        ran = select(func.count()).select_from(EventRecord).where(EventRecord.data["job"].astext == job)
        return await session.scalar(ran) or 0


async def row_of(run: Run) -> JobRow:
    async with database.transaction() as session:
        return await session.get_one(JobRow, f"{run.__module__}.{run.__name__}")


async def test_a_job_runs_at_once_and_then_once_a_period() -> None:
    every(HOUR)(turn)
    assert [await schedule.tick(), await schedule.tick()] == [1, 0]
    clock.advance(HOUR - timedelta(seconds=10))
    assert await schedule.tick() == 0
    clock.advance(timedelta(seconds=10))
    assert [await schedule.tick(), await schedule.tick()] == [1, 0]
    assert await turns() == 2


async def test_W10_of_eight_schedulers_at_once_one_runs_it_in_each_period() -> None:
    every(HOUR)(turn)
    for period in range(1, 4):
        assert sum(await asyncio.gather(*(schedule.tick() for _ in range(8)))) == 1
        assert await turns() == period
        clock.advance(HOUR)


async def test_W10_hours_in_which_nobody_ran_it_are_not_made_up_for_and_it_stays_in_step() -> None:
    every(HOUR)(turn)
    await schedule.tick()
    first = (await row_of(turn)).due_at
    clock.advance(7.5 * HOUR)
    assert [await schedule.tick(), await schedule.tick()] == [1, 0]
    assert (await row_of(turn)).due_at == first + 7 * HOUR
    assert await turns() == 2


async def test_W10_a_run_longer_than_its_period_is_not_overtaken_by_the_next() -> None:
    started, may_end = asyncio.Event(), asyncio.Event()

    async def turn_slowly(session: AsyncSession) -> None:
        started.set()
        await may_end.wait()
        await turn(session)

    every(HOUR)(turn_slowly)
    running = asyncio.create_task(schedule.tick())
    await started.wait()
    clock.advance(3 * HOUR)
    assert await schedule.tick() == 0
    may_end.set()
    assert await running == 1
    assert (await turns(), await schedule.tick()) == (1, 1)


async def test_W10_what_a_scheduler_that_dies_has_begun_is_left_to_the_others() -> None:
    started = asyncio.Event()

    async def turn_and_die(session: AsyncSession) -> None:
        await turn(session)
        if not started.is_set():
            started.set()
            await asyncio.Event().wait()

    every(HOUR)(turn_and_die)
    dying = asyncio.create_task(schedule.tick())
    await started.wait()
    dying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await dying
    assert [await schedule.tick(), await schedule.tick()] == [1, 0]
    assert await turns() == 1


async def test_W10_a_connection_that_is_cut_in_the_middle_leaves_nothing_half_done() -> None:
    failures = [True]

    async def turn_and_lose_it(session: AsyncSession) -> None:
        await turn(session)
        if failures:
            failures.pop()
            await session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    every(HOUR)(turn_and_lose_it)
    assert await schedule.tick() == 0
    assert (await turns(), (await row_of(turn_and_lose_it)).failures) == (0, 1)
    clock.advance(schedule.LONGEST_DELAY)
    assert (await schedule.tick(), await turns()) == (1, 1)


async def test_a_job_that_always_fails_does_nothing_by_halves_and_holds_up_no_other() -> None:
    every(HOUR)(turn_and_fail)
    every(HOUR)(turn)
    assert [await schedule.tick(), await schedule.tick()] == [1, 0]
    failed = await row_of(turn_and_fail)
    assert (failed.failures, failed.last_error, failed.ran_at) == (1, "RuntimeError", None)
    assert failed.due_at - clock.now() <= schedule.LONGEST_DELAY
    clock.advance(HOUR)
    assert await schedule.tick() == 1
    assert (await row_of(turn_and_fail)).failures == 2
    assert (await turns("turn_and_fail"), await turns()) == (0, 2)


async def test_a_failure_that_comes_late_does_not_bring_the_next_run_forward() -> None:
    every(HOUR)(turn)
    await schedule.tick()
    ran = await row_of(turn)
    await schedule._put_off(schedule._jobs[ran.name], ran.due_at - HOUR, "RuntimeError")
    again = await row_of(turn)
    assert (again.due_at, again.failures) == (ran.due_at, 0)


async def test_a_job_that_always_has_more_keeps_no_other_from_its_turn() -> None:
    every(HOUR)(turn_on)
    every(HOUR)(turn)
    assert [await schedule.tick() for _ in range(3)] == [2, 1, 1]
    assert (await turns("turn_on"), await turns()) == (3, 1)


async def test_a_job_that_empties_its_session_is_done_all_the_same() -> None:
    async def turn_and_forget(session: AsyncSession) -> None:
        await turn(session)
        session.expunge_all()

    every(HOUR)(turn_and_forget)
    assert [await schedule.tick(), await schedule.tick()] == [1, 0]


async def test_D11_a_clock_that_jumps_ahead_by_years_runs_it_once() -> None:
    every(HOUR)(turn)
    await schedule.tick()
    clock.advance(timedelta(days=3650))
    assert [await schedule.tick(), await schedule.tick()] == [1, 0]
    assert timedelta() < (await row_of(turn)).due_at - clock.now() <= HOUR


async def test_D11_a_clock_that_is_turned_back_does_not_stop_it() -> None:
    every(HOUR)(turn)
    clock.advance(timedelta(days=365))
    await schedule.tick()
    clock.reset()
    assert [await schedule.tick(), await schedule.tick()] == [1, 0]
    assert timedelta() < (await row_of(turn)).due_at - clock.now() <= HOUR


async def test_a_period_that_a_release_makes_shorter_counts_at_once() -> None:
    every(timedelta(days=30))(turn)
    await schedule.tick()
    every(HOUR)(turn)
    assert [await schedule.tick(), await schedule.tick()] == [1, 0]
    assert (await row_of(turn)).period == HOUR
