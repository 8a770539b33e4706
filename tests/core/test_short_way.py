"""The short way of hot reads: what it answers is what the ordinary way answers, and it takes nothing that is odd."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response

from src.core import config
from src.core.short_way import QueryReader, ShortWay
from src.main import create_app
from src.vehicles.schemas import VehicleSearch
from tests.factories import World, property_data

API = "/api/v1"
SEARCHES = (
    "", "limit=1", "make=toyota&make=lada&sort=price_asc", "q=toyota+vitz&explain=true", "q=%E1%89%AA%E1%89%B5",
    "currency=ETB&price_min=1&price_max=99999999999", "near=8.99%2C38.79&radius_km=20&sort=nearest", "limit=5&limit=1",
    "sort=newest&negotiable=false",
)  # fmt: skip
ODD = (
    "nothing=1", "limit=0", "limit=ten", "limit=", "sort=cheapest", "q=%00", "q=%FF", "cursor=x", "explain=true",
    "price_min=1e3", "cursor=",
)  # fmt: skip


def short_ways(app: FastAPI) -> Iterator[ShortWay]:
    return (route for route in app.router.routes if isinstance(route, ShortWay))


@pytest.fixture
async def ordinary(storage: None, app: FastAPI) -> AsyncIterator[AsyncClient]:
    """A client of the same application without its short ways."""
    long = create_app(config.settings())
    long.router.routes[:] = [route for route in long.router.routes if not isinstance(route, ShortWay)]
    long.state.redis, long.state.limiter = app.state.redis, app.state.limiter
    async with AsyncClient(transport=ASGITransport(long), base_url="http://test") as client:
        yield client


def told(answer: Response) -> dict[str, Any]:
    """Everything of an answer but its id."""
    document: dict[str, Any] = answer.json()
    if answer.status_code >= 400:
        document.pop("request_id")
    headers = {name: value for name, value in answer.headers.items() if name not in ("x-request-id", "content-length")}
    return {"status": answer.status_code, "headers": headers, "document": document}


async def test_each_hot_read_has_one(app: FastAPI) -> None:
    kinds = ("listings", "vehicles", "properties")
    paths = [f"{API}/{kind}{rest}" for kind in kinds for rest in ("", "/01a1fc10-b727-7426-85ce-320caeac1522")]
    paths.append(f"{API}/listings/01a1fc10-b727-7426-85ce-320caeac1522/similar")
    asked = [{"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b""} for path in paths]
    assert all(any(way.matches(scope)[1] for way in short_ways(app)) for scope in asked)
    assert len(list(short_ways(app))) == len(paths)


async def test_both_ways_answer_alike(client: AsyncClient, ordinary: AsyncClient, world: World) -> None:
    owner = await world.person()
    car, home = await world.published(owner), await world.published(owner, property_data())
    ids = (car["id"], home["id"], "01a1fc10-b727-7426-85ce-320caeac1522", car["id"].upper(), "x", f"{car['id']}?a=1")
    paths = [f"{kind}/{one}" for kind in ("listings", "vehicles", "properties") for one in ids]
    paths += [f"{kind}?{query}" for kind in ("listings", "vehicles") for query in (*SEARCHES, *ODD)]
    statuses = set()
    for path in paths:
        short, long = await client.get(f"{API}/{path}"), await ordinary.get(f"{API}/{path}")
        assert told(short) == told(long), path
        statuses.add(short.status_code)
    assert statuses == {200, 404, 422}


async def test_the_next_page_is_linked_alike(client: AsyncClient, ordinary: AsyncClient, world: World) -> None:
    owner = await world.person()
    for _ in range(2):
        await world.published(owner)
    path = f"{API}/vehicles?limit=1&make=toyota"
    short, long = await client.get(path), await ordinary.get(path)
    assert short.headers["Link"] == long.headers["Link"]
    assert (await client.get(short.headers["Link"][1:].partition(">")[0])).json()["items"]


@pytest.mark.parametrize("query", ODD[:8])
async def test_what_is_not_in_order_takes_the_ordinary_way(app: FastAPI, query: str) -> None:
    scope = {"type": "http", "method": "GET", "path": f"{API}/vehicles", "headers": [], "query_string": query.encode()}
    took = any(way.matches(scope)[1] for way in short_ways(app))
    assert took == (query == "cursor=x")


async def test_callers_with_a_token_take_the_ordinary_way(app: FastAPI) -> None:
    headers = [(b"authorization", b"Bearer x")]
    scope = {"type": "http", "method": "GET", "path": f"{API}/vehicles", "headers": headers, "query_string": b""}
    assert not any(way.matches(scope)[1] for way in short_ways(app))
    assert any(way.matches({**scope, "headers": []})[1] for way in short_ways(app))


async def test_other_methods_take_the_ordinary_way(client: AsyncClient) -> None:
    answer = await client.post(f"{API}/listings", json={})
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")


def test_of_what_is_one_value_the_last_counts() -> None:
    read = QueryReader(VehicleSearch).read(b"limit=5&make=lada&limit=7&make=fiat")
    assert isinstance(read, VehicleSearch)
    assert (read.limit, read.make) == (7, ("lada", "fiat"))
