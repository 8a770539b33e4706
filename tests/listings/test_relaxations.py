"""Why nothing: the cheapest relaxations are what trying all of them by hand would find."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import combinations
from math import asin, cos, radians, sin, sqrt
from typing import Any

import pytest
from httpx import AsyncClient
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from src.core import database
from src.listings import relaxations
from src.listings.models import Listing, ListingStatus
from tests.exchange_rates.rates import add
from tests.factories import property_data, vehicle_data
from tests.listings.published import publish

Counting = Callable[[], AbstractContextManager[list[str]]]
Query = dict[str, Any]


@dataclass(frozen=True)
class Car:
    """A row, as the search by hand looks at it."""

    make: str
    colour: str | None
    year: int
    mileage: int | None
    amount: int
    latitude: float
    words: tuple[str, ...] = ("tiger", "monkey")

    def draft(self) -> dict[str, Any]:
        new = {"item_condition": "new"} if self.mileage is None else {}
        details = {"make": self.make, "color": self.colour, "model_year": self.year, "mileage": self.mileage} | new
        place = {"country": "ET", "city": "Adama", "latitude": self.latitude, "longitude": 38}
        price = {"amount": self.amount, "currency": "ETB"}
        return vehicle_data(title=" ".join((*self.words, "thing")), vehicle=details, price=price, location=place)

    def kilometres(self, near: str) -> float:
        """To a point on the same meridian or another, by the haversine."""
        here, there, east = radians(self.latitude), radians(float(near.split(",", maxsplit=1)[0])), radians(38)
        away = radians(float(near.split(",")[1])) - east
        half = sin((here - there) / 2) ** 2 + cos(here) * cos(there) * sin(away / 2) ** 2
        return 2 * 6371.0088 * asin(sqrt(half))


NUMBERS: Mapping[str, Callable[[Car], int | None]] = {
    "price": lambda car: car.amount,
    "model_year": lambda car: car.year,
    "mileage": lambda car: car.mileage,
}


def matches(car: Car, query: Query) -> bool:
    for name, asked in query.items():
        if name == "make" and car.make.lower() not in asked:
            return False
        if name == "color" and (car.colour or "").lower() not in asked:
            return False
        if name == "near" and car.kilometres(asked) > query.get("radius_km", 50):
            return False
        if name == "q" and not set(asked.split()) <= {*car.words, "thing"}:
            return False
        stem, _, bound = name.rpartition("_")
        if stem in NUMBERS:
            value = NUMBERS[stem](car)
            if value is None or (value < asked if bound == "min" else value > asked):
                return False
    return True


FILTERS = {
    "price": ("price_min", "price_max"),
    "model_year": ("model_year_min", "model_year_max"),
    "mileage": ("mileage_min", "mileage_max"),
    "near": ("near", "radius_km"),
    "make": ("make",),
    "color": ("color",),
    "q": ("q",),
}


def changed(query: Query, changes: Query) -> Query:
    return {name: value for name, value in (query | changes).items() if value is not None}


def all_changes(cars: list[Car], query: Query) -> Iterator[tuple[float, str, Query]]:
    """Every change to one filter: its cost, what it is about, and what it makes of the query."""
    for name, parameters in FILTERS.items():
        if there := [parameter for parameter in parameters if parameter in query]:
            yield 1, name, dict.fromkeys(there)
    for stem in NUMBERS:
        for bound in ("min", "max"):
            if f"{stem}_{bound}" in query:
                yield from moves(cars, stem, bound, query[f"{stem}_{bound}"])
    yield from wider(cars, query)
    words = query.get("q", "").split()
    for place in range(len(words) if len(words) > 1 else 0):
        yield 1 / len(words), "q", {"q": " ".join(words[:place] + words[place + 1 :])}


def moves(cars: list[Car], stem: str, bound: str, limit: int) -> Iterator[tuple[float, str, Query]]:
    scale = 10 if stem == "model_year" else max(limit, 1)
    for moved in {NUMBERS[stem](car) for car in cars} - {None}:
        assert moved is not None
        if moved < limit if bound == "min" else moved > limit:
            yield abs(moved - limit) / scale, stem, {f"{stem}_{bound}": moved}


def wider(cars: list[Car], query: Query) -> Iterator[tuple[float, str, Query]]:
    radius = query.get("radius_km", 50)
    for car in cars if "near" in query else []:
        needed = int(car.kilometres(query["near"]) * 1000 + 1) / 1000
        if radius < needed <= 1000:
            yield needed / radius - 1, "near", {"radius_km": needed}


def cheapest(cars: list[Car], query: Query) -> list[tuple[float, int]]:
    """Cost and total of the two cheapest, each about another filter; pairs where there is none."""
    found: dict[str, tuple[float, int]] = {}
    for cost, name, changes in all_changes(cars, query):
        if total := sum(matches(car, changed(query, changes)) for car in cars):
            found[name] = min(found.get(name, (9.0, 0)), (cost, -total))
    if not found:
        there = [name for name, parameters in FILTERS.items() if set(parameters) & set(query)]
        for pair in combinations(there, 2):
            gone = dict.fromkeys(FILTERS[pair[0]] + FILTERS[pair[1]])
            if total := sum(matches(car, changed(query, gone)) for car in cars):
                found[" ".join(pair)] = (2, -total)
    return [(cost, -total) for cost, total in sorted(found.values())[:2]]


async def ask(client: AsyncClient, query: Query) -> dict[str, Any]:
    answer = await client.get("/api/v1/vehicles", params={"currency": "ETB"} | query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


cars_drawn = st.lists(
    st.builds(
        Car,
        make=st.sampled_from(["Toyota", "Lada", "Fiat"]),
        colour=st.sampled_from(["red", None]),
        year=st.integers(2000, 2020),
        mileage=st.sampled_from([None, 0, 10, 5000, 90_000]),
        amount=st.integers(50, 400),
        latitude=st.sampled_from([9.0, 9.1, 9.5, 10.0, 16.0]),
        words=st.sampled_from([("tiger", "monkey"), ("monkey", "falcon"), ("falcon",)]),
    ),
    min_size=1,
    max_size=8,
)
FILTERS_DRAWN: dict[str, st.SearchStrategy[Any]] = {
    "price_max": st.integers(20, 200),
    "price_min": st.integers(100, 300),
    "model_year_min": st.integers(2005, 2025),
    "model_year_max": st.integers(1995, 2010),
    "mileage_max": st.sampled_from([0, 5, 4000]),
    "make": st.sampled_from([["toyota"], ["lada", "fiat"], ["bmw"]]),
    "color": st.sampled_from([["red"], ["pink"]]),
    "near": st.sampled_from(["9,38", "8.8,38.2"]),
    "q": st.sampled_from(["tiger falcon", "monkey thing", "falcon monkey thing", "walrus"]),
}
queries_drawn = st.sets(st.sampled_from(sorted(FILTERS_DRAWN)), min_size=1, max_size=4).flatmap(
    lambda names: st.fixed_dictionaries({name: FILTERS_DRAWN[name] for name in sorted(names)})
)


@settings(max_examples=60, deadline=None, suppress_health_check=[*HealthCheck])
@given(cars=cars_drawn, query=queries_drawn, radius=st.sampled_from([None, 1.0, 20.0]))
async def test_the_cheapest_are_what_trying_everything_finds(
    cars: list[Car], query: Query, radius: float | None, client: AsyncClient
) -> None:
    if "near" in query and radius:
        query = query | {"radius_km": radius}
    assume(query and not any(matches(car, query) for car in cars))
    async with database.transaction() as session:
        await session.execute(update(Listing).values(status=ListingStatus.WITHDRAWN))
    await publish(*(car.draft() for car in cars))
    told = (await ask(client, query))["relaxations"]
    expected = cheapest(cars, query)
    assert [(item["cost"], item["total"]["value"]) for item in told] == [
        (pytest.approx(cost, abs=2e-4), total) for cost, total in expected
    ]
    for item in told:
        body = await ask(client, changed({"currency": "ETB"} | query, item["parameters"]))
        assert body["total"] == item["total"]


async def test_a_budget_moves_just_as_far_as_it_must(client: AsyncClient) -> None:
    await publish(*(Car("Toyota", None, 2012, 1, amount, 9.0).draft() for amount in (108, 108, 109)))
    told = (await ask(client, {"price_max": 100, "make": "toyota"}))["relaxations"]
    assert told == [
        {"parameters": {"price_max": "108"}, "cost": 0.08, "total": {"value": 2, "capped": False}},
    ]


async def test_a_budget_moves_to_the_nearest_price_in_any_currency(client: AsyncClient) -> None:
    await add(rates={"USD": "0.0064", "JPY": "0.99"})
    dollars = {"price": {"amount": 7, "currency": "USD"}}
    await publish(
        Car("Toyota", None, 2012, 1, 1100, 9.0).draft() | dollars, Car("Toyota", None, 2012, 1, 1095, 9.0).draft()
    )
    # Seven cents are 1093.75 santim.
    [told] = (await ask(client, {"price_max": 1000}))["relaxations"]
    assert told == {"parameters": {"price_max": "1094"}, "cost": 0.094, "total": {"value": 1, "capped": False}}
    [told] = (await ask(client, {"price_min": 2000}))["relaxations"]
    assert told["parameters"] == {"price_min": "1095"}
    [told] = (await ask(client, {"price_min": 10, "price_max": 6, "currency": "USD"}))["relaxations"]
    assert told["parameters"] in ({"price_min": "7"}, {"price_min": None, "price_max": None})


async def test_a_mileage_moves_in_the_unit_that_was_asked_for(client: AsyncClient) -> None:
    await publish(Car("Toyota", None, 2012, 16_100, 1, 9.0).draft())
    query = {"mileage_max": 10_000, "mileage_unit": "mi"}
    [told] = (await ask(client, query))["relaxations"]
    assert told["parameters"] == {"mileage_max": "10005"}
    assert (await ask(client, query | told["parameters"]))["total"]["value"] == 1
    assert (await ask(client, query | {"mileage_max": 10_004}))["total"]["value"] == 0


async def test_what_cannot_stand_without_a_filter_goes_with_it(client: AsyncClient) -> None:
    await publish(Car("Toyota", None, 2012, 1, 100, -30.0).draft())
    near = {"near": "9,38", "radius_km": 10, "sort": "nearest"}
    [told] = (await ask(client, near))["relaxations"]
    assert told["parameters"] == {"near": None, "radius_km": None, "sort": None}
    words = {"q": "zebra", "sort": "relevance", "explain": "true"}
    [told] = (await ask(client, words))["relaxations"]
    assert told["parameters"] == {"q": None, "sort": None, "explain": None}
    assert (await ask(client, changed(words, told["parameters"])))["total"] == told["total"]


async def test_a_mistyped_word_is_kept_when_another_is_dropped(client: AsyncClient) -> None:
    await publish(Car("Toyota", None, 2012, 1, 100, 9.0, ("nilefront",)).draft())
    [told] = (await ask(client, {"q": "nilefrontt zebra"}))["relaxations"]
    assert told == {"parameters": {"q": "nilefrontt"}, "cost": 0.5, "total": {"value": 1, "capped": False}}


async def test_where_one_change_is_not_enough_two_filters_are_left_out(client: AsyncClient) -> None:
    await publish(Car("Toyota", "red", 2012, 1, 100, 9.0).draft())
    query = {"make": "lada", "color": "pink", "model_year_min": 2000}
    assert (await ask(client, query))["relaxations"] == [
        {"parameters": {"color": None, "make": None}, "cost": 2, "total": {"value": 1, "capped": False}}
    ]


async def test_where_there_is_nothing_at_all_there_is_no_advice(client: AsyncClient) -> None:
    body = await ask(client, {"make": "toyota"})
    assert (body["total"]["value"], body["relaxations"]) == (0, [])


async def test_advice_is_for_searches_with_filters_that_find_nothing(client: AsyncClient) -> None:
    for path in ("vehicles", "listings", "properties"):
        assert "relaxations" not in (await client.get(f"/api/v1/{path}")).json()
    await publish(Car("Toyota", None, 2012, 1, 100, 9.0).draft())
    assert "relaxations" not in await ask(client, {"make": "toyota"})


@pytest.mark.parametrize("status", ListingStatus)
async def test_Z08_nothing_hidden_is_counted_or_moved_to(status: ListingStatus, client: AsyncClient) -> None:
    await publish(Car("Toyota", None, 2012, 1, 108, 9.0).draft())
    async with database.transaction() as session:
        await session.execute(update(Listing).values(status=status))
    is_public = status in (ListingStatus.PUBLISHED, ListingStatus.RESERVED)
    assert len((await ask(client, {"price_max": 100}))["relaxations"]) == is_public


async def test_D08_advice_is_two_queries_or_three_however_many_filters(
    client: AsyncClient, count_queries: Counting
) -> None:
    await publish(Car("Toyota", "red", 2012, 1, 100, 9.0).draft())
    many = {
        "model_year_min": 2000,
        "model_year_max": 2012,
        "mileage_max": 0,
        "make": "toyota",
        "color": "red",
        "near": "9,38",
        "negotiable": "false",
    }
    for query, expected in (
        ({"mileage_max": 0}, 3),
        (many, 3),
        (many | {"make": "lada", "color": "pink", "mileage_max": 5}, 4),
    ):
        with count_queries() as statements:
            assert (await ask(client, query))["relaxations"]
        assert len(statements) == expected, statements


async def test_advice_that_takes_too_long_is_left_out(client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relaxations, "PATIENCE_SECONDS", 0)
    await publish(Car("Toyota", None, 2012, 1, 108, 9.0).draft())
    body = await ask(client, {"price_max": 100})
    assert (body["items"], body["relaxations"]) == ([], [])


@pytest.mark.parametrize(
    ("asked", "parameters", "cost"),
    [
        ({"living_area_m2_min": 100}, {"living_area_m2_min": "85.5"}, 0.145),
        ({"bedrooms_total_min": 3}, {"bedrooms_total_min": "2"}, 0.3333),
        ({"bedrooms_total": [3, 4]}, {"bedrooms_total": None}, 1),
        ({"year_built_min": 2005}, {"year_built_min": "1999"}, 0.6),
        ({"year_built_min": 2015}, {"year_built_min": None}, 1),
        ({"city": ["Paris"]}, {"city": None}, 1),
        ({"city": ["Adama"], "pets_allowed": "true"}, {"pets_allowed": None}, 1),
        ({"bbox": "0,0,1,1"}, {"bbox": None}, 1),
        ({"polygon": "_ibE_ibE_ibE??_ibE~hbE~hbE"}, {"polygon": None}, 1),
        ({"availability_date_max": "2026-01-01"}, {"availability_date_max": None}, 1),
        ({"features": ["alarm"], "sort": "area_desc"}, {"features": None}, 1),
        ({"near": "9,38.8", "radius_km": 8}, {"radius_km": "11.12"}, 0.39),
    ],
)
async def test_each_sort_of_filter_can_be_relaxed(
    asked: Query, parameters: Query, cost: float, client: AsyncClient
) -> None:
    facts = {"property_type": "residential", "living_area_m2": 85.5, "bedrooms_total": 2, "year_built": 1999}
    place = {"country": "ET", "city": "Adama", "latitude": 9.1, "longitude": 38.8}
    await publish(property_data(property=facts, location=place))
    told = (await client.get("/api/v1/properties", params=asked)).json()["relaxations"]
    assert [(item["parameters"], item["cost"]) for item in told] == [(parameters, cost)]
    body = (await client.get("/api/v1/properties", params=changed(asked, parameters))).json()
    assert body["total"] == told[0]["total"] == {"value": 1, "capped": False}
