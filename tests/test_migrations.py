"""The migrations make what the models say, from nothing and back, and wait for no lock for long."""

import os
from collections.abc import AsyncIterator

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from alembic import command
from src.core import database
from tests.templates import alembic_config, upgrade


@pytest.fixture
async def empty(server_url: str) -> AsyncIterator[AsyncEngine]:
    """A database with nothing in it."""
    base = make_url(server_url).set(drivername="postgresql+asyncpg")
    name = f"k2k_migrations_{os.getpid()}"
    admin = create_async_engine(base, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    async with admin.connect() as connection:
        await connection.execute(text(f'CREATE DATABASE "{name}" TEMPLATE template0'))
    engine = create_async_engine(base.set(database=name), poolclass=NullPool)
    yield engine
    async with admin.connect() as connection:
        await connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    await admin.dispose()


def tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names()) - {"alembic_version"}


async def test_O02_the_models_and_the_migrations_say_the_same(empty: AsyncEngine) -> None:
    await upgrade(empty)
    async with empty.connect() as connection:
        await connection.run_sync(lambda sync: command.check(alembic_config(sync)))
        assert await connection.run_sync(tables) == set(database.Base.metadata.tables)


async def test_O02_there_is_one_head(empty: AsyncEngine) -> None:
    async with empty.connect() as connection:
        heads = await connection.run_sync(lambda sync: ScriptDirectory.from_config(alembic_config(sync)).get_heads())
    assert len(heads) == 1


async def test_O02_every_constraint_is_named_by_the_convention(empty: AsyncEngine) -> None:
    await upgrade(empty)
    async with empty.connect() as connection:
        names = await connection.scalars(
            text("SELECT conname FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'")
        )
        assert [name for name in names if not name.startswith(("pk_", "fk_", "uq_", "ck_", "alembic_"))] == []


async def test_O02_migrating_goes_down_to_nothing_and_up_again(empty: AsyncEngine) -> None:
    await upgrade(empty)
    async with empty.begin() as connection:
        await connection.run_sync(lambda sync: command.downgrade(alembic_config(sync), "base"))
        assert await connection.run_sync(tables) == set()
        functions = "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        assert list(await connection.scalars(text(functions))) == []
    await upgrade(empty)
    async with empty.connect() as connection:
        assert await connection.run_sync(tables) == set(database.Base.metadata.tables)


async def test_O02_a_migration_gives_up_on_a_lock_rather_than_queue_everybody_behind_it(empty: AsyncEngine) -> None:
    await upgrade(empty)
    async with empty.begin() as holder:
        await holder.execute(text("LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(DBAPIError, match="lock timeout"):
            await upgrade(empty)
