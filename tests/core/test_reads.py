"""Hot reads: who waits for a connection gets one, in turn."""

import asyncio

import pytest
from sqlalchemy import bindparam, select

from src.core import database, reads
from src.core.config import DatabaseSettings

MANY = 1500
ONE_CONNECTION = DatabaseSettings(read_pool_size=2, pool_timeout=60)


async def test_nobody_who_waits_is_overtaken_by_who_comes_just_when_a_connection_is_free(database_url: str) -> None:
    statement = reads.compiled(select(bindparam("number", 1)))
    served: list[int] = []

    async def read(reader: reads.Reader, number: int) -> None:
        await reader.fetch(statement, {})
        served.append(number)

    async with reads.pool(database.libpq_url(database_url), ONE_CONNECTION, {}) as reader, asyncio.TaskGroup() as group:
        await reader.fetch(statement, {})
        for number in range(MANY):
            group.create_task(read(reader, number))
            # They come one by one, while others go.
            await asyncio.sleep(0)
    assert served == list(range(MANY))


async def test_who_waits_for_too_long_is_told_and_the_connection_is_there_for_the_next(database_url: str) -> None:
    statement = reads.compiled(select(bindparam("number", 1)))
    hasty = ONE_CONNECTION.model_copy(update={"pool_timeout": 1})
    async with reads.pool(database.libpq_url(database_url), hasty, {}) as reader:
        await reader.fetch(statement, {})
        slow = asyncio.create_task(reader.fetch(reads.Statement("SELECT pg_sleep(2)", (), {}, False), {}))
        await asyncio.sleep(0)
        with pytest.raises(TimeoutError):
            await reader.fetch(statement, {})
        await slow
        assert len(await reader.fetch(statement, {})) == 1
