"""A request's id on its way into PostgreSQL; log lines, events and their handlers have it from structlog's context.

Each transaction says in its BEGIN for whom it is: as a comment, for the server's log, and as its `application_name`,
which pg_stat_activity shows for as long as it runs or waits, whichever its statement is then. It costs no round trip; a
comment in the statements themselves would make each of them another one to prepare (ADR 0012).
"""

import re
from typing import Any

import asyncpg
from structlog.contextvars import get_contextvars

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
APPLICATION = "key2key"
LONGEST_NAME = 63  # PostgreSQL's NAMEDATALEN


class TracedConnection(asyncpg.Connection):  # type: ignore[misc]
    """A connection whose transactions name the request that they belong to."""

    __slots__ = ()

    async def execute(self, query: str, *args: Any, timeout: float | None = None) -> str:  # noqa: ASYNC109 - asyncpg's
        """As asyncpg says; its transactions begin here."""
        status: str = await super().execute(_named(query), *args, timeout=timeout)
        return status


def _named(query: str) -> str:
    request_id = get_contextvars().get("request_id")
    if not query.startswith("BEGIN") or not REQUEST_ID.fullmatch(request_id or ""):
        return query
    name = f"{APPLICATION} {request_id}"[:LONGEST_NAME]
    return f"{query} /* request_id={request_id} */ SET LOCAL application_name = '{name}'"
