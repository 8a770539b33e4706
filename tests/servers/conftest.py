"""The servers, the processes that talk to them, and the audit that ends each fault."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from src.core import broker, database
from src.core.events import emit
from tests.conftest import ROOT
from tests.servers import bells, machines
from tests.servers.bells import BellPolished, BellRung
from tests.servers.machines import Rabbit, Redis, until

DELIVERY_SECONDS = 120


async def eventually(what: str, is_so: Callable[[], Awaitable[bool]], seconds: float = DELIVERY_SECONDS) -> None:
    """Wait for what processes do by themselves; fails when it takes longer."""
    try:
        async with asyncio.timeout(seconds):
            while not await is_so():  # noqa: ASYNC110 - other processes set no event of ours
                await asyncio.sleep(0.05)
    except TimeoutError:
        pytest.fail(f"{what} did not happen within {seconds} s")


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """Where the servers keep what they keep: PostgreSQL's user passes through, and no other pytest clears it away."""
    with TemporaryDirectory(prefix="k2k-", ignore_cleanup_errors=True) as name:
        made = Path(name).resolve()
        made.chmod(0o755)
        yield made


@pytest.fixture(scope="session")
def server_url(folder: Path) -> Iterator[str]:
    """PostgreSQL 15, instead of the embedded server."""
    with machines.postgres(folder / "postgres") as url:
        yield url


@pytest.fixture(scope="session")
def running_rabbit(folder: Path) -> Iterator[Rabbit]:
    """One RabbitMQ for all tests: it takes seconds to start."""
    rabbit = Rabbit(folder / "rabbitmq")
    rabbit.start()
    yield rabbit
    rabbit.kill()


@pytest.fixture
async def rabbit(running_rabbit: Rabbit) -> Rabbit:
    """RabbitMQ, up and with nothing in its queues."""
    if not machines.answers(running_rabbit.port):
        running_rabbit.start()
    async with broker.connected(running_rabbit.config) as channel:
        for name in (*broker.Queue, broker.DEAD):
            await (await channel.get_queue(name)).purge()
    return running_rabbit


@pytest.fixture
def redis(folder: Path) -> Iterator[Redis]:
    """Redis."""
    made = Redis(folder / "redis")
    made.start()
    yield made
    made.kill()


def _is_ready(port: int) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(f"http://127.0.0.1:{port}/health/ready", timeout=5).is_success
    return False


@dataclass(slots=True)
class Nodes:
    """Processes of ours, ended with the test; what they log is kept."""

    environment: dict[str, str]
    folder: Path
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, command: str, *options: str, until_logged: str | None = None) -> subprocess.Popen[bytes]:
        """`key2key <command> <options>`, which has said that it is ready."""
        log = self.folder / f"{command}-{len(self.running)}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.servers.node", command, *options],
                env=self.environment,
                cwd=ROOT,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        self.running.append(process)
        if until_logged is not None:
            until(f"{command}: {until_logged}", lambda: until_logged in log.read_text())
        return process

    def worker(self, *options: str) -> subprocess.Popen[bytes]:
        """A worker that takes tasks."""
        return self.start("worker", *options, until_logged="ready.")

    def relay(self) -> subprocess.Popen[bytes]:
        """A relay, on its way."""
        return self.start("relay")

    def serve(self) -> tuple[subprocess.Popen[bytes], int]:
        """A server that is ready, and its port."""
        port = machines.free_port()
        self.environment["PORT"] = str(port)
        process = self.start("serve")
        until("the server's start", lambda: _is_ready(port))
        return process, port

    def beat(self, **environment: str) -> subprocess.Popen[bytes]:
        """A scheduler, on its way."""
        self.environment |= environment
        return self.start("beat")

    def ask(self, *command: str) -> str:
        """What `key2key <command>` answers."""
        line = [sys.executable, "-m", "tests.servers.node", *command]
        return subprocess.run(line, env=self.environment, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    def logs(self) -> str:
        """What all of them have said."""
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("*.log")))


@pytest.fixture
def nodes(database_url: str, rabbit: Rabbit, folder: Path, request: pytest.FixtureRequest) -> Iterator[Nodes]:
    """Starts relays and workers on this test's servers."""
    own = folder / request.node.name
    own.mkdir()
    environment = os.environ | {
        "DATABASE_URL": database_url.replace("+asyncpg", ""),
        "AMQP_URL": rabbit.url,
        "DATA_DIR": str(own),
        "LOG_LEVEL": "INFO",
        "LOG_FORMAT": "json",
        "WORKER_CONCURRENCY": "2",
        "AMQP_HEARTBEAT": "2",
    }
    made = Nodes(environment, own)
    yield made
    for process in made.running:
        machines.end(process, signal.SIGKILL)
    # Shown when the test has failed.
    print(made.logs())


@dataclass(frozen=True, slots=True)
class Bells:
    """Rings bells, and counts who heard them."""

    engine: AsyncEngine

    async def ring(self, *numbers: int, manner: str = "gladly") -> None:
        """Commit one event a number."""
        async with database.transaction() as session:
            await emit(session, *(BellRung(number=number, manner=manner) for number in numbers))

    async def count(self, table: str) -> int:
        """How many rows it has."""
        async with self.engine.connect() as connection:
            return int(await connection.scalar(text(f"SELECT count(*) FROM {table}")) or 0)  # noqa: S608

    async def heard(self) -> list[int]:
        """The numbers of all effects, a double one twice."""
        async with self.engine.connect() as connection:
            return list(await connection.scalars(text("SELECT number FROM bell_effects ORDER BY number")))

    async def cut_off(self) -> None:
        """End every connection to this test's database but one's own."""
        others = "pid <> pg_backend_pid() AND datname = current_database() AND application_name <> 'pytest'"
        async with self.engine.connect() as connection:
            await connection.execute(
                text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")  # noqa: S608
            )

    async def polish(self, number: int) -> None:
        """Commit an event that an older program does not know."""
        async with database.transaction() as session:
            await emit(session, BellPolished(number=number))

    async def all_heard(self, most: int, seconds: float = DELIVERY_SECONDS) -> list[int]:
        """The audit: the outbox is empty, there are so many effects, and a while later no more. Their numbers."""
        await eventually(f"{most} effects", lambda: self._is_heard(most), seconds)
        return await self.heard()

    async def _is_heard(self, most: int) -> bool:
        return await self.count("outbox") == 0 and await self.count("bell_effects") >= most


@pytest.fixture
async def bell_tables(engine: AsyncEngine) -> None:
    """Where the effects go."""
    async with engine.begin() as connection:
        for table in ("bell_effects", "bell_attempts", "bell_strikes"):
            await connection.execute(text(f"DROP TABLE IF EXISTS {table}"))
        for made in bells.TABLES:
            await connection.execute(text(made))


@pytest.fixture
def ringing(committed: None, bell_tables: None, engine: AsyncEngine) -> Bells:
    """Bells whose events are really committed."""
    return Bells(engine)
