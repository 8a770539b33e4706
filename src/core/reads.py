"""Hot reads: selects compiled once to SQL and run on a plain asyncpg pool, past the session (ADR 0007).

A statement's parameters have names (`bindparam("city")`), so that it is made once for all values. Nothing here is for
writing: connections are not reset between reads, and each read is a transaction of its own.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import asyncpg
from sqlalchemy import Select
from sqlalchemy.dialects.postgresql.asyncpg import dialect
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from src.core.config import DatabaseSettings

Row = Mapping[str, Any]

# Per connection: there, a search by all parameters is 0.4 MB of the server's memory.
MOST_PREPARED = 100

_DIALECT = dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with positional parameters, their names in order, and the values of those that never change.

    The plan of one that `is_selective` depends on the values and is made anew for each; that of any other is kept.
    """

    sql: str
    names: tuple[str, ...]
    fixed: Mapping[str, Any]
    is_selective: bool

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        """The values in the order of the parameters."""
        return [values[name] if name in values else self.fixed[name] for name in self.names]


def compiled(select: Select[Any], *, is_selective: bool = False) -> Statement:
    """The statement of a select."""
    made = select.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
    return Statement(made.string, tuple(made.positiontup or ()), made.params, is_selective)


class Reader(Protocol):
    """Where hot reads run."""

    async def fetch(self, statement: Statement, values: Mapping[str, Any]) -> Sequence[Row]:
        """The rows. Raises asyncpg's errors, which `core.problems` answers."""


class PoolReader:
    """Reads on any connection of two pools: one plans each statement once, one for each of its values."""

    def __init__(self, once: asyncpg.Pool, anew: asyncpg.Pool, timeout: float) -> None:
        self._once, self._anew, self._timeout = once, anew, timeout
        # A pool by itself gives a connection to whoever comes just when it is free, before those who wait for it.
        self._turns = {pool: asyncio.Semaphore(pool.get_max_size()) for pool in (once, anew)}

    def usage(self) -> tuple[int, int]:
        """How many connections there may be, and how many are taken."""
        pools = (self._once, self._anew)
        return sum(one.get_max_size() for one in pools), sum(one.get_size() - one.get_idle_size() for one in pools)

    async def fetch(self, statement: Statement, values: Mapping[str, Any]) -> Sequence[Row]:
        """As `Reader` says; waits for its turn no longer than the pool's timeout, and as long for a new connection."""
        pool = self._anew if statement.is_selective else self._once
        turn = self._turns[pool]
        # A clock is only worth starting where there is something to wait for.
        async with asyncio.timeout(self._timeout) if turn.locked() else nullcontext():
            await turn.acquire()
        try:
            async with pool.acquire() as connection:
                rows: Sequence[Row] = await connection.fetch(statement.sql, *statement.arguments(values))
                return rows
        finally:
            turn.release()


class SessionReader:
    """Reads on the session's connection, and so in its transaction: what the request wrote is seen."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def fetch(self, statement: Statement, values: Mapping[str, Any]) -> Sequence[Row]:
        """As `Reader` says."""
        await self._session.flush()
        connection = await self._session.connection()
        found = await connection.exec_driver_sql(statement.sql, tuple(statement.arguments(values)))
        return [dict(row) for row in found.mappings()]


class EngineReader:
    """Reads in transactions of an engine: behind PgBouncer, where limits and time zone are asked for in each."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def fetch(self, statement: Statement, values: Mapping[str, Any]) -> Sequence[Row]:
        """As `Reader` says."""
        async with self._engine.begin() as connection:
            found = await connection.exec_driver_sql(statement.sql, tuple(statement.arguments(values)))
            return [dict(row) for row in found.mappings()]


@dataclass(slots=True)
class Readers:
    """The readers of this process: the database itself, and its replica if there is one."""

    primary: Reader | None = None
    replica: Reader | None = None

    def get(self, *, is_anonymous: bool) -> Reader:
        """Anonymous callers may see what is a moment old; who signed in reads their own writes."""
        reader = self.replica if is_anonymous else self.primary
        assert reader is not None, "the database is not connected"
        return reader


readers = Readers()


async def _keep(_: asyncpg.Connection) -> None:
    """Between reads: a select outside a transaction leaves nothing behind to reset."""


@asynccontextmanager
async def pool(url: str, config: DatabaseSettings, server_settings: Mapping[str, str]) -> AsyncIterator[PoolReader]:
    """A reader with connections of its own, which are made when they are needed."""

    def made(plan_cache_mode: str) -> asyncpg.Pool:
        return asyncpg.create_pool(
            url,
            min_size=0,
            max_size=config.read_pool_size // 2,
            timeout=config.pool_timeout,
            reset=_keep,
            statement_cache_size=MOST_PREPARED,
            server_settings={**server_settings, "plan_cache_mode": plan_cache_mode},
        )

    async with made("force_generic_plan") as once, made("force_custom_plan") as anew:
        yield PoolReader(once, anew, config.pool_timeout)
