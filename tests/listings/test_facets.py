"""Facets: counted under all other filters, among public listings only, in one statement, and up to a cap."""

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from httpx import AsyncClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from src.core import database
from src.listings import facets
from src.listings.models import Listing, ListingStatus
from tests.exchange_rates.rates import add
from tests.factories import property_data, vehicle_data
from tests.listings.published import publish

Counting = Callable[[], AbstractContextManager[list[str]]]

CARS = [
    ("Toyota", "Vitz", "hatchback", "petrol", "manual", 2009, 100),
    ("TOYOTA", "Corolla", "sedan", "petrol", "automatic", 2010, 199),
    ("Toyota", "corolla", "sedan", "diesel", "automatic", 2014, 200),
    ("Lada", "Niva", "suv", "petrol", "manual", 1985, 4_999),
    ("Lada", None, None, None, None, 2015, 5_000),
]


def car(row: tuple[Any, ...], currency: str = "ETB", **overrides: Any) -> dict[str, Any]:
    make, model, body, fuel, gears, year, amount = row
    details = {"make": make, "model": model, "body_type": body, "fuel_type": fuel, "transmission": gears}
    return vehicle_data(
        vehicle=details | {"model_year": year, "mileage": 1},
        price={"amount": amount, "currency": currency},
        **overrides,
    )


def home(kind: str, bedrooms: int | None, year: int | None, city: str = "Adama", **overrides: Any) -> dict[str, Any]:
    details = {"property_type": kind, "bedrooms_total": bedrooms, "year_built": year, "living_area_m2": 80}
    return property_data(property=details, location={"country": "ET", "city": city}, **overrides)


async def counted(client: AsyncClient, path: str, name: str, **query: Any) -> dict[Any, int]:
    """A facet: what each value, or each band, would find."""
    answer = await client.get(f"/api/v1/{path}", params=query | {"facets": name})
    assert answer.status_code == 200, answer.text
    facet = answer.json()["facets"][name]
    assert facet["is_capped"] is False
    return {entry["value"] or (entry["min"], entry["max"]): entry["count"] for entry in facet["values"]}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("make", {"toyota": 3, "lada": 2}),
        ("model", {"corolla": 2, "niva": 1, "vitz": 1}),
        ("body_type", {"sedan": 2, "hatchback": 1, "suv": 1}),
        ("fuel_type", {"petrol": 3, "diesel": 1}),
        ("transmission", {"automatic": 2, "manual": 2}),
        ("purpose", {"sale": 5}),
        ("city", {"addis ababa": 5}),
    ],
)
async def test_a_facet_of_vehicles_has_the_most_frequent_first(
    name: str, expected: dict[str, int], client: AsyncClient
) -> None:
    await publish(*map(car, CARS))
    found = await counted(client, "vehicles", name)
    assert [(value.lower(), count) for value, count in found.items()] == list(expected.items())


async def test_a_name_is_shown_as_most_write_it(client: AsyncClient) -> None:
    await publish(*map(car, CARS))
    assert set(await counted(client, "vehicles", "make")) == {"Toyota", "Lada"}


async def test_years_and_prices_are_counted_in_bands_upwards(client: AsyncClient) -> None:
    await publish(*map(car, CARS), car(CARS[0], currency="USD"))
    years = await counted(client, "vehicles", "model_year", currency="ETB")
    assert list(years.items()) == [((1985, 1989), 1), ((2005, 2009), 2), ((2010, 2014), 2), ((2015, 2019), 1)]
    prices = await counted(client, "vehicles", "price", currency="ETB")
    assert list(prices.items()) == [((100, 199), 2), ((200, 499), 1), ((2000, 4999), 1), ((5000, 9999), 1)]


async def test_prices_are_converted_into_the_asked_currency(client: AsyncClient) -> None:
    await add(rates={"USD": "0.0064"})
    await publish(car(CARS[0], "ETB"), car(CARS[0], "USD"), car(CARS[0], "KES"))
    assert await counted(client, "vehicles", "price", currency="ETB") == {(100, 199): 1, (10000, 19999): 1}
    assert await counted(client, "vehicles", "price", currency="USD") == {(0, 0): 1, (100, 199): 1}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("property_type", {"residential": 3, "land": 1}),
        ("bedrooms_total", {"3": 2}),
        ("year_built", {(1995, 1999): 1, (2000, 2004): 1}),
        ("purpose", {"rent": 3, "sale": 1}),
        ("city", {"Nazret": 3, "Hawassa": 1}),
    ],
)
async def test_a_facet_of_properties(name: str, expected: dict[Any, int], client: AsyncClient) -> None:
    await publish(
        home("residential", 3, 1999),
        home("residential", 3, 2000, city="Nazret"),
        home("residential", None, None, city="Nazret"),
        home("land", None, None, city="Hawassa", purpose="sale", rent_period=None),
    )
    assert await counted(client, "properties", name) == expected


