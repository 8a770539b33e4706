"""The table, with when and on which machine."""

import asyncio
import os
import platform
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from src.core import clock


@dataclass(frozen=True, slots=True)
class Line:
    """One figure: a ratio, what it is to be, and what it is made of."""

    name: str
    ratio: float
    wanted: str
    is_met: bool
    told: str


def table(lines: list[Line], sizes: list[int], postgres: str) -> str:
    """The lines as Markdown."""
    counts = " and ".join(f"{size:,}" for size in sizes)
    head = f"Measured {clock.now():%Y-%m-%d} with {counts} listings; {_machine()}, {postgres}."
    rows = [
        f"| {line.name} | {line.ratio:.2f} | {line.wanted}{'' if line.is_met else ' (missed)'} | {line.told} |"
        for line in lines
    ]
    return "\n".join([head, "", "| what | ratio | wanted | seen |", "|---|---|---|---|", *rows, ""])


def _machine() -> str:
    return f"{_processor()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def _processor() -> str:
    """Its name, as Linux knows it."""
    try:
        with Path("/proc/cpuinfo").open() as told:
            names = [line.partition(":")[2].strip() for line in told if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def postgres_version(url: str) -> str:
    """The server's, such as "PostgreSQL 18.1"."""

    async def ask() -> str:
        connection = await asyncpg.connect(url)
        version = connection.get_server_version()
        await connection.close()
        return f"PostgreSQL {version.major}.{version.minor}"

    return asyncio.run(ask())
