"""What Prometheus collects: bounded series, from every process, for those who may see them."""

import re
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from prometheus_client.parser import text_string_to_metric_families
from ruamel.yaml import YAML
from sqlalchemy import update

from src.core import clock, database, metrics
from src.core.config import Environment, Settings
from src.core.events import Event, OutboxMessage, emit
from src.core.schedule import JobRow
from src.main import create_app
from tests.factories import World

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "metrics-9f1c4be07a52d86e31-for-prometheus"

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


class KettleBoiled(Event, name="test.kettle_boiled"):
    """Something happened."""


async def read(client: AsyncClient) -> Series:
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = text_string_to_metric_families(answer.text)
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


def value(series: Series, name: str, **labels: str) -> float:
    return series.get((name, frozenset(labels.items())), 0)


def requests(series: Series, method: str, route: str, status: str) -> float:
    return value(series, "http_requests_total", method=method, route=route, status=status)


UseSettings = Callable[[Settings], AsyncClient]


@pytest.fixture
def with_settings(app: FastAPI, client: AsyncClient) -> Iterator[UseSettings]:
    """A client of the application under other settings, for one test."""
    own = app.state.settings

    def use(settings: Settings) -> AsyncClient:
        app.state.settings = settings
        return client

    yield use
    app.state.settings = own


async def test_O11_requests_are_counted_by_the_template_of_their_route(client: AsyncClient, world: World) -> None:
    person = await world.person()
    listing = await world.published(person)
    detail = "/api/v1/vehicles/{listing_id}"
    before = await read(client)
    for headers in ({}, person.headers):  # the short way of hot reads, and the ordinary one
        assert (await client.get(f"/api/v1/vehicles/{listing['id']}", headers=headers)).status_code == 200
    await client.get(f"/api/v1/vehicles/{uuid4()}")
    await client.head(f"/api/v1/vehicles/{listing['id']}")
    await client.put(f"/api/v1/vehicles/{listing['id']}")
    await client.get("/nowhere")
    after = await read(client)
    more = {
        (method, route, status): requests(after, method, route, status) - requests(before, method, route, status)
        for method, route, status in (
            ("GET", detail, "2xx"),
            ("GET", detail, "4xx"),
            ("HEAD", detail, "2xx"),
            ("PUT", detail, "4xx"),
            ("GET", metrics.UNMATCHED, "4xx"),
        )
    }
    assert list(more.values()) == [2, 1, 1, 1, 1], more
    name = "http_request_duration_seconds_count"
    timed = [value(series, name, method="GET", route=detail) for series in (before, after)]
    assert timed[1] - timed[0] == 3
    assert value(after, "http_requests_in_flight") == 1, "the one that asks"


async def test_O11_no_path_and_no_method_of_a_clients_choosing_makes_a_series(client: AsyncClient) -> None:
    await client.get("/nowhere")
    await client.request("BREW", "/nowhere")
    await client.get(f"/api/v1/users/{uuid4()}")
    await read(client)
    before = set(await read(client))
    for _ in range(100):
        await client.get(f"/{secrets.token_hex(8)}/{secrets.token_hex(4)}?q={secrets.token_hex(4)}")
        await client.get(f"/api/v1/users/{uuid4()}", headers={"X-Request-ID": secrets.token_hex(8)})
        await client.request(secrets.token_hex(4).upper(), "/nowhere")
    assert set(await read(client)) == before


async def test_what_waits_in_the_outbox_and_which_jobs_are_late_is_told(client: AsyncClient) -> None:
    now = clock.now()
    async with database.transaction() as session:
        await emit(session, KettleBoiled(), KettleBoiled())
        await session.execute(update(OutboxMessage).values(next_attempt_at=now + timedelta(minutes=1), attempts=3))
        await emit(session, KettleBoiled())
        session.add(JobRow(name="late", period=timedelta(days=1), due_at=now - timedelta(hours=1), failures=2))
        session.add(JobRow(name="soon", period=timedelta(days=1), due_at=now + timedelta(hours=1)))
    clock.advance(timedelta(seconds=30))
    told = await read(client)
    outbox = [value(told, f"key2key_outbox_{name}") for name in ("messages", "failing", "lag_seconds")]
    assert outbox == [3, 2, pytest.approx(30, abs=5)]
    assert (value(told, "key2key_jobs_overdue"), value(told, "key2key_jobs_failing")) == (1, 1)
    assert value(told, "key2key_database_up") == 1


