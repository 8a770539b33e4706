"""`key2key import` as people run it; as a process of its own where that makes a difference."""

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner

from src import cli
from src.core import config, logging
from src.core.reads import Reader
from tests.conftest import bind
from tests.factories import World
from tests.imports.sheets import DEMO, car, sheet, stored

pytestmark = pytest.mark.processes

COMMAND = str(Path(sys.executable).with_name("key2key"))

Start = Callable[..., Awaitable[Process]]
Invoke = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
async def start(database_url: str, tmp_path: Path) -> AsyncIterator[Start]:
    """Starts `key2key import` with these arguments, on the database of this test."""
    started: list[Process] = []

    async def start(*arguments: str | Path) -> Process:
        # Elsewhere than in the repository, whose .env is somebody's own.
        environment = {**os.environ, "DATABASE_URL": database_url, "DATA_DIR": str(tmp_path)}
        process = await asyncio.create_subprocess_exec(
            COMMAND, "import", *map(str, arguments), cwd=tmp_path, env=environment, stdout=PIPE, stderr=PIPE
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.fixture
async def invoke(committed: None, engine: AsyncEngine, pool: Reader) -> AsyncIterator[Invoke]:
    """Runs the command in this process; its exit code and what it said."""

    async def invoke(*arguments: str | Path) -> tuple[int, str, str]:
        # In a thread, which may have an event loop beside ours; the command binds the sessions to an engine of its own.
        ended = await asyncio.to_thread(CliRunner().invoke, cli.app, ["import", *map(str, arguments)])
        bind(engine, pool)
        return ended.exit_code, ended.stdout, ended.stderr

    yield invoke
    logging.configure(config.settings())


def told(pattern: str, said: str) -> list[int]:
    return [int(number.replace(",", "")) for number in re.findall(pattern, said)]


async def test_it_names_what_failed_and_sums_up(committed: None, world: World, start: Start, tmp_path: Path) -> None:
    owner = await world.person()
    file = tmp_path / "ቤቶች.csv"
    file.write_bytes(sheet(car("1", shade="red"), car("2", price=""), car("3", city="")))
    process = await start(file, "--owner", owner.email.upper())
    said, complained = await process.communicate()
    assert said.decode().splitlines() == [
        "Columns that no field goes by, ignored: shade",
        "line 3 failed: price: is missing",
        "line 4 landed as a draft: city: is needed to publish",
        "lines 2-4 done: 2 landed (1 published, 0 waiting for review, 1 drafts), 0 unchanged, 1 failed",
        "3 rows: 2 landed (1 published, 0 waiting for review, 1 drafts), 0 unchanged, 1 failed",
    ]
    assert (process.returncode, complained) == (1, b"")
    assert set(await stored(owner.id)) == {"1", "3"}


async def test_defaults_and_drafts_can_be_asked_for(world: World, invoke: Invoke, tmp_path: Path) -> None:
    owner = await world.person()
    file = tmp_path / "cars.csv"
    file.write_bytes(sheet(car("1", city="")))
    asked = ("--owner", owner.email, "--default", "city=Adama", "--default", "region=Oromia", "--draft")
    code, said, _ = await invoke(file, *asked)
    assert code == 0
    assert said.endswith("1 rows: 1 landed (0 published, 0 waiting for review, 1 drafts), 0 unchanged, 0 failed\n")
    listing = (await stored(owner.id))["1"]
    assert (listing.city, listing.region, listing.status) == ("Adama", "Oromia", "draft")


async def test_what_cannot_be_imported_at_all_is_one_sentence(invoke: Invoke, tmp_path: Path) -> None:
    good, headless = tmp_path / "good.csv", tmp_path / "headless.csv"
    good.write_bytes(sheet(car("1")))
    headless.write_bytes(b"external_id,kind\n")
    owner = ("--owner", "nobody@example.com")
    mistakes = {
        (good, *owner): "There is no account with this address\n",
        (tmp_path, *owner): f"{tmp_path} cannot be read: Is a directory\n",
        (headless, *owner): "The header lacks title, purpose, price, currency\n",
        (good, *owner, "--default", "city"): "--default wants FIELD=VALUE, as in --default city=Adama\n",
    }
    for arguments, sentence in mistakes.items():
        assert await invoke(*arguments) == (2, "", sentence)


async def test_after_kill_9_what_was_told_is_there_and_importing_again_adds_only_the_rest(
    committed: None, world: World, start: Start, invoke: Invoke, tmp_path: Path
) -> None:
    owner = await world.person()
    lines = (DEMO / "properties_ames.csv").read_bytes().splitlines(keepends=True)[:1501]
    file = tmp_path / "homes.csv"
    file.write_bytes(b"".join(lines))
    process = await start(file, "--owner", owner.email)
    assert process.stdout is not None
    [landed] = told(r"done: ([\d,]+) landed", (await process.stdout.readline()).decode())
    process.send_signal(signal.SIGKILL)
    assert await process.wait() == -signal.SIGKILL
    survived = await stored(owner.id)
    assert 0 < landed <= len(survived) < 1500
    assert {f"ames-{number}" for number in range(1, landed + 1)} <= set(survived)
    assert {listing.status for listing in survived.values()} == {"published"}

    code, said, _ = await invoke(file, "--owner", owner.email)
    assert code == 0
    rest = 1500 - len(survived)
    assert (told(r"rows: ([\d,]+) landed", said), told(r"([\d,]+) unchanged", said)[-1:]) == ([rest], [len(survived)])
    everything = await stored(owner.id)
    assert len(everything) == 1500
    assert {name: listing.id for name, listing in everything.items()}.items() >= {
        name: listing.id for name, listing in survived.items()
    }.items()
