"""The engine, the session and the two ways to get a transaction.

A request has exactly one, opened by `get_session` and committed before the answer is sent.
`independent()` is for what must outlive the request's rollback.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack, asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import orjson
import uuid_utils.compat
from sqlalchemy import Connection, DateTime, MetaData, Text, event
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase

from src.core import embedded, reads
from src.core.config import DatabaseSettings, Settings


class Base(DeclarativeBase):
    """Every table; constraint names follow one convention so that errors and migrations can rely on them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: DateTime(timezone=True), str: Text, list[str]: ARRAY(Text)}


sessionmaker = async_sessionmaker(expire_on_commit=False)
# Traces have connections of their own: a request that holds the last one could otherwise wait for itself.
trace_sessionmaker = async_sessionmaker(expire_on_commit=False)
TRACE_POOL_SIZE = 2


def new_id() -> UUID:
    """A time-ordered UUIDv7, made here so that PostgreSQL 15 serves as well as 18."""
    return uuid_utils.compat.uuid7()


async def get_session() -> AsyncIterator[AsyncSession]:
    """The request's session; use it as a dependency with `scope="function"`, or a failing commit answers 200."""
    async with sessionmaker.begin() as session:
        yield session


def transaction() -> AbstractAsyncContextManager[AsyncSession]:
    """A transaction for a caller that is no request: a handler, a job, a command. Commits on leaving."""
    return sessionmaker.begin()


def independent() -> AbstractAsyncContextManager[AsyncSession]:
    """A transaction of its own beside the request's, for a refusal that must leave a trace.

    The request must not hold a lock on the rows written here: the two would wait for each other.
    """
    return trace_sessionmaker.begin()


def sqlstate(exc: Exception) -> str:
    """PostgreSQL's code of a session's or a hot read's error; empty when the connection failed before there was one."""
    raw = exc.orig if isinstance(exc, DBAPIError) else exc
    return str(getattr(raw, "sqlstate", None) or "")


def async_url(url: str) -> URL:
    """`postgres://` and `postgresql://` addresses, spoken to through asyncpg."""
    return make_url(url).set(drivername="postgresql+asyncpg")


def libpq_url(url: str) -> str:
    """The same address as libpq and asyncpg write it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def create_engine(url: str, config: DatabaseSettings) -> AsyncEngine:
    """An engine whose connections carry our timeouts and speak UTC."""
    connect_args: dict[str, Any] = {"timeout": config.pool_timeout, "server_settings": server_settings(config)}
    if config.pgbouncer:
        # In transaction mode the next statement may run on another server connection: nothing prepared
        # survives, names must not collide, and what is asked at the start would be another client's.
        connect_args |= {
            "statement_cache_size": 0,
            "prepared_statement_cache_size": 0,
            "prepared_statement_name_func": lambda: f"__k2k_{uuid4()}__",
            "server_settings": {},
        }
    engine = create_async_engine(
        async_url(url),
        pool_size=config.pool_size,
        max_overflow=0,
        pool_timeout=config.pool_timeout,
        pool_pre_ping=True,
        connect_args=connect_args,
        hide_parameters=True,
        json_serializer=lambda value: orjson.dumps(value).decode(),
        json_deserializer=orjson.loads,
    )
    if config.pgbouncer:
        _ask_in_each_transaction(engine, server_settings(config))
    return engine


def _ask_in_each_transaction(engine: AsyncEngine, wanted: dict[str, str]) -> None:
    asked = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in wanted.items())

    @event.listens_for(engine.sync_engine, "begin")
    def ask(connection: Connection) -> None:
        connection.exec_driver_sql(f"SELECT {asked}")


def server_settings(config: DatabaseSettings) -> dict[str, str]:
    """What each connection asks of the server; times in milliseconds."""
    return {
        "application_name": "key2key",
        "timezone": "UTC",
        "jit": "off",
        # Short statements, many at once: a second worker each would only wait for the first.
        "max_parallel_workers_per_gather": "0",
        "statement_timeout": str(config.statement_timeout_ms),
        "lock_timeout": str(config.lock_timeout_ms),
        "idle_in_transaction_session_timeout": str(config.idle_transaction_timeout_ms),
    }


@asynccontextmanager
async def _readers(url: str, config: DatabaseSettings) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        made = [
            await stack.enter_async_context(_reader(address, config)) for address in (url, config.read_url) if address
        ]
        reads.readers.primary, reads.readers.replica = made[0], made[-1]
        yield


@asynccontextmanager
async def _reader(url: str, config: DatabaseSettings) -> AsyncIterator[reads.Reader]:
    if not config.pgbouncer:
        async with reads.pool(libpq_url(url), config, server_settings(config)) as reader:
            yield reader
        return
    engine = create_engine(url, config.model_copy(update={"pool_size": config.read_pool_size}))
    try:
        yield reads.EngineReader(engine)
    finally:
        await engine.dispose()


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[AsyncEngine]:
    """Bind the session maker to the configured database, or to an embedded one, until leaving.

    Raises:
        embedded.EmbeddedPostgresError: no `DATABASE_URL` and no embedded server for this platform.
    """
    async with AsyncExitStack() as stack:
        url = settings.database.url
        if url is None:
            servers = stack.enter_context(ExitStack())
            server = embedded.running(settings.data_dir / "postgres")
            url = await asyncio.to_thread(servers.enter_context, server)
        engine = create_engine(url, settings.database)
        traces = create_engine(url, settings.database.model_copy(update={"pool_size": TRACE_POOL_SIZE}))
        await stack.enter_async_context(_readers(url, settings.database))
        stack.push_async_callback(engine.dispose)
        stack.push_async_callback(traces.dispose)
        sessionmaker.configure(bind=engine)
        trace_sessionmaker.configure(bind=traces)
        yield engine
