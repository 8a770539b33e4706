"""nginx and Gunicorn as `prod.yml` starts them, as processes of a test's own."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[3]
GUNICORN: list[str | Path] = [Path(sys.executable).with_name("gunicorn"), "--config", ROOT / "deploy/gunicorn.py"]
CACHE_SECONDS = 5
GIVE_UP_SECONDS = 60


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def production(database_url: str, redis_url: str) -> dict[str, str]:
    """The environment of a production server on these servers, with limits that tests do not reach."""
    return {
        "PATH": os.environ["PATH"],
        "ENVIRONMENT": "production",
        "AUTH_SECRET_KEY": "9f1c4be07a52d86e31bb07c2f4d98a65",
        "DATABASE_URL": database_url.replace("+asyncpg", ""),
        "DATABASE_POOL_SIZE": "5",
        "DATABASE_READ_POOL_SIZE": "5",
        "REDIS_URL": redis_url,
        # The API itself never asks RabbitMQ.
        "AMQP_URL": "amqp://key2key:none@127.0.0.1:1",
        "SMTP_HOST": "127.0.0.1",
        "PUBLIC_URL": "https://api.example.com",
        "APP_URL": "https://app.example.com",
        "AUTH_BCRYPT_ROUNDS": "10",
        "AUTH_REQUIRE_VERIFIED": "false",
        "AUTH_REGISTER_LIMIT": "1000/minute",
        "LISTINGS_REVIEW": "auto",
        "CORS_ORIGINS": "https://app.example.com",
        "HTTP_CACHE_SECONDS": str(CACHE_SECONDS),
        "WEB_CONCURRENCY": "2",
    }


@dataclass(slots=True)
class Gunicorn:
    """A running `gunicorn --config deploy/gunicorn.py`, and the file that it logs to."""

    process: "subprocess.Popen[bytes]"
    log: Path

    def started_workers(self) -> int:
        """How many workers have come to serve so far."""
        return self.log.read_text().count("Application startup complete.")

    def wait_for_workers(self, number: int) -> None:
        """Until so many workers have come to serve."""
        deadline = time.monotonic() + GIVE_UP_SECONDS
        while self.started_workers() < number:
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(self.log.read_text()[-3000:])
            time.sleep(0.05)

    def requests(self, path: str, expected: int = 0) -> int:
        """How many requests for this path have come as far as the application; it logs them once they are answered."""
        deadline = time.monotonic() + 2
        while (found := self.log.read_text().count(f'"path":"{path}"')) < expected and time.monotonic() < deadline:
            time.sleep(0.02)
        return found

    def leave(self) -> int:
        """Tell it to leave, and tell it again; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=GIVE_UP_SECONDS)


@contextmanager
def gunicorn(log: Path, environment: dict[str, str], within: Sequence[str] = ()) -> Iterator[Gunicorn]:
    """Gunicorn, until leaving; started by another command, if one is given."""
    command: list[str | Path] = [*within, *GUNICORN]
    with (
        log.open("ab") as file,
        subprocess.Popen(command, env=environment, cwd=ROOT, stdout=file, stderr=file) as process,
    ):
        try:
            server = Gunicorn(process, log)
            server.wait_for_workers(int(environment["WEB_CONCURRENCY"]))
            yield server
        finally:
            process.terminate()


@contextmanager
def nginx(folder: Path, servers: list[int], **values: str) -> Iterator[str]:
    """nginx with our configuration in front of servers at these ports; the address that it serves."""
    port = free_port()
    known = {
        "NGINX_DIR": str(folder),
        "APP_SERVERS": " ".join(f"server 127.0.0.1:{server} fail_timeout=1s;" for server in servers),
        "RESOLVER": "",
        "SITE": "plain",
        "HTTP_PORT": str(port),
        "HTTPS_PORT": "",
        "TLS_DIR": "",
        "CLIENT_TIMEOUT": "10s",
        "KEEPALIVE_TIMEOUT": "20s",
        "CONNECTIONS_PER_ADDRESS": "100",
        **values,
    }
    render(folder, known)
    # As root, nginx would hand its folders to nobody, who may not come as far as them.
    user = "user root; " if os.geteuid() == 0 else ""
    command: list[str | Path] = ["nginx", "-e", "stderr", "-c", folder / "nginx.conf", "-g", f"{user}daemon off;"]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            wait_for_port(port, process, folder / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def render(folder: Path, values: dict[str, str]) -> None:
    """What the start script of the nginx image does with the templates."""
    for template in (ROOT / "deploy/nginx").glob("*.template"):
        text = re.sub(r"\$\{([A-Z_]+)\}", lambda found: values[found[1]], template.read_text())
        (folder / template.stem).write_text(text)


def wait_for_port(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Until somebody listens there."""
    deadline = time.monotonic() + GIVE_UP_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    pytest.fail(log.read_text()[-3000:])


def exchange(address: str, request: bytes) -> bytes:
    """What comes back first for these bytes."""
    with socket.create_connection(("127.0.0.1", httpx.URL(address).port or 0), timeout=30) as raw:
        raw.sendall(request)
        return raw.recv(65536)


def client(address: str) -> httpx.Client:
    """A patient client."""
    return httpx.Client(base_url=address, timeout=30)
