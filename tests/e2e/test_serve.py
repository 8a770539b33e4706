"""The server as a process: it starts, serves the README's tour, and leaves when told."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from tests.e2e.server import Server, serving

ROOT = Path(__file__).resolve().parents[2]


def assert_leaves_cleanly(server: Server, number: signal.Signals) -> None:
    assert server.leave(number) == 0
    assert "Traceback" not in "".join(server.log)


def test_the_server_leaves_cleanly_when_interrupted(database_url: str, tmp_path: Path) -> None:
    with serving(database_url, tmp_path) as server:
        assert_leaves_cleanly(server, signal.SIGINT)


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
    with serving(database_url, tmp_path) as server:
        script = "set -eu\n" + tour().replace("http://127.0.0.1:8000", server.address)
        ran = subprocess.run(
            ["/bin/sh", "-c", script],
            env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "STATUS_FD": str(write)},
            pass_fds=[write],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert_leaves_cleanly(server, signal.SIGTERM)
    os.close(write)
    with os.fdopen(read) as statuses:
        answered = [int(line) for line in statuses]
    assert ran.returncode == 0, ran.stderr
    *well, refused = answered
    assert (set(well), refused) == ({200, 201}, 422), answered
    assert '"price" : {"amount" : 179000000' in ran.stdout
    problem = json.loads(ran.stdout[ran.stdout.rindex('{"type"') :])
    assert problem["errors"][0]["pointer"] == "/price_max"
