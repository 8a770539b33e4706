"""The two servers that are compared: ours as it is served, and the limit."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import httpx
import psutil

from benchmarks.data import KEY2KEY, environment
from benchmarks.load import BenchError, ClientBusyError, Seen, run

PATIENCE_SECONDS = 60
# A run that the client spoilt is repeated; more than so often, and there is no measuring here.
MOST_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Figures:
    """What one run showed: what the client saw, and the server's processor time in microseconds a request."""

    seen: Seen
    cpu: float


@dataclass(frozen=True, slots=True)
class Server:
    """A server process and where it listens."""

    process: psutil.Process
    address: str

    def measure(self, paths: list[str], seconds: int, connections: int = 16) -> Figures:
        """Ask for the paths in turn, after a second of warming up. Raises BenchError."""
        run(self.address, paths, 1, connections)
        for _ in range(MOST_ATTEMPTS):
            before = sum(self.process.cpu_times()[:2])
            try:
                seen = run(self.address, paths, seconds, connections)
            except ClientBusyError:
                continue
            return Figures(seen, (sum(self.process.cpu_times()[:2]) - before) / seen.requests * 1e6)
        raise BenchError("wrk was the bottleneck time and again")

    def megabytes(self) -> float:
        """How much memory the process holds."""
        return float(self.process.memory_info().rss) / 1e6


@contextmanager
def ours(url: str, port: int, folder: Path) -> Iterator[Server]:
    """`key2key serve` with everything switched on but the limits on logins; its log goes to a file in the folder."""
    unlimited = {"AUTH_LOGIN_LIMIT": "1000000/minute", "AUTH_LOGIN_ADDRESS_LIMIT": "1000000/minute"}
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"LOG_FORMAT": "json", "PORT": str(port), "SEED_ENABLED": "false", "DATA_DIR": str(folder)}
    # It handles its own events: RabbitMQ is for those of benchmarks.events.
    settings |= {"AMQP_URL": ""}
    command = [str(KEY2KEY), "serve"]
    with _running(command, environment(url, **settings, **unlimited), port, folder / "server.log") as server:
        yield server


@contextmanager
def limit(url: str, port: int, same: Path) -> Iterator[Server]:
    """The bare handler; `same` holds the statements of its `/same/{name}`."""
    command = [sys.executable, "-m", "uvicorn", "benchmarks.limit:app", "--port", str(port), "--no-access-log"]
    variables = {**os.environ, "DATABASE_URL": url, "SAME": str(same)}
    with _running(command, variables, port, same.with_suffix(".log")) as server:
        yield server


@contextmanager
def _running(command: list[str], variables: Mapping[str, str], port: int, log: Path) -> Iterator[Server]:
    with log.open("w") as output:
        started = subprocess.Popen(command, env=variables, stdout=output, stderr=output)
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_for(address, started, log)
        yield Server(psutil.Process(started.pid), address)
    finally:
        started.terminate()
        started.wait()


def _wait_for(address: str, started: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not _answers(address):
        if started.poll() is not None or time.monotonic() > deadline:
            raise BenchError(f"{started.args!r} does not answer; see {log}")
        time.sleep(0.1)


def _answers(address: str) -> bool:
    try:
        httpx.get(address)
    except httpx.TransportError:
        return False
    return True


async def wait_for_quiet(url: str) -> None:
    """Until the server has handled the events of a database that has just been filled."""
    connection = await asyncpg.connect(url)
    while await connection.fetchval("SELECT count(*) FROM outbox"):
        await connection.execute("SELECT pg_sleep(1)")
    await connection.close()
