"""`/health`: liveness asks nothing, readiness asks each dependency."""

import asyncio
from collections.abc import Awaitable
from typing import Literal

import structlog
from fastapi import Request, Response
from pydantic import Field
from redis.exceptions import RedisError
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from src.core.database import independent
from src.core.schemas import Schema
from src.core.strict import Router

log = structlog.get_logger(__name__)

router = Router(prefix="/health", tags=["health"])

TIMEOUT_SECONDS = 3
State = Literal["up", "down"]


class Liveness(Schema):
    """The process answers."""

    status: Literal["alive"] = Field(description="Always `alive`")


class Readiness(Schema):
    """Whether this process can serve, and what each dependency says."""

    status: Literal["ready", "not_ready"]
    dependencies: dict[str, State] = Field(description="`database` decides; without `redis` only some things wait")


@router.get("/live", summary="Is the process alive")
async def read_liveness() -> Liveness:
    """Asks nothing and nobody: a dead dependency must not get this process restarted."""
    return Liveness(status="alive")


@router.get(
    "/ready",
    summary="Can the process serve",
    responses={503: {"model": Readiness, "description": "The database does not answer"}},
)
async def read_readiness(request: Request, response: Response) -> Readiness:
    """503 without the database; Redis is reported, and what does not need it goes on."""
    database, redis = await asyncio.gather(_state("database", _ask_database()), _state("redis", _ask_redis(request)))
    if database == "down":
        response.status_code = 503
    return Readiness(
        status="ready" if database == "up" else "not_ready", dependencies={"database": database, "redis": redis}
    )


async def _ask_database() -> None:
    async with independent() as session:
        await session.execute(select(1))


async def _ask_redis(request: Request) -> None:
    await request.app.state.redis.ping()


async def _state(name: str, question: Awaitable[None]) -> State:
    try:
        await asyncio.wait_for(question, TIMEOUT_SECONDS)
    except (SQLAlchemyError, RedisError, OSError, TimeoutError) as exc:
        log.warning("dependency_down", dependency=name, error=type(exc).__name__)
        return "down"
    return "up"
