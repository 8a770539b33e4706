"""The limit: a bare Starlette handler, one statement on an asyncpg pool as it comes, `orjson.dumps(dict(row))`.

No framework can beat it on the same data and fields; it validates nothing, logs nothing and sets no headers.
`/same/{name}` runs our own statements instead, planned as we have them planned.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_COMMON = """
    listings.id, listings.kind, listings.status, listings.purpose, listings.title, listings.description,
    listings.price_amount, listings.currency, listings.negotiable, listings.rent_period, listings.country,
    listings.region, listings.city, listings.subdivision, listings.woreda, listings.landmark, listings.postal_code,
    listings.public_latitude, listings.public_longitude, listings.language, listings.features, listings.completeness,
    listings.created_at, listings.updated_at, listings.published_at, listings.expires_at, listings.price_changed_at,
    listings.closed_at, users.id AS owner_id, users.full_name, users.role, users.created_at AS member_since"""
_VEHICLE = "vehicles.*"
_DETAIL = f"""
    SELECT {_COMMON}, {_VEHICLE} FROM listings JOIN users ON users.id = listings.owner_id
    JOIN vehicles ON listing_id = listings.id WHERE listings.id = $1 AND is_public"""
_MATCHING = """
    FROM listings WHERE is_public AND kind = 'vehicle' AND currency = 'USD' AND price_amount BETWEEN $1 AND $2"""
_SEARCH = f"""
    SELECT {_COMMON}, {_VEHICLE}, (SELECT count(*) FROM (SELECT 1 {_MATCHING} LIMIT 1001) AS counted) AS total
    FROM (SELECT id AS found_id {_MATCHING} ORDER BY price_amount, id LIMIT 21) AS found
    JOIN listings ON listings.id = found_id JOIN users ON users.id = listings.owner_id
    JOIN vehicles ON listing_id = listings.id ORDER BY listings.price_amount, listings.id"""


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    url = os.environ["DATABASE_URL"]
    planned = {"plan_cache_mode": "force_custom_plan", "jit": "off", "max_parallel_workers_per_gather": "0"}
    async with asyncpg.create_pool(url) as pool, asyncpg.create_pool(url, server_settings=planned) as same_pool:
        app.state.pool, app.state.same_pool = pool, same_pool
        app.state.same = orjson.loads(Path(os.environ["SAME"]).read_bytes())
        yield


async def detail(request: Request) -> Response:
    """A vehicle listing."""
    row = await request.app.state.pool.fetchrow(_DETAIL, UUID(request.path_params["listing_id"]))
    return _json(dict(row))


async def search(request: Request) -> Response:
    """Twenty vehicles in a range of prices, the cheapest first, and how many there are."""
    query = request.query_params
    rows = await request.app.state.pool.fetch(_SEARCH, int(query["price_min"]), int(query["price_max"]))
    return _json([dict(row) for row in rows])


async def same(request: Request) -> Response:
    """The statements of one of our own answers."""
    rows = []
    for sql, arguments in request.app.state.same[request.path_params["name"]]:
        rows += await request.app.state.same_pool.fetch(sql, *arguments)
    return _json([dict(row) for row in rows])


def _json(value: Any) -> Response:
    return Response(orjson.dumps(value, default=str), media_type="application/json")


app = Starlette(
    routes=[Route("/detail/{listing_id}", detail), Route("/search", search), Route("/same/{name}", same)],
    lifespan=_lifespan,
)
