"""What Prometheus is told; `GET /metrics` shows it.

Labels have few values: routes are templates, never paths. With PROMETHEUS_MULTIPROC_DIR set (several Gunicorn workers)
the processes share files there, and whichever is asked answers for all of them.
"""

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.types import Scope

REQUESTS = Counter("http_requests_total", "Answered requests", ["method", "route", "status"])
REQUEST_SECONDS = Histogram(
    "http_request_duration_seconds",
    "From the first byte of a request to the last of its answer",
    ["method", "route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
REQUESTS_IN_FLIGHT = Gauge("http_requests_in_flight", "Requests being answered", multiprocess_mode="livesum")

POOL_SIZE = Gauge(
    "key2key_database_pool_size", "Connections that a pool may have", ["pool"], multiprocess_mode="livesum"
)
POOL_IN_USE = Gauge("key2key_database_pool_in_use", "Connections that are taken", ["pool"], multiprocess_mode="livesum")
DATABASE_UP = Gauge("key2key_database_up", "Whether the database answers", multiprocess_mode="mostrecent")

OUTBOX_MESSAGES = Gauge("key2key_outbox_messages", "Events on their way", multiprocess_mode="mostrecent")
OUTBOX_FAILING = Gauge("key2key_outbox_failing", "Events that failed before", multiprocess_mode="mostrecent")
OUTBOX_LAG_SECONDS = Gauge(
    "key2key_outbox_lag_seconds", "How long the oldest event that is due has waited", multiprocess_mode="mostrecent"
)
JOBS_OVERDUE = Gauge(
    "key2key_jobs_overdue", "Periodic jobs that should have run minutes ago", multiprocess_mode="mostrecent"
)
JOBS_FAILING = Gauge("key2key_jobs_failing", "Periodic jobs whose last run failed", multiprocess_mode="mostrecent")

QUEUE_DEPTH = Gauge(
    "key2key_queue_messages", "Messages in a queue of the broker", ["queue"], multiprocess_mode="mostrecent"
)
TASKS = Counter("key2key_tasks_total", "Handler runs, by how they ended", ["handler", "outcome"])
TASK_SECONDS = Histogram(
    "key2key_task_duration_seconds",
    "How long a handler took",
    ["handler"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)
MAILS = Counter("key2key_mails_total", "Mails, by what became of them; skipped: no longer true or wanted", ["outcome"])

SAMPLE_SECONDS = 5
UNMATCHED, OTHER = "unmatched", "other"
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class _Series(NamedTuple):
    """What one kind of request counts in."""

    requests: Counter
    seconds: Histogram


# Looked up once for each endpoint, method and class of status, since looking a label up costs more than counting.
_series: dict[tuple[object, str, int], _Series] = {}


def install(app: FastAPI) -> None:
    """Learn the template of each endpoint of `app`."""
    contexts = list(iter_route_contexts(app.routes))
    app.state.templates = {context.endpoint: context.path for context in contexts if context.endpoint}


def answered(scope: Scope, status: int, seconds: float) -> None:
    """Count a request; its scope has been through the router."""
    key = (scope.get("endpoint"), scope["method"], status // 100)
    series = _series.get(key)
    if series is None:
        series = _series_of(scope, *key)
    series.requests.inc()
    series.seconds.observe(seconds)


def _series_of(scope: Scope, endpoint: object, method: str, status_class: int) -> _Series:
    templates: dict[object, str] = getattr(scope["app"].state, "templates", {}) if "app" in scope else {}
    route = templates.get(endpoint, UNMATCHED)
    known = method if method in _METHODS else OTHER
    made = _Series(REQUESTS.labels(known, route, f"{status_class}xx"), REQUEST_SECONDS.labels(known, route))
    if known is not OTHER:  # there are any number of others
        _series[endpoint, method, status_class] = made
    return made


Usage = Callable[[], tuple[int, int]]
_pools: dict[str, Usage] = {}


@contextmanager
def watched_pool(name: str, usage: Usage) -> Iterator[None]:
    """Tell of a pool's size and of the connections in use, until leaving."""
    _pools[name] = usage
    try:
        yield
    finally:
        _pools.pop(name, None)


def sample_pools() -> None:
    """Write down how the pools are used now."""
    for name, usage in _pools.items():
        size, in_use = usage()
        POOL_SIZE.labels(name).set(size)
        POOL_IN_USE.labels(name).set(in_use)


async def keep_sampling() -> None:
    """Until cancelled: each process knows only its own pools, and Prometheus asks only one of them."""
    while True:
        sample_pools()
        await asyncio.sleep(SAMPLE_SECONDS)


def render() -> bytes:
    """Everything, in Prometheus's text format."""
    sample_pools()
    return generate_latest(_registry())


def serve(address: str, port: int) -> None:
    """Answer Prometheus on a port of its own, from a thread: for processes that serve nothing else."""
    start_http_server(port, address, _registry())


def _registry() -> CollectorRegistry:
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry
