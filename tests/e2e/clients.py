"""The generated clients at work: `make clients`, which makes them first. Not named test_…: no part of `make test`."""

import asyncio
import os
import subprocess
from pathlib import Path

import pytest

from tests.e2e.server import serving

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = ROOT / "build" / "clients" / "env" / "bin"
EXAMPLES = [
    ("python", "example.py", {"PYTHONPATH": str(ROOT / "build" / "clients" / "python")}),
    ("node", "example.ts", {}),
]


def run(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    environment = os.environ | environment
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize(("program", "script", "environment"), EXAMPLES, ids=["python", "typescript"])
async def test_I19_a_generated_client_signs_in_creates_and_searches(
    program: str, script: str, environment: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    [path] = (ROOT / "clients").glob(f"*/{script}")
    with serving(database_url, tmp_path) as server:
        command = [str(ENVIRONMENT / program), str(path), server.address]
        ran = await asyncio.to_thread(run, command, environment)
    assert ran.returncode == 0, ran.stderr
    found, refused = ran.stdout.replace("'", "").splitlines()
    assert found.replace(" ", "") == "found[185000000,179000000]"
    assert refused.replace(" ", "") == "refusedinvalid_input[/price/amount]"
