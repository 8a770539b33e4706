"""W09: a backlog is worked off without a loss, nothing quick waits for what is slow, and nobody grows."""

import subprocess
from functools import partial

import psutil
from sqlalchemy import text

from src.core import database
from src.core.broker import Queue
from src.core.events import emit
from tests.servers.bells import BellPolished, BellRung
from tests.servers.conftest import Bells, Nodes, eventually

QUICK, SLOW = range(1, 2001), range(2001, 2061)
MOST_GROWTH_BYTES = 50_000_000


async def test_w09_a_backlog_is_worked_off_the_quick_first_and_nobody_grows(nodes: Nodes, ringing: Bells) -> None:
    nodes.environment |= {"WORKER_CONCURRENCY": "1", "POLISH_SECONDS": "0.25"}
    slow = nodes.worker("--queue", Queue.SLOW)
    nodes.environment["WORKER_CONCURRENCY"] = "2"
    quick = nodes.worker("--queue", Queue.DEFAULT)
    relay = nodes.relay()
    await ringing.ring(0)
    await ringing.polish(0)
    await ringing.all_heard(2)
    memories = [Memory(process) for process in (relay, quick, slow)]
    async with database.transaction() as session:
        await emit(session, *(BellPolished(number=number) for number in SLOW))
        await emit(session, *(BellRung(number=number) for number in QUICK))
    await eventually("all effects", partial(_are_all_heard, ringing, memories))
    assert await ringing.heard() == [0, 0, *QUICK, *SLOW]
    # On one queue for both, hardly a quick one would have had its turn by then.
    assert await _heard_before_the_last_slow_one(ringing) > len(QUICK) // 2
    assert [memory.growth for memory in memories if memory.growth > MOST_GROWTH_BYTES] == []


class Memory:
    """What a process and those that it started have grown by, at the most."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = psutil.Process(process.pid)
        self._first = self._size()
        self.growth = 0

    def look(self) -> None:
        self.growth = max(self.growth, self._size() - self._first)

    def _size(self) -> int:
        family = [self._process, *self._process.children(recursive=True)]
        return sum(int(member.memory_info().rss) for member in family)


async def _are_all_heard(ringing: Bells, memories: list[Memory]) -> bool:
    for memory in memories:
        memory.look()
    return await ringing.count("bell_effects") >= 2 + len(QUICK) + len(SLOW)


async def _heard_before_the_last_slow_one(ringing: Bells) -> int:
    """How many quick ones."""
    counted = text(
        "SELECT count(*) FROM handled_events WHERE handler = 'tests.servers.bells.hear' AND handled_at <"
        " (SELECT max(handled_at) FROM handled_events WHERE handler = 'tests.servers.bells.polish')"
    )
    async with ringing.engine.connect() as connection:
        return int(await connection.scalar(counted) or 0)
