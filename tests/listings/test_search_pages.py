"""Pages of searches: each row once and in order, whatever is written in between; cursors; capped totals."""

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count, cycle
from typing import Any
from uuid import UUID

import orjson
import pytest
from httpx import AsyncClient
from itsdangerous import Signer
from itsdangerous.encoding import base64_encode
from sqlalchemy import insert, select, update

from src.core import clock, database
from src.core.pagination import encode_cursor
from src.listings.models import Listing, ListingStatus
from src.vehicles.models import Vehicle
from tests.factories import World, property_data, vehicle_data
from tests.listings.published import add_owner, publish

Row = dict[str, Any]

NEAR = {"near": "9,38", "radius_km": "900"}
SORTS: list[tuple[str, dict[str, str], Callable[[Row], Any], bool]] = [
    ("listings", {}, lambda row: row["published_at"], True),
    ("listings", {"sort": "newest"}, lambda row: row["published_at"], True),
    ("listings", {"sort": "price_asc"}, lambda row: row["price"]["amount"], False),
    ("listings", {"sort": "price_desc"}, lambda row: row["price"]["amount"], True),
    ("listings", {"sort": "nearest", **NEAR}, lambda row: row["location"]["latitude"], False),
    ("listings", {"q": "tie", "sort": "relevance", "explain": "true"}, lambda row: row["score"]["total"], True),
    ("listings", {"q": "ti", "explain": "true"}, lambda row: row["score"]["total"], True),
    ("vehicles", {"sort": "mileage_asc"}, lambda row: _mileage(row["vehicle"]), False),
    ("vehicles", {"sort": "year_desc"}, lambda row: row["vehicle"]["model_year"] or 0, True),
    ("vehicles", {"sort": "newest", "make": "toyota"}, lambda row: row["published_at"], True),
    ("vehicles", {"sort": "nearest", **NEAR}, lambda row: row["location"]["latitude"], False),
    ("properties", {"sort": "area_desc"}, lambda row: _area(row["property"]), True),
    ("properties", {"sort": "price_desc", "purpose": "rent"}, lambda row: row["price"]["amount"], True),
]


def _mileage(vehicle: Row) -> float:
    unit = 1.609344 if vehicle["mileage_unit"] == "mi" else 1
    return 10**9 if vehicle["mileage"] is None else float(vehicle["mileage"] * unit)


def _area(home: Row) -> float:
    return float(home["living_area_m2"] or home["lot_size_m2"] or 0)


def ties(kinds: str) -> list[Row]:
    """A dozen listings that have few different values."""
    latitudes, prices = cycle([9.1, 9.2, 9.123456789, 9.2]), cycle([100, 100, 200])
    titles = cycle(["a tie", "none", "none"])
    mileages = cycle([(5, "mi"), (8, "km"), (None, None), (5, "mi"), (0, "km")])
    years, areas = cycle([2012, None, 2011, 2012]), cycle([(80.5, None), (None, 80.5), (None, None), (33.3, 9)])
    rows = []
    for kind in kinds:
        common = {
            "title": next(titles),
            "description": "tie and dye",
            "price": {"amount": next(prices), "currency": "ETB"},
            "location": {"country": "ET", "city": "Adama", "latitude": next(latitudes), "longitude": 38},
        }
        mileage, unit = next(mileages)
        details = {"make": "Toyota", "model_year": next(years), "mileage": mileage, "mileage_unit": unit}
        living, lot = next(areas)
        home = {"property_type": "residential", "living_area_m2": living, "lot_size_m2": lot}
        rows.append(vehicle_data(**common, vehicle=details) if kind == "v" else property_data(**common, property=home))
    return rows


async def spread_publication(ids: list[str]) -> None:
    """Three moments of publication for all of them."""
    moments = cycle([0, 0, 1, 2])
    async with database.transaction() as session:
        for listing_id in ids:
            published_at = datetime(2026, 11, 1, 9, 0, 0, 123456, tzinfo=clock.now().tzinfo)
            moved = published_at + timedelta(microseconds=next(moments))
            await session.execute(update(Listing).where(Listing.id == UUID(listing_id)).values(published_at=moved))


