"""Files on their way: where they wait, how many at once, and for how long."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from src.core import config, spooling
from tests.factories import World
from tests.imports.sent import send
from tests.imports.sheets import car, sheet
from tests.listings.stored import nothing_changes

pytestmark = pytest.mark.usefixtures("committed")
GOOD = sheet(car("1"))


class Stalling:
    """A file whose second half waits for the test."""

    def __init__(self) -> None:
        self.is_begun, self.may_end = asyncio.Event(), asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield GOOD[:50]
        self.is_begun.set()
        await self.may_end.wait()
        yield GOOD[50:]


def open_files() -> list[str]:
    """What this process has open, deleted files included."""
    return [str(file.readlink()) for file in Path("/proc/self/fd").iterdir() if file.is_symlink()]


async def test_a_file_waits_on_the_disk_and_not_in_memory(client: httpx.AsyncClient, world: World) -> None:
    owner, content = await world.person(), Stalling()
    sending = asyncio.create_task(send(client, owner, content))
    await content.is_begun.wait()
    waiting = [name for name in open_files() if name.startswith(str(config.settings().data_dir.resolve() / "uploads"))]
    content.may_end.set()
    assert ((await sending).status_code, len(waiting)) == (201, 1)
    assert not list(config.settings().uploads_dir.iterdir())


async def test_one_file_of_a_caller_is_taken_at_a_time(client: httpx.AsyncClient, world: World) -> None:
    owner, other, content = await world.person(), await world.person(), Stalling()
    sending = asyncio.create_task(send(client, owner, content))
    await content.is_begun.wait()
    async with nothing_changes():
        second = await send(client, owner, GOOD)
    theirs = await send(client, other, GOOD)
    content.may_end.set()
    first = await sending
    third = await send(client, owner, GOOD)
    assert [answer.status_code for answer in (first, second, theirs, third)] == [201, 429, 201, 201]
    assert (second.json()["code"], second.headers["Retry-After"]) == ("too_many_requests", "10")


async def test_a_process_takes_a_few_files_at_a_time(
    client: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spooling, "MOST_AT_ONCE", 1)
    owner, other, content = await world.person(), await world.person(), Stalling()
    sending = asyncio.create_task(send(client, owner, content))
    await content.is_begun.wait()
    async with nothing_changes():
        refused = await send(client, other, GOOD)
    content.may_end.set()
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "10")
    assert [(await sending).status_code, (await send(client, other, GOOD)).status_code] == [201, 201]


async def test_a_file_that_does_not_arrive_is_not_waited_for(
    client: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = await world.person()
    with monkeypatch.context() as patch:
        patch.setattr(spooling, "LONGEST_SECONDS", 0.05)
        async with nothing_changes():
            late = await send(client, owner, Stalling())
    again = await send(client, owner, GOOD)
    assert (late.status_code, late.json()["code"], again.status_code) == (408, "body_too_slow", 201)
