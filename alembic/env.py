"""Migrations run on the configured database, or on the embedded one; `src/*/models.py` are the metadata."""

import asyncio
import importlib
import pkgutil

from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql.base import ischema_names

import src
from alembic import context
from src.core import (  # noqa: F401 - tables of the core
    audit,
    database,
    datasets,
    dev_clock,
    events,
    idempotency,
    revocation,
    schedule,
    tasks,
)
from src.core.config import settings
from src.listings.models import Cube

for _module in pkgutil.iter_modules(src.__path__, "src."):
    if _module.ispkg and importlib.util.find_spec(f"{_module.name}.models"):
        importlib.import_module(f"{_module.name}.models")

# A migration that waits for a lock makes everybody behind it wait as well.
LOCK_TIMEOUT = "4s"


# Lets autogenerate read our extension type back from the database.
ischema_names["cube"] = Cube


def _migrate(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=database.Base.metadata)
    with context.begin_transaction():
        connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        # Two processes that start at once migrate one after the other.
        connection.execute(text("SELECT pg_advisory_xact_lock(4842571094)"))
        context.run_migrations()


async def _connect_and_migrate() -> None:
    async with database.connected(settings()) as engine, engine.connect() as connection:
        await connection.run_sync(_migrate)
        await connection.commit()


if given := context.config.attributes.get("connection"):
    _migrate(given)
else:
    asyncio.run(_connect_and_migrate())