async def page(client: AsyncClient, path: str, query: dict[str, Any]) -> dict[str, Any]:
    answer = await client.get(f"/api/v1/{path}", params=query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def walk(client: AsyncClient, path: str, query: dict[str, Any], limit: int) -> list[Row]:
    items: list[Row] = []
    cursor: dict[str, str] = {}
    while True:
        body = await page(client, path, query | {"limit": limit} | cursor)
        items += body["items"]
        if body["next_cursor"] is None:
            assert 0 < len(body["items"]) <= limit
            return items
        assert len(body["items"]) == limit
        cursor = {"cursor": body["next_cursor"]}


@pytest.mark.parametrize(("path", "query", "key", "is_descending"), SORTS)
async def test_pages_hold_each_row_once_and_in_order(
    path: str, query: dict[str, str], key: Callable[[Row], Any], is_descending: bool, client: AsyncClient
) -> None:
    kinds = {"listings": "vp", "vehicles": "v", "properties": "p"}[path]
    ids = await publish(*ties((kinds * 13)[:13]))
    await spread_publication(ids)
    everything = (await page(client, path, query | {"limit": 100}))["items"]
    assert {row["id"] for row in everything} == set(ids)
    assert everything == sorted(everything, key=lambda row: (key(row), row["id"]), reverse=is_descending)
    for limit in (1, 2, 7, 13):
        assert [row["id"] for row in await walk(client, path, query, limit)] == [row["id"] for row in everything]


@pytest.mark.parametrize("limit", [1, 2, 7])
@pytest.mark.parametrize("sort", ["newest", "price_asc", "price_desc", "mileage_asc", "year_desc", "nearest"])
async def test_I07_writes_between_pages_neither_repeat_nor_hide_a_row(
    sort: str, limit: int, client: AsyncClient
) -> None:
    ids = await publish(*ties("v" * 11))
    owner, numbers = await add_owner(), count()
    query = {"sort": sort, "limit": str(limit)} | (NEAR if sort == "nearest" else {})
    seen: list[str] = []
    body = await page(client, "vehicles", query)
    while True:
        seen += [row["id"] for row in body["items"]]
        if body["next_cursor"] is None:
            break
        await _disturb(owner, seen[-1], next(numbers))
        body = await page(client, "vehicles", query | {"cursor": body["next_cursor"]})
    assert len(seen) == len(set(seen))
    assert set(ids) <= set(seen)


async def _disturb(owner: UUID, last_seen: str, number: int) -> None:
    """Publish a few more, edit one that was seen, and take away one of the new ones."""
    new = await publish(*ties("vvv"), owner=owner) if number < 4 else []
    async with database.transaction() as session:
        edited = update(Listing).where(Listing.id == UUID(last_seen))
        await session.execute(edited.values(title=f"Edited {number}", version=Listing.version + 1))
        if new:
            gone = update(Listing).where(Listing.id == UUID(new[0]))
            await session.execute(gone.values(status=ListingStatus.WITHDRAWN))


async def test_a_cursor_outlives_the_row_it_was_made_of(client: AsyncClient) -> None:
    first, second, third = await publish(vehicle_data(), vehicle_data(), vehicle_data())
    body = await page(client, "vehicles", {"limit": 1})
    assert [row["id"] for row in body["items"]] == [third]
    async with database.transaction() as session:
        gone = update(Listing).where(Listing.id == UUID(third))
        await session.execute(gone.values(status=ListingStatus.WITHDRAWN))
    rest = await page(client, "vehicles", {"limit": 2, "cursor": body["next_cursor"]})
    assert [row["id"] for row in rest["items"]] == [second, first]


@pytest.mark.parametrize(("matching", "value", "capped"), [(1000, 1000, False), (1001, 1000, True), (1005, 1000, True)])
async def test_a_total_is_capped_at_a_thousand(matching: int, value: int, capped: bool, client: AsyncClient) -> None:
    [template] = await publish(vehicle_data())
    await _multiply(template, matching - 1)
    for path in ("listings", "vehicles"):
        body = await page(client, path, {"limit": 1, "q": "toyota"})
        assert body["total"] == {"value": value, "capped": capped}
    assert (await page(client, "properties", {}))["total"] == {"value": 0, "capped": False}


async def _multiply(listing_id: str, times: int) -> None:
    """As many copies of a listing, in two statements."""
    skipped = {"id", "is_public", "sphere", "mileage_km", "listing_id"}
    ids = [database.new_id() for _ in range(times)]
    async with database.transaction() as session:
        for table, key in ((Listing, "id"), (Vehicle, "listing_id")):
            columns = [column for column in table.__table__.columns if column.name not in skipped]
            row = (await session.execute(select(*columns).where(table.__table__.c[key] == UUID(listing_id)))).one()
            await session.execute(insert(table), [{**row._mapping, key: new} for new in ids])


def forged(said: Any) -> str:
    signer = Signer("not the key", key_derivation="none", digest_method=hashlib.sha256)
    return signer.sign(base64_encode(orjson.dumps(said))).decode()


# Searches that a cursor of `/vehicles?sort=price_asc&make=toyota` is not for.
OTHERS: list[tuple[str, dict[str, Any]]] = [
    ("vehicles", {"sort": "price_desc", "make": "toyota"}),
    ("vehicles", {"sort": "newest", "make": "toyota"}),
    ("vehicles", {"sort": "price_asc", "make": "lada"}),
    ("vehicles", {"sort": "price_asc", "make": ["toyota", "lada"]}),
    ("vehicles", {"sort": "price_asc", "make": "toyota", "negotiable": "true"}),
    ("vehicles", {"sort": "price_asc"}),
    ("vehicles", {}),
    ("listings", {"sort": "price_asc"}),
    ("properties", {"sort": "price_asc"}),
]


async def assert_cursor_refused(client: AsyncClient, path: str, query: dict[str, Any], **headers: Any) -> None:
    answer = await client.get(f"/api/v1/{path}", params=query, **headers)
    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/cursor"]
    assert answer.json()["errors"][0]["in"] == "query"


async def test_a_cursor_is_only_for_its_own_search(client: AsyncClient) -> None:
    await publish(*ties("vvvvpppp"))
    own = {"sort": "price_asc", "make": "toyota", "limit": 2}
    cursor = (await page(client, "vehicles", own))["next_cursor"]
    for path, query in OTHERS:
        await assert_cursor_refused(client, path, query | {"cursor": cursor})
    # How many a page holds may change on the way.
    assert len((await page(client, "vehicles", own | {"cursor": cursor, "limit": 1}))["items"]) == 1


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: "",
        lambda _: "x",
        lambda _: "…",
        lambda _: "W10.x.y",
        lambda cursor: cursor[:-1],
        lambda cursor: cursor[1:],
        lambda cursor: cursor + "A",
        lambda cursor: cursor.swapcase(),
        lambda cursor: cursor.partition(".")[0],
        lambda cursor: "W10." + cursor.partition(".")[2],
        lambda cursor: cursor * 20,
        lambda _: "A" * 60_000,
        lambda _: forged(["x", ["2026-01-01", "0"]]),
        lambda _: forged([[]] * 100)[:1000],
        lambda _: encode_cursor("other", [1]),
    ],
)
async def test_I07_a_damaged_or_forged_cursor_is_refused(damage: Callable[[str], str], client: AsyncClient) -> None:
    await publish(vehicle_data(), vehicle_data())
    cursor = (await page(client, "listings", {"limit": 1}))["next_cursor"]
    await assert_cursor_refused(client, "listings", {"cursor": damage(cursor)})


