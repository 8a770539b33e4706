"""Redis, for what may vanish; without `REDIS_URL` an in-process stand-in that speaks the same protocol."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from src.core.config import RedisSettings

# Redis answers in a millisecond or not at all, and nobody's request is to wait for that.
TIMEOUT_SECONDS = 0.5


def connection_pool(config: RedisSettings) -> Any:
    """A pool of connections to the configured Redis, or to a stand-in of this process alone."""
    if config.url is not None:
        return ConnectionPool.from_url(
            config.url,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            # redis-py's own would try for seconds; a connection that was closed meanwhile is found out before.
            retry=Retry(NoBackoff(), 0),
        )
    # Imported here: production installs no stand-in.
    from fakeredis import FakeAsyncRedisConnection, FakeServer  # noqa: PLC0415

    return ConnectionPool(connection_class=FakeAsyncRedisConnection, server=FakeServer())


@asynccontextmanager
async def connected(config: RedisSettings) -> AsyncIterator[Redis]:
    """A client on a pool of its own, closed on leaving."""
    pool = connection_pool(config)
    client = Redis(connection_pool=pool)
    try:
        yield client
    finally:
        await client.aclose()
        await pool.aclose()
