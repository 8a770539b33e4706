"""Faults of schedulers: a job runs once a period, whoever dies or freezes over it."""

import signal
import subprocess
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import text

from tests.servers import machines
from tests.servers.conftest import Bells, Nodes, eventually

PERIOD = timedelta(seconds=1)
STRIKE_PERIOD = str(PERIOD.seconds)
HOLDERS = "pg_locks WHERE relation = 'bell_strikes'::regclass"


async def _strikes(ringing: Bells) -> list[datetime]:
    """The periods that the job ran for; one that it ran for twice is there twice."""
    async with ringing.engine.connect() as connection:
        return list(await connection.scalars(text("SELECT due_at FROM bell_strikes ORDER BY due_at")))


async def _has_struck(ringing: Bells, times: int) -> bool:
    return len(await _strikes(ringing)) >= times


async def _is_striking(ringing: Bells) -> bool:
    return await ringing.count(HOLDERS) > 0


async def _assert_in_step(ringing: Bells) -> None:
    """Once for each of its periods, none of which has moved."""
    first, *later = await _strikes(ringing)
    assert len({first, *later}) == 1 + len(later)
    assert [moment for moment in later if (moment - first) % PERIOD] == []


async def _half_done(nodes: Nodes, ringing: Bells, seconds: int) -> subprocess.Popen[bytes]:
    """A scheduler in the middle of the job, which takes it so long."""
    beat = nodes.beat(STRIKE_PERIOD=STRIKE_PERIOD, STRIKE_SECONDS=str(seconds))
    await eventually("the job's start", partial(_is_striking, ringing))
    return beat


async def test_w10_of_two_beats_one_runs_a_job_in_each_period_also_when_the_other_is_killed(
    nodes: Nodes, ringing: Bells
) -> None:
    killed, left = (nodes.beat(STRIKE_PERIOD=STRIKE_PERIOD) for _ in range(2))
    await eventually("some runs", partial(_has_struck, ringing, 4))
    machines.end(killed, signal.SIGKILL)
    await eventually("more runs", partial(_has_struck, ringing, len(await _strikes(ringing)) + 2))
    await _assert_in_step(ringing)
    assert left.poll() is None


async def test_w10_a_job_whose_beat_is_killed_in_the_middle_is_left_to_another_at_once(
    nodes: Nodes, ringing: Bells
) -> None:
    killed = await _half_done(nodes, ringing, seconds=60)
    nodes.beat(STRIKE_SECONDS="0")
    machines.end(killed, signal.SIGKILL)
    await eventually("the other's run", partial(_has_struck, ringing, 1), seconds=20)
    await _assert_in_step(ringing)


async def test_d07_a_beat_frozen_past_its_lease_repeats_nothing_and_moves_nothing_when_it_goes_on(
    nodes: Nodes, ringing: Bells
) -> None:
    frozen = await _half_done(nodes, ringing, seconds=2)
    frozen.send_signal(signal.SIGSTOP)
    # As the server does after DATABASE_IDLE_TRANSACTION_TIMEOUT_MS.
    assert await ringing.count(f"(SELECT pg_terminate_backend(pid) FROM {HOLDERS}) AS ended") == 1  # noqa: S608
    nodes.beat(STRIKE_SECONDS="0")
    await eventually("the other's run", partial(_has_struck, ringing, 1))
    assert "job_failed" not in nodes.logs()
    frozen.send_signal(signal.SIGCONT)
    await eventually("the end of the frozen run", partial(_is_told, nodes, "job_failed"))
    await eventually("more runs", partial(_has_struck, ringing, len(await _strikes(ringing)) + 3))
    await _assert_in_step(ringing)
    assert frozen.poll() is None


async def _is_told(nodes: Nodes, what: str) -> bool:
    return what in nodes.logs()
