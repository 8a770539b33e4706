"""What a container allows, a root file system that is read-only, and what production does not start without."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.server import KEY2KEY
from tests.servers import machines
from tests.servers.machines import Rabbit
from tests.servers.web.processes import GUNICORN, ROOT, free_port, gunicorn

# In a namespace of its own, all that this machine has is read-only, but for a little memory.
READ_ONLY = """
mount -t tmpfs tmpfs "$TMPDIR"
for place in / {root}; do mount --bind $place $place; mount -o remount,ro,bind $place; done
cd {root}; ! touch there-is-no-such-file 2> /dev/null && exec "$@"
"""
REQUIRED = ("AUTH_SECRET_KEY", "DATABASE_URL", "REDIS_URL", "AMQP_URL")


@pytest.mark.parametrize("variable", REQUIRED)
def test_O07_production_refuses_to_start_without(environment: dict[str, str], variable: str) -> None:
    without = environment | {variable: ""}
    ended = subprocess.run(GUNICORN, env=without, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr.strip()) == (1, f"production refuses to start: {variable} is not set")


def test_migrations_are_a_job_that_ends_and_may_run_again(environment: dict[str, str]) -> None:
    command: list[str | Path] = [KEY2KEY, "migrate"]
    ended = [subprocess.run(command, env=environment, cwd="/", timeout=60, check=False).returncode for _ in range(2)]
    assert ended == [0, 0]


def test_it_serves_from_a_read_only_root_with_secrets_by_file(environment: dict[str, str], tmp_path: Path) -> None:
    secrets, memory, port = tmp_path / "secrets", tmp_path / "memory", free_port()
    secrets.mkdir()
    memory.mkdir()
    kept = environment | {"PORT": str(port), "SECRETS_DIR": str(secrets), "TMPDIR": str(memory)}
    for variable in REQUIRED:
        (secrets / variable.lower()).write_text(kept.pop(variable) + "\n")
    with gunicorn(tmp_path / "log", kept, read_only()) as server:
        answer = httpx.get(f"http://127.0.0.1:{port}/health/ready")
        assert server.leave() == 0
    assert answer.json() == {"status": "ready", "dependencies": {"database": "up", "redis": "up"}}


def read_only() -> list[str]:
    """What starts a command where nothing can be written."""
    namespace = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    return [*namespace, "sh", "-euc", READ_ONLY.format(root=ROOT), "read-only"]


@pytest.fixture
def broker_url(rabbit: Rabbit) -> Iterator[str]:
    """With an account: production takes no guest."""
    rabbit.control("add_user", "key2key", "sesame")
    rabbit.control("set_permissions", "key2key", ".*", ".*", ".*")
    yield rabbit.url.replace("guest:guest", "key2key:sesame")
    rabbit.control("delete_user", "key2key")


@pytest.mark.parametrize("name", ["worker", "relay", "beat"])
def test_the_processes_beside_it_run_from_a_read_only_root_too(
    environment: dict[str, str], broker_url: str, tmp_path: Path, name: str
) -> None:
    memory, port = tmp_path / "memory", free_port()
    memory.mkdir()
    own = {"AMQP_URL": broker_url, "TMPDIR": str(memory), "METRICS_PORT": str(port), "DATA_DIR": str(memory)}
    command: list[str | Path] = [*read_only(), KEY2KEY, name]
    log = tmp_path / "log"
    with (
        log.open("wb") as out,
        subprocess.Popen(command, env=environment | own, cwd=ROOT, stdout=out, stderr=out) as process,
    ):
        try:
            machines.until(f"{name}'s metrics", lambda: machines.answers(port))
            machines.until("Celery's start", lambda: name != "worker" or "ready." in log.read_text())
            assert "key2key_tasks_total" in httpx.get(f"http://127.0.0.1:{port}/metrics").text
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            machines.end(process, signal.SIGKILL)
