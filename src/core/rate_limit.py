"""Rate limits per key, counted in Redis over a moving window.

Every limit has the same mode when Redis fails (away, frozen, full, read-only): each process counts by itself, and asks
Redis again a while later. Nothing is let through uncounted, neither what guards accounts (logins, registrations, mailed
tokens, mails) nor what merely protects resources (VIN verdicts, files). At the worst a limit starts anew, and is that
of one process times their number: Redis locks nobody out, and whoever guesses passwords gains a few tries.
"""

import asyncio
import time
from math import ceil
from typing import cast

import structlog
from fastapi import Request
from limits import parse
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter, RateLimiter
from redis.asyncio import Redis
from redis.exceptions import RedisError

from src.core import clock
from src.core.errors import TooManyRequests
from src.core.redis import TIMEOUT_SECONDS

log = structlog.get_logger(__name__)

# How long Redis is left alone after a failure: whoever asks it first is held up by TIMEOUT_SECONDS.
ALONE_SECONDS = 2.0


class Limiter:
    """Counts in Redis, for all processes; for a while after that has failed, in this process."""

    def __init__(self, client: Redis) -> None:
        # The address only names the scheme.
        storage = RedisStorage(
            "async+redis://pool:6379",
            implementation="redispy",
            key_prefix="key2key:limits",
            connection_pool=client.connection_pool,  # type: ignore[arg-type]
        )
        self._shared = MovingWindowRateLimiter(storage)
        # Fixed windows: in memory, moving ones look through every key in threads, at each hit.
        self._own = FixedWindowRateLimiter(MemoryStorage())
        self._alone_until = 0.0

    async def wait(self, limit: str, *keys: str) -> float:
        """Count one use, unless that would be one too many: the seconds until there may be another, else 0."""
        if time.monotonic() >= self._alone_until:
            try:
                async with asyncio.timeout(TIMEOUT_SECONDS):
                    return await _wait(self._shared, limit, keys)
            except (RedisError, OSError, TimeoutError) as exc:
                self._alone_until = time.monotonic() + ALONE_SECONDS
                log.warning("limits_counted_alone", error=type(exc).__name__, seconds=ALONE_SECONDS)
        return await _wait(self._own, limit, keys)


async def _wait(limiter: RateLimiter, limit: str, keys: tuple[str, ...]) -> float:
    parsed = parse(limit)
    if await limiter.hit(parsed, *keys):
        return 0
    window = await limiter.get_window_stats(parsed, *keys)
    return max(1, window.reset_time - clock.now().timestamp())


async def spend(request: Request, limit: str, *keys: str) -> None:
    """Count one use of `limit` (such as `20/hour`) under these keys.

    Raises:
        TooManyRequests: with `Retry-After` in seconds.
    """
    if wait := await _limiter_of(request).wait(limit, *keys):
        raise TooManyRequests(headers={"Retry-After": str(ceil(wait))})


async def is_within(request: Request, limit: str, *keys: str) -> bool:
    """Count one use of `limit` under these keys, unless that would be one too many."""
    return not await _limiter_of(request).wait(limit, *keys)


def _limiter_of(request: Request) -> Limiter:
    return cast("Limiter", request.app.state.limiter)


def client_address(request: Request) -> str:
    """The caller's address; behind a trusted proxy, uvicorn has already put the real one here."""
    return request.client.host if request.client else "unknown"
