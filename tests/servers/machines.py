"""Real servers of our own, on ports of their own, that may be killed: PostgreSQL 15, RabbitMQ and Redis of Debian."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from src.core.config import AmqpSettings

START_SECONDS = 60
POSTGRES = Path("/usr/lib/postgresql/15/bin")
RABBITMQ = Path("/usr/lib/rabbitmq/bin")


def free_port() -> int:
    """One that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    """Whether somebody listens there."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def until(what: str, is_so: Callable[[], bool], seconds: float = START_SECONDS) -> None:
    """Wait for the world outside; fails when it takes longer."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not happen within {seconds} s")
        time.sleep(0.05)


def end(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send the signal to the process and all that it started, and wait for them to be gone."""
    with suppress(psutil.NoSuchProcess):
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.send_signal(number)
        psutil.wait_procs(family, timeout=30)
    process.wait(30)


def require(program: Path | str, package: str) -> str:
    """Where the program is."""
    found = shutil.which(program)
    if found is None:
        pytest.fail(f"{program} is not there: make test-servers installs Debian's {package}, or asks for it")
    return found


@dataclass(slots=True)
class Rabbit:
    """A RabbitMQ node that forgets nothing when it is killed."""

    folder: Path
    port: int = field(default_factory=free_port)
    distribution_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """As AMQP_URL has it."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}"

    @property
    def config(self) -> AmqpSettings:
        """As the program has it."""
        return AmqpSettings(url=self.url)

    @property
    def environment(self) -> dict[str, str]:
        """What makes it a node of its own."""
        return os.environ | {
            "HOME": str(self.folder),
            "RABBITMQ_NODENAME": f"k2k{self.port}@localhost",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self.distribution_port),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq"),
        }

    def start(self) -> None:
        """Until it takes connections."""
        require(RABBITMQ / "rabbitmq-server", "rabbitmq-server")
        self.folder.mkdir(exist_ok=True)
        with (self.folder / "out").open("ab") as out:
            self.process = subprocess.Popen(
                [RABBITMQ / "rabbitmq-server"], env=self.environment, stdout=out, stderr=out, cwd=self.folder
            )
        until("RabbitMQ's start", lambda: answers(self.port))

    def control(self, *command: str) -> str:
        """`rabbitmqctl` with this node."""
        done = subprocess.run(
            [RABBITMQ / "rabbitmqctl", "-q", *command], env=self.environment, capture_output=True, text=True, check=True
        )
        return done.stdout

    def kill(self) -> None:
        """As a power cut would."""
        assert self.process is not None
        end(self.process, signal.SIGKILL)

    def stop(self) -> None:
        """As an operator would."""
        assert self.process is not None
        end(self.process, signal.SIGTERM)


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """PostgreSQL 15, without the disk's guarantees; the address of its own database."""
    require(POSTGRES / "initdb", "postgresql-15")
    folder.mkdir()
    as_user: list[str] = []
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
        as_user = ["runuser", "-u", "postgres", "--"]
    data, port = folder / "data", free_port()
    initdb = [*as_user, str(POSTGRES / "initdb"), "-A", "trust", "-U", "postgres", "-N", str(data)]
    subprocess.run(initdb, check=True, cwd=folder, stdout=subprocess.DEVNULL)
    settings = {
        "port": port,
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "fsync": "off",
        "max_connections": 300,
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    command = [*as_user, str(POSTGRES / "postgres"), "-D", str(data), *options]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, cwd=folder, stderr=log) as process:
        try:
            until("PostgreSQL's start", lambda: answers(port))
            yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
        finally:
            end(process, signal.SIGQUIT)


@dataclass(slots=True)
class Redis:
    """A Redis that keeps nothing."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """As REDIS_URL has it."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self, *options: str) -> None:
        """Until it takes connections."""
        server = require("redis-server", "redis-server")
        where = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        self.folder.mkdir(exist_ok=True)
        self.process = subprocess.Popen([server, *where, "--save", "", *options], stdout=subprocess.DEVNULL)
        until("Redis' start", lambda: answers(self.port))

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """As a power cut would."""
        assert self.process is not None
        end(self.process, number)
