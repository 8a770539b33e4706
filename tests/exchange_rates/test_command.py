"""`key2key rates import` as a job runs it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from httpx import AsyncClient
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner

from src import cli
from src.core import config, database, logging
from src.core.reads import Reader
from src.exchange_rates.models import RateSet
from tests.auth.stored import audited, facts
from tests.conftest import bind
from tests.exchange_rates.rates import PATH, rate_data, today
from tests.listings.stored import nothing_changes

Invoke = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
async def invoke(committed: None, engine: AsyncEngine, pool: Reader) -> AsyncIterator[Invoke]:
    """Runs the command in this process; its exit code and what it said."""

    async def invoke(file: Path) -> tuple[int, str, str]:
        # In a thread, which may have an event loop beside ours; the command binds the sessions to an engine of its own.
        ended = await asyncio.to_thread(CliRunner().invoke, cli.app, ["rates", "import", str(file)])
        bind(engine, pool)
        return ended.exit_code, ended.stdout, ended.stderr

    yield invoke
    logging.configure(config.settings())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rates.json"


def write(file: Path, **overrides: Any) -> None:
    file.write_text(json.dumps(rate_data(**overrides)))


async def test_a_job_adds_the_rates_of_a_file_once(invoke: Invoke, file: Path, client: AsyncClient) -> None:
    write(file)
    code, said, complained = await invoke(file)
    current = (await client.get(PATH)).json()
    day = rate_data()["as_of"]
    assert (code, complained) == (0, "")
    assert said == f"Added the rates of {day}, 3 currencies against ETB: {current['id']}\n"
    assert current["rates"] == {"JPY": "0.99", "KWD": "0.00197", "USD": "0.0064"}
    assert await facts("exchange_rates.updated") == [{"rate_set_id": current["id"]}]
    assert [entry.actor_id for entry in await audited("exchange_rates.update")] == [None]
    async with nothing_changes():
        assert await invoke(file) == (0, f"The rates of {day} are there already\n", "")


@pytest.mark.parametrize(
    "changed", [{"source": "Another bank"}, {"rates": {"USD": "0.0065", "JPY": "0.99", "KWD": "0.00197"}}]
)
async def test_other_figures_of_the_day_are_another_set(changed: Any, invoke: Invoke, file: Path) -> None:
    write(file)
    await invoke(file)
    write(file, **changed)
    code, _, _ = await invoke(file)
    assert code == 0
    async with database.transaction() as session:
        assert len((await session.scalars(select(RateSet.id))).all()) == 2


async def test_what_is_refused_is_told_and_changes_nothing(invoke: Invoke, file: Path, tmp_path: Path) -> None:
    refused: list[tuple[dict[str, Any], str]] = [
        ({"rates": {"USD": "NaN"}}, "rates.USD: must be a decimal in quotes"),
        ({"as_of": (today() + timedelta(days=1)).isoformat()}, "The rates are of a day that is yet to come"),
        ({"rates": {"ETB": "2", "USD": "1"}}, "One unit of the base is one unit of the base"),
    ]
    async with nothing_changes():
        for overrides, reason in refused:
            write(file, **overrides)
            code, said, complained = await invoke(file)
            assert (code, said) == (1, "")
            assert complained.startswith(reason)
        assert await invoke(tmp_path) == (1, "", f"{tmp_path} cannot be read: Is a directory\n")
        assert await invoke(tmp_path / "no") == (
            1,
            "",
            f"{tmp_path / 'no'} cannot be read: No such file or directory\n",
        )
