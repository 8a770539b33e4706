"""Similar listings: what counts as alike, and that nothing hidden is shown."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from uuid import uuid4

import pytest
from httpx import AsyncClient
from sqlalchemy import update

from src.core import database
from src.core.security import Role
from src.listings.models import Listing, ListingStatus
from tests.factories import World, property_data, vehicle_data
from tests.listings.published import publish

Counting = Callable[[], AbstractContextManager[list[str]]]


def car(make: str = "Toyota", model: str = "Vitz", year: int = 2012, amount: int = 1000, **more: Any) -> dict[str, Any]:
    body = more.pop("body_type", "hatchback")
    details = {"make": make, "model": model, "model_year": year, "mileage": 1, "body_type": body}
    return vehicle_data(vehicle=details, price={"amount": amount, "currency": more.pop("currency", "ETB")}, **more)


def home(latitude: float = 9.0, area: float = 80, amount: int = 1000, **details: Any) -> dict[str, Any]:
    facts = {"property_type": "residential", "living_area_m2": area, "bedrooms_total": 2} | details
    place = {"country": "ET", "city": "Addis Ababa", "latitude": latitude, "longitude": 38.8}
    return property_data(property=facts, location=place, price={"amount": amount, "currency": "ETB"})


async def similar(client: AsyncClient, listing_id: str, **query: Any) -> list[str]:
    answer = await client.get(f"/api/v1/listings/{listing_id}/similar", params=query)
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


async def test_vehicles_are_alike_by_model_make_body_year_and_price(client: AsyncClient) -> None:
    ids = await publish(
        car(),
        car("TOYOTA", "vitz", 2012, 1000),
        car(year=2016, amount=1000),
        car(year=2016, amount=1500),
        car(model="Corolla"),
        car(year=2019, amount=3000),
        car(model="Corolla", body_type="sedan"),
        car("Lada", "Vitz"),
        car("Lada", "Niva", 2020, body_type="suv"),
    )
    assert await similar(client, ids[0], limit=20) == ids[1:]


async def test_properties_are_alike_by_place_size_type_and_price(client: AsyncClient) -> None:
    ids = await publish(
        home(),
        home(latitude=9.01),
        home(latitude=9.01, amount=1400),
        home(latitude=9.05, amount=1400),
        home(latitude=9.05, amount=1400, area=150),
        home(latitude=10.0, amount=1999, area=159, bedrooms_total=4),
    )
    assert await similar(client, ids[0], limit=20) == ids[1:]


async def test_only_the_same_kind_and_purpose_are_alike(client: AsyncClient) -> None:
    first, *_ = await publish(car(), car(purpose="rent", rent_period="day"), home())
    assert await similar(client, first) == []


async def test_six_are_named_unless_more_or_fewer_are_wanted(client: AsyncClient) -> None:
    first, *others = await publish(*(car() for _ in range(9)))
    newest = others[::-1]
    assert await similar(client, first) == newest[:6]
    assert await similar(client, first, limit=1) == newest[:1]
    assert await similar(client, first, limit=20) == newest


@pytest.mark.parametrize("limit", ["0", "21", "x", "-1", "1.5", ""])
async def test_a_limit_out_of_range_is_refused(limit: str, client: AsyncClient) -> None:
    [listing] = await publish(car())
    answer = await client.get(f"/api/v1/listings/{listing}/similar", params={"limit": limit})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/limit")


@pytest.mark.parametrize("status", ListingStatus)
async def test_Z08_what_is_hidden_is_not_similar_and_has_none(status: ListingStatus, client: AsyncClient) -> None:
    shown, hidden = await publish(car(), car())
    async with database.transaction() as session:
        await session.execute(update(Listing).where(Listing.id == hidden).values(status=status))
    is_public = status in (ListingStatus.PUBLISHED, ListingStatus.RESERVED)
    assert await similar(client, shown) == [hidden] * is_public
    answer = await client.get(f"/api/v1/listings/{hidden}/similar")
    assert answer.status_code == (200 if is_public else 404)


async def test_owner_and_moderators_see_what_a_draft_is_like(client: AsyncClient, world: World) -> None:
    owner, stranger, moderator = await world.person(), await world.person(), await world.person(Role.MODERATOR)
    [listing] = await publish(car())
    draft = await world.draft(owner, {"title": "Some car", "purpose": "sale", "vehicle": {"make": "Toyota"}})
    for person, expected in ((owner, 200), (moderator, 200), (stranger, 404)):
        answer = await client.get(f"/api/v1/listings/{draft['id']}/similar", headers=person.headers)
        assert answer.status_code == expected
        assert [item["id"] for item in answer.json().get("items", [])] == [listing] * (expected == 200)


async def test_a_listing_that_says_little_has_similar_ones_all_the_same(client: AsyncClient) -> None:
    bare = property_data(
        property={"property_type": "residential", "living_area_m2": 1}, location={"country": "ET", "city": "Adama"}
    )
    first, second = await publish(bare, bare)
    assert await similar(client, first) == [second]


async def test_there_is_nothing_like_what_there_is_not(client: AsyncClient) -> None:
    answer = await client.get(f"/api/v1/listings/{uuid4()}/similar")
    assert (answer.status_code, answer.json()["code"]) == (404, "listing_not_found")


async def test_similar_listings_are_kept_by_caches(client: AsyncClient) -> None:
    [listing] = await publish(car())
    answer = await client.get(f"/api/v1/listings/{listing}/similar")
    assert answer.headers["Cache-Control"].startswith("public")
    again = await client.get(f"/api/v1/listings/{listing}/similar", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


async def test_D08_similar_listings_are_two_queries_however_many(client: AsyncClient, count_queries: Counting) -> None:
    car_id, home_id, *_ = await publish(car(), home(), *(car() for _ in range(5)), *(home() for _ in range(5)))
    for listing in (car_id, home_id):
        for limit in (1, 20):
            with count_queries() as statements:
                assert len(await similar(client, listing, limit=limit)) == min(limit, 5)
            assert len(statements) == 2, statements
