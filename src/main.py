"""The application: mounts routers, middleware and error handlers, and owns what lives as long as the process."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from src import __version__, relay
from src.auth.router import router as auth_router
from src.core import (
    database,
    dev_clock,
    docs,
    logging,
    mail,
    mailbox,
    metrics,
    problems,
    rate_limit,
    redis,
    schedule,
    short_way,
)
from src.core.config import Settings
from src.core.config import settings as load_settings
from src.core.middleware import BodyLimit, HeadAsGet, LastResort, RequestContext, SecurityHeaders
from src.exchange_rates.router import router as exchange_rates_router
from src.geo.router import router as geo_router
from src.health.router import metrics_router
from src.health.router import router as health_router
from src.imports.router import router as imports_router
from src.listings.router import make_router as make_listings_router
from src.notifications.router import router as notifications_router
from src.properties.router import router as properties_router
from src.users.router import router as users_router
from src.vehicles.router import router as vehicles_router

API_PREFIX = "/api/v1"


def create_app(settings: Settings | None = None) -> FastAPI:
    """The ASGI application.

    Raises:
        InsecureSettingsError: outside development, settings that must not reach users.
    """
    settings = settings or load_settings()
    settings.refuse_insecure()
    logging.configure(settings)
    app = FastAPI(
        title="Key2Key",
        version=__version__,
        summary="The open marketplace backend for things that have keys.",
        description=docs.DESCRIPTION,
        debug=False,
        # FastAPI would look for OpenTelemetry at each request.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json" if settings.docs.enabled else None,
        redirect_slashes=False,
        lifespan=_lifespan,
        middleware=_middleware(settings),
        generate_unique_id_function=_operation_id,
    )
    app.state.settings = settings
    problems.install(app)
    _mount(app)
    metrics.install(app)
    short_way.install(app)
    docs.install(app, is_open=bool(settings.docs.enabled))
    if settings.is_development and settings.smtp.host is None:
        mailbox.install(app, mail.folder(settings))
    return app


def _operation_id(route: APIRoute) -> str:
    return route.name


def _mount(app: FastAPI) -> None:
    app.include_router(health_router)
    app.include_router(metrics_router)
    # Before users: `/users/me/…` of other modules must not be taken for a user's id.
    for router in (
        auth_router,
        make_listings_router(),
        users_router,
        geo_router,
        exchange_rates_router,
        vehicles_router,
        properties_router,
        imports_router,
        notifications_router,
    ):
        app.include_router(router, prefix=API_PREFIX)
    if app.state.settings.is_development:
        app.include_router(dev_clock.router)


def _middleware(settings: Settings) -> list[Middleware]:
    """From the outside in: the id and the log line see everything, refused bodies included."""
    layers = [
        Middleware(RequestContext),
        Middleware(SecurityHeaders, is_https_only=not settings.is_development),
    ]
    if settings.cors.origins:
        layers.append(
            Middleware(
                CORSMiddleware,
                allow_origins=settings.cors.origins,
                allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
                allow_headers=[
                    "Authorization",
                    "Content-Type",
                    "Idempotency-Key",
                    "If-Match",
                    "If-None-Match",
                    "X-Request-ID",
                ],
                expose_headers=["ETag", "Idempotency-Replayed", "Link", "Location", "Retry-After", "X-Request-ID"],
                max_age=600,
            )
        )
    return [
        *layers,
        Middleware(HeadAsGet),
        Middleware(
            BodyLimit,
            limit=settings.http.body_limit_bytes,
            limits={f"{API_PREFIX}/imports": settings.imports.body_limit_bytes},
        ),
        Middleware(LastResort),
    ]


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(database.connected(settings))
        await stack.enter_async_context(dev_clock.followed(settings))
        app.state.redis = await stack.enter_async_context(redis.connected(settings.redis))
        app.state.limiter = rate_limit.Limiter(app.state.redis)
        if settings.amqp.url is None:
            relay.subscribe_all()
            for name, work in (("relay", relay.run(settings.amqp)), ("schedule", schedule.run())):
                stack.push_async_callback(_stop, asyncio.create_task(work, name=name))
        sampling = asyncio.create_task(metrics.keep_sampling(), name="metrics")
        stack.push_async_callback(_stop, sampling)
        # What is there now stays: looking through it again and again for rubbish would hold up requests.
        gc.freeze()
        yield
        gc.unfreeze()


async def _stop(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
