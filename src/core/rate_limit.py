"""Rate limits per key, counted in Redis over a moving window."""

from math import ceil
from typing import cast

from fastapi import Request
from limits import parse
from limits.aio.storage import RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from redis.asyncio import Redis

from src.core import clock
from src.core.errors import TooManyRequests


def limiter(client: Redis) -> MovingWindowRateLimiter:
    """A limiter on the client's connections; the address given to the storage only names the scheme."""
    storage = RedisStorage(
        "async+redis://pool:6379",
        implementation="redispy",
        key_prefix="key2key:limits",
        connection_pool=client.connection_pool,  # type: ignore[arg-type]
    )
    return MovingWindowRateLimiter(storage)


async def spend(request: Request, limit: str, *keys: str) -> None:
    """Count one use of `limit` (such as `20/hour`) under these keys.

    Raises:
        TooManyRequests: with `Retry-After` in seconds.
    """
    moving_window = cast("MovingWindowRateLimiter", request.app.state.limiter)
    item = parse(limit)
    if await moving_window.hit(item, *keys):
        return
    window = await moving_window.get_window_stats(item, *keys)
    wait = max(1, ceil(window.reset_time - clock.now().timestamp()))
    raise TooManyRequests(headers={"Retry-After": str(wait)})


def client_address(request: Request) -> str:
    """The caller's address; behind a trusted proxy, uvicorn has already put the real one here."""
    return request.client.host if request.client else "unknown"