async def test_both_kinds_are_counted_together(client: AsyncClient) -> None:
    await publish(*map(car, CARS), home("residential", 3, 1999))
    assert await counted(client, "listings", "kind") == {"vehicle": 5, "property": 1}
    assert await counted(client, "listings", "kind", kind="property") == {"vehicle": 5, "property": 1}
    assert await counted(client, "listings", "city", q="vitz") == {"Addis Ababa": 5}


async def test_a_facet_is_under_all_filters_but_its_own(client: AsyncClient) -> None:
    await publish(*map(car, CARS))
    query = {"make": "toyota", "transmission": "automatic"}
    assert {make.lower(): n for make, n in (await counted(client, "vehicles", "make", **query)).items()} == {
        "toyota": 2
    }
    assert await counted(client, "vehicles", "transmission", **query) == {"automatic": 2, "manual": 1}
    assert await counted(client, "vehicles", "fuel_type", **query) == {"petrol": 1, "diesel": 1}
    bounds = {"currency": "ETB", "price_min": 200, "price_max": 300, "model_year_max": 2014}
    assert await counted(client, "vehicles", "price", **bounds) == {(100, 199): 2, (200, 499): 1, (2000, 4999): 1}
    assert await counted(client, "vehicles", "model_year", **bounds) == {(2010, 2014): 1}


async def test_a_city_of_several_names_is_one_value_that_finds_what_it_counts(client: AsyncClient) -> None:
    cities = ("Adama", "Adama", "NAZRET", "Nazret", "Nowhere City", "nowhere city")
    await publish(*(home("residential", 1, None, city=city) for city in cities))
    facet = await counted(client, "properties", "city")
    assert list(facet.values()) == [4, 2]
    assert next(iter(facet)) == "Adama"
    for city, count in facet.items():
        found = await client.get("/api/v1/properties", params={"city": city})
        assert found.json()["total"]["value"] == count


def bounds(name: str, least: int, greatest: int) -> dict[str, int]:
    return {f"{name}_min": least, f"{name}_max": greatest}


values = st.tuples(
    st.sampled_from(["Toyota", "LADA", "lada"]),
    st.sampled_from(["Vitz", None]),
    st.sampled_from(["sedan", "suv", None]),
    st.sampled_from(["petrol", None]),
    st.sampled_from(["manual", "cvt"]),
    st.sampled_from([1999, 2000, 2004]),
    st.sampled_from([1, 2, 5, 999]),
)
questions = st.fixed_dictionaries(
    {},
    optional={
        "make": st.lists(st.sampled_from(["toyota", "Lada"]), min_size=1, max_size=2, unique=True),
        "body_type": st.just(["suv"]),
        "model_year_min": st.sampled_from([2000, 2001]),
        "price_max": st.sampled_from([2, 4]),
    },
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(values, min_size=1, max_size=8), question=questions)
async def test_every_count_is_what_choosing_it_would_find(
    rows: list[tuple[Any, ...]], question: dict[str, Any], client: AsyncClient
) -> None:
    async with database.transaction() as session:
        await session.execute(update(Listing).values(status=ListingStatus.WITHDRAWN))
    await publish(*map(car, rows))
    asked = question | {"currency": "ETB"}
    for name in ("make", "body_type", "model_year", "price"):
        rest = {key: value for key, value in asked.items() if not key.startswith(name)}
        for value, count in (await counted(client, "vehicles", name, **asked)).items():
            choice = {name: value} if isinstance(value, str) else bounds(name, *value)
            answer = await client.get("/api/v1/vehicles", params=rest | choice)
            assert answer.json()["total"]["value"] == count


