"""The engine, the session and the two ways to get a transaction.

A request has exactly one, opened by `get_session` and committed before the answer is sent.
`independent()` is for what must outlive the request's rollback.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack, asynccontextmanager, suppress
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import orjson
import uuid_utils.compat
from sqlalchemy import Connection, DateTime, MetaData, QueuePool, Text, event
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase

from src.core import embedded, metrics, reads
from src.core.config import DatabaseSettings, Settings, settings
from src.core.tracing import APPLICATION, TracedConnection


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


# From sessions, and from hot reads. The last: PostgreSQL said farewell to the connection while it was being taken up.
DATABASE_ERRORS = (DBAPIError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
# Before there was a connection.
OUTAGES = (PoolTimeoutError, OSError, TimeoutError)

# SQLSTATE classes after which the same may well succeed: connection, resources, operator, system.
_TRANSIENT_CLASSES = ("08", "53", "57", "58")
_TRANSIENT_STATES = {"55P03", "40001", "40P01", "25P03", "25P02"}

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


@asynccontextmanager
async def savepoint(connection: AsyncConnection) -> AsyncIterator[AsyncSession]:
    """A session of its own inside the transaction of this connection: what fails in it is undone alone."""
    async with sessionmaker(bind=connection, join_transaction_mode="create_savepoint") as session, session.begin():
        yield session


def independent() -> AbstractAsyncContextManager[AsyncSession]:
    """A transaction of its own beside the request's, for a refusal that must leave a trace.

    The request must not hold a lock on the rows written here: the two would wait for each other.
    """
    return trace_sessionmaker.begin()


def sqlstate(exc: Exception) -> str:
    """PostgreSQL's code of a session's or a hot read's error; empty when the connection failed before there was one."""
    raw = exc.orig if isinstance(exc, DBAPIError) else exc
    return str(getattr(raw, "sqlstate", None) or "")


def is_outage(exc: Exception) -> bool:
    """Whether the same may well succeed later: a connection, the server's resources or the server itself failed."""
    if not isinstance(exc, DATABASE_ERRORS):
        return isinstance(exc, OUTAGES)
    state = sqlstate(exc)
    is_cut = getattr(exc, "connection_invalidated", False) or not state
    return is_cut or state[:2] in _TRANSIENT_CLASSES or state in _TRANSIENT_STATES


def is_away(exc: Exception) -> bool:
    """Whether the database could not be reached at all, which is nobody's fault who asked it."""
    if isinstance(exc, DATABASE_ERRORS):
        is_cut = getattr(exc, "connection_invalidated", False) or isinstance(exc, asyncpg.InternalClientError)
        return is_cut or sqlstate(exc).startswith(("08", "57P", "53300"))
    return isinstance(exc, PoolTimeoutError | ConnectionError | socket.gaierror)


def async_url(url: str) -> URL:
    """`postgres://` and `postgresql://` addresses, spoken to through asyncpg."""
    return make_url(url).set(drivername="postgresql+asyncpg")


def libpq_url(url: str) -> str:
    """The same address as libpq and asyncpg write it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def create_engine(url: str, config: DatabaseSettings) -> AsyncEngine:
    """An engine whose connections carry our timeouts and speak UTC."""
    connect_args: dict[str, Any] = {
        "timeout": config.pool_timeout,
        "server_settings": server_settings(config),
        "connection_class": TracedConnection,
    }
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
        "application_name": APPLICATION,
        "timezone": "UTC",
        "jit": "off",
        # Short statements, many at once: a second worker each would only wait for the first.
        "max_parallel_workers_per_gather": "0",
        "statement_timeout": str(config.statement_timeout_ms),
        "lock_timeout": str(config.lock_timeout_ms),
        "idle_in_transaction_session_timeout": str(config.idle_transaction_timeout_ms),
    }


class Wakeups:
    """What a LISTEN hears; `is_over` when nothing more will be heard."""

    def __init__(self) -> None:
        self._heard = asyncio.Event()
        self.is_over = False

    def hear(self, *_: object) -> None:
        """Somebody notified."""
        self._heard.set()

    def end(self, *_: object) -> None:
        """The connection is gone; who waits is woken to find that out."""
        self.is_over = True
        self._heard.set()

    async def wait(self, seconds: float) -> None:
        """Until somebody notifies or has since the last call, `seconds` at the longest."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._heard.wait(), seconds)
        self._heard.clear()


@asynccontextmanager
async def listening(channel: str) -> AsyncIterator[Wakeups]:
    """LISTEN on a connection of its own until leaving; behind PgBouncer nothing is ever heard.

    Raises:
        SQLAlchemyError, OSError: the database is not to be had.
    """
    wakeups, engine = Wakeups(), sessionmaker.kw["bind"]
    if settings().database.pgbouncer:
        yield wakeups
        return
    async with engine.connect() as connection:
        listener = (await connection.get_raw_connection()).driver_connection
        listener.add_termination_listener(wakeups.end)
        await listener.add_listener(channel, wakeups.hear)
        try:
            yield wakeups
        finally:
            await connection.invalidate()


@asynccontextmanager
async def _readers(url: str, config: DatabaseSettings) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        wanted = {"reads": url} | ({"replica": config.read_url} if config.read_url else {})
        made = [await stack.enter_async_context(_reader(name, address, config)) for name, address in wanted.items()]
        reads.readers.primary, reads.readers.replica = made[0], made[-1]
        yield


@asynccontextmanager
async def _reader(name: str, url: str, config: DatabaseSettings) -> AsyncIterator[reads.Reader]:
    if not config.pgbouncer:
        async with reads.pool(libpq_url(url), config, server_settings(config)) as reader:
            with metrics.watched_pool(name, reader.usage):
                yield reader
        return
    engine = create_engine(url, config.model_copy(update={"pool_size": config.read_pool_size}))
    try:
        with metrics.watched_pool(name, lambda: _usage(engine)):
            yield reads.EngineReader(engine)
    finally:
        await engine.dispose()


def _usage(engine: AsyncEngine) -> tuple[int, int]:
    """How many connections the engine's pool may have, and how many are taken."""
    pool = engine.pool
    assert isinstance(pool, QueuePool)
    return pool.size(), pool.checkedout()


@asynccontextmanager
async def connected(config: Settings) -> AsyncIterator[AsyncEngine]:
    """Bind the session maker to the configured database, or to an embedded one, until leaving.

    Raises:
        embedded.EmbeddedPostgresError: no `DATABASE_URL` and no embedded server for this platform.
    """
    async with AsyncExitStack() as stack:
        url = config.database.url
        if url is None:
            servers = stack.enter_context(ExitStack())
            server = embedded.running(config.data_dir / "postgres")
            url = await asyncio.to_thread(servers.enter_context, server)
        engine = create_engine(url, config.database)
        traces = create_engine(url, config.database.model_copy(update={"pool_size": TRACE_POOL_SIZE}))
        await stack.enter_async_context(_readers(url, config.database))
        stack.push_async_callback(engine.dispose)
        stack.push_async_callback(traces.dispose)
        sessionmaker.configure(bind=engine)
        trace_sessionmaker.configure(bind=traces)
        stack.enter_context(metrics.watched_pool("sessions", lambda: _usage(engine)))
        stack.enter_context(metrics.watched_pool("traces", lambda: _usage(traces)))
        yield engine