async def test_a_cursor_of_ones_own_lists_is_for_nobody_else(client: AsyncClient, world: World) -> None:
    one, another = await world.person(), await world.person()
    for person in (one, another):
        for _ in range(2):
            listing = await world.draft(person)
            await client.put(f"/api/v1/listings/{listing['id']}/favourite", headers=person.headers)
    own, favourites = "users/me/listings", "users/me/favourites"
    cursors = {}
    for path in (own, favourites):
        answer = await client.get(f"/api/v1/{path}", params={"limit": 1}, headers=one.headers)
        cursors[path] = answer.json()["next_cursor"]
    for path in (own, favourites):
        await assert_cursor_refused(client, path, {"cursor": cursors[path]}, headers=another.headers)
        await assert_cursor_refused(client, path, {"cursor": ""}, headers=one.headers)
    await assert_cursor_refused(client, own, {"cursor": cursors[favourites]}, headers=one.headers)
    await assert_cursor_refused(client, favourites, {"cursor": cursors[own]}, headers=one.headers)
    await assert_cursor_refused(client, own, {"cursor": cursors[own], "status": "draft"}, headers=one.headers)
    await assert_cursor_refused(client, "listings", {"cursor": cursors[own]})


async def test_ones_own_lists_are_walked_whole(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    ids = [(await world.draft(owner))["id"] for _ in range(5)]
    for listing_id in ids:
        kept = await client.put(f"/api/v1/listings/{listing_id}/favourite", headers=owner.headers)
        assert kept.status_code == 204
    for path in ("users/me/listings", "users/me/favourites"):
        for limit in (1, 2, 4, 5):
            client.headers.update(owner.headers)
            assert [row["id"] for row in await walk(client, path, {}, limit)] == ids[::-1]
