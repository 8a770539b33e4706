"""The migrated template database, shared by all workers and runs until a migration changes."""

from pathlib import Path

from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from alembic import command
from src.geo import loading as geo

ROOT = Path(__file__).resolve().parents[1]


async def make_template(admin: AsyncEngine, base: URL, name: str) -> None:
    """Make it unless it is there; it gets its name when it is whole."""
    unfinished = f"{name}_unfinished"
    async with admin.connect() as connection:
        if await connection.scalar(text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": name}):
            return
        await connection.execute(text(f'DROP DATABASE IF EXISTS "{unfinished}" WITH (FORCE)'))
        await connection.execute(text(f'CREATE DATABASE "{unfinished}" TEMPLATE template0'))
    engine = create_async_engine(base.set(database=unfinished))
    await upgrade(engine)
    async with AsyncSession(engine) as session, session.begin():
        await geo.load(session)
    async with AsyncSession(engine) as session, session.begin():
        await geo.analyse(session)
    await engine.dispose()
    async with admin.connect() as connection:
        await connection.execute(text(f'ALTER DATABASE "{unfinished}" RENAME TO "{name}"'))


def alembic_config(connection: Connection) -> Config:
    """Alembic on an open connection."""
    return Config(ROOT / "alembic.ini", attributes={"connection": connection})


async def upgrade(engine: AsyncEngine, revision: str = "head") -> None:
    """Migrate to a revision."""
    async with engine.begin() as connection:
        await connection.run_sync(lambda sync: command.upgrade(alembic_config(sync), revision))