@pytest.mark.parametrize("status", ListingStatus)
async def test_Z08_a_facet_counts_only_what_is_public(status: ListingStatus, client: AsyncClient) -> None:
    await publish(car(CARS[0]))
    [hidden] = await publish(car(("Hiddencar", "Secret", "van", "lpg", "cvt", 1999, 7)))
    async with database.transaction() as session:
        await session.execute(update(Listing).where(Listing.id == hidden).values(status=status))
    is_public = status in (ListingStatus.PUBLISHED, ListingStatus.RESERVED)
    names = ["make", "model", "body_type", "fuel_type", "transmission", "model_year", "price"]
    answer = await client.get("/api/v1/vehicles", params={"facets": names, "currency": "ETB"})
    assert Counter(len(answer.json()["facets"][name]["values"]) for name in names) == {1 + is_public: 7}
    assert ("Hiddencar" in answer.text) is is_public


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("vehicles", {"facets": "price"}),
        ("vehicles", {"facets": "owner_id"}),
        ("vehicles", {"facets": "vin"}),
        ("vehicles", {"facets": "property_type"}),
        ("listings", {"facets": "make"}),
        ("listings", {"facets": "user.password_hash"}),
        ("properties", {"facets": "title_number_hash"}),
        ("properties", {"facets": ["city"] * 11}),
    ],
)
async def test_Z08_a_facet_that_is_not_offered_is_refused(
    path: str, query: dict[str, Any], client: AsyncClient
) -> None:
    answer = await client.get(f"/api/v1/{path}", params=query)
    assert answer.status_code == 422, answer.text
    assert {error["pointer"].split("/")[1] for error in answer.json()["errors"]} == {"facets"}


async def test_a_facet_is_capped_and_says_so(client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facets, "FACET_CAP", 3)
    monkeypatch.setattr(facets, "MOST_VALUES", 2)
    await publish(*(car((make, "Cap", None, None, None, 2000, 1)) for make in ("Ab", "Ab", "Ac", "Ad")))
    # Nothing else asks for these, so that what they compile to is not left to other tests.
    query: dict[str, Any] = {"model": "cap", "trim": [], "negotiable": "false", "facets": ["make", "purpose"]}
    found = (await client.get("/api/v1/vehicles", params=query)).json()["facets"]
    assert found["purpose"] == {"values": [{"value": "sale", "min": None, "max": None, "count": 3}], "is_capped": True}
    assert len(found["make"]["values"]) == 2
    assert found["make"]["is_capped"] is True


async def test_facets_are_no_part_of_the_search(client: AsyncClient) -> None:
    await publish(*map(car, CARS))
    first = await client.get("/api/v1/vehicles", params={"limit": 2, "facets": "make"})
    query = {"limit": 2, "cursor": first.json()["next_cursor"]}
    second = (await client.get("/api/v1/vehicles", params=query)).json()
    assert len(second["items"]) == 2
    assert set(second) == {"items", "next_cursor", "total", "exchange_rates_id"}
    # The link to the next page does not have them counted again; who asks for them gets them.
    assert (await client.get(first.links["next"]["url"])).json() == second
    again = (await client.get("/api/v1/vehicles", params=query | {"facets": "make"})).json()
    assert again["facets"] == first.json()["facets"]


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("listings", ["kind", "purpose", "city"]),
        ("vehicles", ["make", "model", "body_type", "fuel_type", "transmission", "model_year", "city"]),
        ("properties", ["property_type", "property_sub_type", "bedrooms_total", "year_built", "city"]),
    ],
)
async def test_D08_all_facets_are_one_query(
    path: str, names: list[str], client: AsyncClient, count_queries: Counting
) -> None:
    await publish(*map(car, CARS), home("residential", 3, 1999))
    query: dict[str, Any] = {"currency": "ETB", "city": ["Adama", "Addis Ababa"]}
    for more, expected in (({}, 2), ({"facets": names}, 3)):
        with count_queries() as statements:
            answer = await client.get(f"/api/v1/{path}", params=query | more)
        assert answer.json()["items"]
        assert list(answer.json().get("facets", {})) == more.get("facets", [])
        assert len(statements) == expected, statements
    # Prices are compared by rates, which are looked up, and by currencies, which a process knows for a while.
    with count_queries() as statements:
        await client.get(f"/api/v1/{path}", params=query | {"facets": [*names, "price"]})
    assert len(statements) <= 5, statements
