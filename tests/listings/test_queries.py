"""How many statements the reads and writes take, whatever the size of the page."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from httpx import AsyncClient

from tests.factories import World, property_data

Counting = Callable[[], AbstractContextManager[list[str]]]


async def test_D08_a_listing_is_one_query(client: AsyncClient, world: World, count_queries: Counting) -> None:
    owner = await world.person()
    car, home = await world.published(owner), await world.published(owner, property_data())
    for path in (
        f"vehicles/{car['id']}",
        f"properties/{home['id']}",
        f"listings/{car['id']}",
        f"listings/{home['id']}",
    ):
        with count_queries() as statements:
            assert (await client.get(f"/api/v1/{path}")).status_code == 200
        assert len(statements) == 1, statements
    with count_queries() as statements:
        await client.get(f"/api/v1/listings/{car['id']}", headers=owner.headers)
    assert len(statements) == 1, statements


@pytest.mark.parametrize(
    ("path", "count"),
    [
        ("listings?", 1),
        ("vehicles?", 1),
        # Which they are is planned anew for a filter, how they are shown is not.
        ("vehicles?make=toyota&", 2),
        ("users/me/listings?", 1),
        ("users/me/favourites?", 1),
    ],
)
async def test_D08_a_page_costs_the_same_whatever_its_size(
    client: AsyncClient, world: World, count_queries: Counting, path: str, count: int
) -> None:
    owner = await world.person()
    for _ in range(3):
        listing = await world.published(owner)
        await client.put(f"/api/v1/listings/{listing['id']}/favourite", headers=owner.headers)
    for limit in (1, 100):
        with count_queries() as statements:
            answer = await client.get(f"/api/v1/{path}limit={limit}", headers=owner.headers)
        assert len(answer.json()["items"]) == min(limit, 3)
        assert len(statements) == count, statements


async def test_D08_writes_take_a_bounded_number_of_queries(
    client: AsyncClient, world: World, count_queries: Counting
) -> None:
    owner = await world.person()
    listing = await world.published(owner)
    headers = {**owner.headers, "If-Match": "*"}
    changes = {
        "price": {"amount": 1000, "currency": "ETB"},
        "location": {"city": "Hawassa"},
        "features": ["alarm"] * 50,
        "vehicle": {"color": "white"},
    }
    with count_queries() as statements:
        await client.patch(f"/api/v1/vehicles/{listing['id']}", json=changes, headers=headers)
    # Lock and details; the city; the listing, the vehicle, the price; two facts and their messages; the end of one
    # spell on the market and the next, the feed; the answer.
    assert len(statements) <= 12, statements
    with count_queries() as statements:
        await client.post(f"/api/v1/listings/{listing['id']}/pause", headers=owner.headers)
    # Lock and update; the fact and its message; the end of a spell on the market, the feed; the answer.
    assert len(statements) <= 7, statements


async def test_D08_a_history_is_three_queries_however_long(
    client: AsyncClient, world: World, count_queries: Counting
) -> None:
    owner = await world.person()
    home = property_data(property=property_data()["property"] | {"title_number": "AA/77/12"})
    for _ in range(3):
        listing = await world.published(owner, home)
        for action in ("pause", "resume", "renew"):
            await world.act(owner, listing, action)
    with count_queries() as statements:
        history = (await client.get(f"/api/v1/listings/{listing['id']}/history")).json()
    assert (history["times_listed"], len(history["changes"])) == (3, 4)
    assert len(statements) <= 3, statements
