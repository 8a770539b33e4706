"""The server as a process: it starts, serves the README's tour, and leaves when told."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
KEY2KEY = Path(sys.executable).with_name("key2key")


@contextmanager
def serving(
    database_url: str, data_dir: Path, command: Sequence[str | Path] = (KEY2KEY,)
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`key2key serve` on a port of its own choosing, until leaving."""
    environment = os.environ | {
        "DATABASE_URL": database_url.replace("+asyncpg", ""),
        "DATA_DIR": str(data_dir),
        "PORT": "0",
        "LOG_LEVEL": "INFO",
    }
    process = subprocess.Popen(
        [*command, "serve"], env=environment, cwd=data_dir, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(r"running on (http://127\.0\.0\.1:\d+)", line):
                yield process, found[1]
                break
        else:
            pytest.fail("the server never said where it runs")
    finally:
        process.kill()
        process.communicate()


def assert_leaves_cleanly(process: subprocess.Popen[str], number: signal.Signals) -> None:
    process.send_signal(number)
    output, _ = process.communicate(timeout=15)
    assert process.returncode == 0
    assert "Traceback" not in output


def test_the_server_leaves_cleanly_when_interrupted(database_url: str, tmp_path: Path) -> None:
    with serving(database_url, tmp_path) as (process, _):
        assert_leaves_cleanly(process, signal.SIGINT)


def tour() -> str:
    """The README's tour as a script."""
    text = (ROOT / "README.md").read_text()
    [script] = re.findall(r"## A five-minute tour.*?```sh\n(.*?)```", text, re.DOTALL)
    return str(script)


def test_the_tour_in_the_readme_works_line_by_line_and_the_server_leaves_cleanly_when_told(
    committed: None, database_url: str, tmp_path: Path
) -> None:
    curl = tmp_path / "curl"
    curl.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).with_name("curl.py")}" "$@"\n')
    curl.chmod(0o755)
    read, write = os.pipe()
    with serving(database_url, tmp_path) as (process, address):
        script = "set -eu\n" + tour().replace("http://127.0.0.1:8000", address)
        ran = subprocess.run(
            ["/bin/sh", "-c", script],
            env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "STATUS_FD": str(write)},
            pass_fds=[write],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert_leaves_cleanly(process, signal.SIGTERM)
    os.close(write)
    with os.fdopen(read) as statuses:
        answered = [int(line) for line in statuses]
    assert ran.returncode == 0, ran.stderr
    *well, refused = answered
    assert (set(well), refused) == ({200, 201}, 422), answered
    assert '"price" : {"amount" : 179000000' in ran.stdout
    problem = json.loads(ran.stdout[ran.stdout.rindex('{"type"') :])
    assert problem["errors"][0]["pointer"] == "/price_max"
