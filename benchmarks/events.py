"""From `emit` through the relay, RabbitMQ and a worker to the effect: how many a second, and how late each is.

`python -m benchmarks.events worker|relay` are the processes, which know the event measured with.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from benchmarks.data import environment
from benchmarks.load import BenchError
from benchmarks.report import Line
from src import cli
from src.core import broker, database
from src.core.config import AmqpSettings, DatabaseSettings, Settings
from src.core.events import Event, current_event_id, emit, on

FLOOD, FLOOD_BATCH = 4000, 20
PATIENCE_SECONDS = 120
# Few enough for the queue to be empty between two.
CALM_RATE = 50
FLOOR_RATE, AIMED_RATE = 200, 500
FLOOR_LAG_MS, AIMED_LAG_MS = 200, 100


class BenchRung(Event, name="bench.rung"):
    """Something happened, for measuring what follows."""

    number: int


@on(BenchRung)
async def leave_effect(session: AsyncSession, event: BenchRung) -> None:
    """One row."""
    await session.execute(
        text("INSERT INTO bench_effects (event_id, number) VALUES (:event_id, :number)"),
        {"event_id": current_event_id(), "number": event.number},
    )


def measure(url: str, folder: Path, seconds: int) -> list[Line]:
    """With one relay and one worker of two processes. Raises BenchError without RabbitMQ."""
    amqp = AmqpSettings(url=os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/"))
    asyncio.run(_prepare(url, amqp))
    with ExitStack() as stack:
        for command in ("relay", "worker"):
            stack.enter_context(_running(command, url, amqp, folder))
        rate = asyncio.run(_flood(url))
        lags = asyncio.run(_calm(url, seconds))
    told = f"{FLOOD:,} events, {FLOOD_BATCH} a transaction; the floor is {FLOOR_RATE}, the aim {AIMED_RATE}"
    late = f"median; p95 {lags[1]:.0f} ms, at {CALM_RATE} a second; the floor is {FLOOR_LAG_MS}, the aim {AIMED_LAG_MS}"
    return [
        Line("events to their effect, a second", rate, f"≥ {FLOOR_RATE}", rate >= FLOOR_RATE, told),
        Line("an event to its effect, ms", lags[0], f"≤ {FLOOR_LAG_MS}", lags[0] <= FLOOR_LAG_MS, late),
    ]


async def _prepare(url: str, amqp: AmqpSettings) -> None:
    try:
        async with broker.connected(amqp) as channel:
            for name in broker.Queue:
                await (await channel.get_queue(name)).purge()
    except broker.BROKER_ERRORS as exc:
        raise BenchError(f"The event path wants RabbitMQ: set AMQP_URL ({type(exc).__name__})") from exc
    connection = await asyncpg.connect(url)
    await connection.execute("DROP TABLE IF EXISTS bench_effects")
    await connection.execute(
        "CREATE TABLE bench_effects (event_id uuid, number int, at timestamptz DEFAULT clock_timestamp())"
    )
    await connection.close()


@contextmanager
def _running(command: str, url: str, amqp: AmqpSettings, folder: Path) -> Iterator[None]:
    variables = environment(url, AMQP_URL=str(amqp.url), LOG_FORMAT="json", DATA_DIR=str(folder))
    with (folder / f"{command}.log").open("w") as log:
        line = [sys.executable, "-m", "benchmarks.events", command]
        with subprocess.Popen(line, env=variables, stdout=log, stderr=log) as process:
            try:
                yield
            finally:
                process.terminate()


async def _flood(url: str) -> float:
    """Effects a second, from the first event to the last effect, with everybody warm."""
    async with database.connected(Settings(database=DatabaseSettings(url=url))):
        await _ring(url, FLOOD_BATCH, FLOOD_BATCH)
        started = time.perf_counter()
        await _ring(url, FLOOD, FLOOD_BATCH)
        return FLOOD / (time.perf_counter() - started)


async def _calm(url: str, seconds: int) -> tuple[float, float]:
    """The median lag and its 95th percentile, in milliseconds."""
    async with database.connected(Settings(database=DatabaseSettings(url=url))):
        await _ring(url, CALM_RATE * seconds, 1, pause=1 / CALM_RATE)
    connection = await asyncpg.connect(url)
    lags = await connection.fetchval(
        "SELECT percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY 1000 * extract(epoch FROM at - occurred_at))"
        " FROM bench_effects JOIN events ON events.id = event_id"
    )
    await connection.close()
    return float(lags[0]), float(lags[1])


async def _ring(url: str, number: int, batch: int, pause: float = 0) -> None:
    """Emit so many, and wait for all their effects."""
    connection = await asyncpg.connect(url)
    await connection.execute("TRUNCATE bench_effects")
    for first in range(0, number, batch):
        async with database.transaction() as session:
            await emit(session, *(BenchRung(number=first + one) for one in range(batch)))
        await asyncio.sleep(pause)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while await connection.fetchval("SELECT count(*) FROM bench_effects") < number:
        if time.monotonic() > deadline:
            raise BenchError("The events do not come to their effects; see .data/bench/worker.log")
        await asyncio.sleep(0.05)
    await connection.close()


if __name__ == "__main__":
    cli.main()