async def test_each_pool_is_told_with_its_size(database_url: str) -> None:
    app = create_app(Settings(database={"url": database_url, "pool_size": 7, "read_pool_size": 4}))
    client = AsyncClient(transport=ASGITransport(app), base_url="http://test")
    async with app.router.lifespan_context(app), client, database.transaction() as session:
        await session.connection()
        told = await read(client)
    pools = ("sessions", "traces", "reads")
    assert [value(told, "key2key_database_pool_size", pool=pool) for pool in pools] == [7, 2, 4]
    assert value(told, "key2key_database_pool_in_use", pool="sessions") >= 1


async def test_without_the_database_it_says_so(app: FastAPI, client: AsyncClient) -> None:
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as asking:
        target = database.trace_sessionmaker.kw["bind"]
        database.trace_sessionmaker.configure(
            bind=database.create_engine("postgresql://k2k@127.0.0.1:1/k2k", app.state.settings.database)
        )
        told = await read(asking)
        database.trace_sessionmaker.configure(bind=target)
    assert value(told, "key2key_database_up") == 0


@pytest.mark.parametrize(
    ("environment", "token", "given", "status"),
    [
        (Environment.DEVELOPMENT, None, None, 200),
        (Environment.PRODUCTION, None, None, 404),
        (Environment.PRODUCTION, None, f"Bearer {TOKEN}", 404),
        (Environment.PRODUCTION, TOKEN, None, 401),
        (Environment.PRODUCTION, TOKEN, "Bearer another", 401),
        (Environment.PRODUCTION, TOKEN, TOKEN, 401),
        (Environment.PRODUCTION, TOKEN, "Bearer \xe9", 401),
        (Environment.PRODUCTION, TOKEN, f"Bearer {TOKEN}", 200),
        (Environment.DEVELOPMENT, TOKEN, None, 401),
    ],
)
async def test_Z11_metrics_are_for_those_with_the_token(
    with_settings: UseSettings, environment: Environment, token: str | None, given: str | None, status: int
) -> None:
    client = with_settings(Settings(metrics={"token": token}).model_copy(update={"environment": environment}))
    headers = {"Authorization": given.encode("latin-1")} if given else {}
    answer = await client.get("/metrics", headers=headers)  # type: ignore[arg-type]
    assert answer.status_code == status
    assert ("http_requests_total" in answer.text) == (status == 200)
    assert TOKEN not in answer.text


async def test_O11_each_alert_asks_for_metrics_that_there_are(client: AsyncClient) -> None:
    rules = YAML(typ="safe").load(ROOT / "deploy/prometheus/alerts.yml")["groups"][0]["rules"]
    text = (await client.get("/metrics")).text
    known = set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE))
    asked = {name for rule in rules for name in re.findall(r"\b(?:http|key2key)_\w+", rule["expr"])}
    assert {re.sub(r"_bucket$", "", name) for name in asked} - known == set()
    assert len(asked) >= 9
    assert {"summary", "description"} == set.intersection(*(set(rule["annotations"]) for rule in rules))


PROCESS = """
from src.core import metrics
metrics.REQUESTS.labels("GET", "/x", "2xx").inc({0})
metrics.OUTBOX_MESSAGES.set({0})
print(metrics.render().decode())
"""


@pytest.mark.processes
def test_several_processes_answer_as_one(tmp_path: Path) -> None:
    environment = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    told = [
        subprocess.run(
            [sys.executable, "-c", PROCESS.format(number)], env=environment, capture_output=True, text=True, check=True
        ).stdout
        for number in (2, 3)
    ]
    assert 'http_requests_total{method="GET",route="/x",status="2xx"} 5.0' in told[1]
    assert "\nkey2key_outbox_messages 3.0" in told[1]
