"""Runs a request again whose transaction PostgreSQL gave up for another one's sake.

A deadlock or a failure to serialise has rolled back all that the request did, and nothing is answered before the commit
(`database.get_session`): so the whole request, its body already read, can be run once more. So can a hot read that a
replica gave up, because it was in the way of what the primary has changed. What a request did outside its
transaction happens again, too: rate limits count it twice, which is at worst a 429. A wait that timed out (55P03) is
not repeated: it would keep the client for as long again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from random import uniform

import structlog
from starlette.requests import Request
from starlette.responses import Response

from src.core.database import DATABASE_ERRORS, sqlstate

MOST_RETRIES = 3
FIRST_PAUSE_SECONDS = 0.02

_SERIALIZATION_FAILURE, _DEADLOCK = "40001", "40P01"
# A migration has altered a table under a prepared statement; the error makes SQLAlchemy forget all of them.
_STALE_PLAN = "0A000"
_PASSING = (_SERIALIZATION_FAILURE, _DEADLOCK, _STALE_PLAN)
log = structlog.get_logger(__name__)

Handle = Callable[[Request], Awaitable[Response]]


async def answer(handle: Handle, request: Request) -> Response:
    """The answer of the first attempt that PostgreSQL lets through, of one and at most three more.

    Raises:
        DBAPIError, asyncpg.PostgresError: the last attempt failed as well; it is rendered as 503.
    """
    for number in range(MOST_RETRIES):
        try:
            return await handle(request)
        except DATABASE_ERRORS as exc:
            if sqlstate(exc) not in _PASSING:
                raise
            log.warning("transaction_retried", sqlstate=sqlstate(exc), attempt=number + 1)
        # Of two that met, one should come earlier the next time.
        await asyncio.sleep(uniform(0, FIRST_PAUSE_SECONDS * 2**number))  # noqa: S311
    return await handle(request)
