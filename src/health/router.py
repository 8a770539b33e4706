"""`/health`: liveness asks nothing, readiness asks each dependency. `/metrics`: what Prometheus collects."""

import asyncio
import hmac
from collections.abc import Awaitable
from typing import Literal

import structlog
from fastapi import Request, Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from pydantic import Field
from redis.exceptions import RedisError
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from src.core import metrics
from src.core.config import Settings
from src.core.database import independent
from src.core.errors import NotFound, Unauthorized
from src.core.schemas import Schema
from src.core.serving import leaving
from src.core.strict import Router
from src.health import service

log = structlog.get_logger(__name__)

router = Router(prefix="/health", tags=["health"])
metrics_router = Router()

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
    """503 without the database, and while the process leaves; Redis is reported, and what does not need it goes on."""
    database, redis = await asyncio.gather(_state("database", _ask_database()), _state("redis", _ask_redis(request)))
    is_ready = database == "up" and not leaving.is_set()
    if not is_ready:
        response.status_code = 503
    return Readiness(status="ready" if is_ready else "not_ready", dependencies={"database": database, "redis": redis})


@metrics_router.get("/metrics", include_in_schema=False)
async def read_metrics(request: Request) -> Response:
    """For whoever has the token. Without a token set it is open in development, and elsewhere there is nothing here."""
    _refuse_unless_allowed(request)
    is_up = await _state("database", service.measure_backlog()) == "up"
    metrics.DATABASE_UP.set(is_up)
    return Response(metrics.render(), media_type=CONTENT_TYPE_PLAIN_0_0_4)


def _refuse_unless_allowed(request: Request) -> None:
    """Raises NotFound and Unauthorized."""
    settings: Settings = request.app.state.settings
    if (token := settings.metrics.token) is None:
        if not settings.is_development:
            raise NotFound
        return
    given = request.headers.get("authorization", "").encode()
    if not hmac.compare_digest(given, f"Bearer {token.get_secret_value()}".encode()):
        raise Unauthorized(headers={"WWW-Authenticate": "Bearer"})


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
