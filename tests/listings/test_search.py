"""Each filter of the three searches finds the listing that fits and leaves out the one that does not."""

from typing import Any

import pytest
from httpx import AsyncClient
from sqlalchemy import update

from src.core import database
from src.listings.models import Listing, ListingStatus
from src.listings.router import MixedSearch
from src.properties.schemas import PropertySearch
from src.vehicles.schemas import VehicleSearch
from tests.factories import property_data, vehicle_data
from tests.listings.published import add_owner, publish

# Of each parameter: what is asked, what the one listing has and is found by, and what the other has.
COMMON: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "q": ({"q": "nilefront"}, {"title": "Nilefront special"}, {}),
    "purpose": ({"purpose": "rent"}, {"purpose": "rent"}, {"purpose": "sale", "rent_period": None}),
    "rent_period": (
        {"rent_period": ["day", "week"]},
        {"purpose": "rent", "rent_period": "week"},
        {"purpose": "rent", "rent_period": "month"},
    ),
    "price_min": (
        {"price_min": 100, "currency": "ETB"},
        {"price": {"amount": 100, "currency": "ETB"}},
        {"price": {"amount": 99, "currency": "ETB"}},
    ),
    "price_max": (
        {"price_max": 100, "currency": "ETB"},
        {"price": {"amount": 100, "currency": "ETB"}},
        {"price": {"amount": 101, "currency": "ETB"}},
    ),
    "negotiable": ({"negotiable": "true"}, {"negotiable": True}, {"negotiable": False}),
    "country": (
        {"country": ["ET", "KE"]},
        {"location": {"country": "KE", "city": "Nairobi"}},
        {"location": {"country": "DJ", "city": "Djibouti"}},
    ),
    "region": (
        {"region": ["afar", "ORÓMIA"]},
        {"location": {"country": "ET", "city": "Adama", "region": "Orómia"}},
        {"location": {"country": "ET", "city": "Adama", "region": "Oromia Zone"}},
    ),
    "city": (
        {"city": ["Mekelle", "Nazret"]},
        {"location": {"country": "ET", "city": "Adama"}},
        {"location": {"country": "ET", "city": "Hawassa"}},
    ),
    "subdivision": (
        {"subdivision": ["arada", "BOLE"]},
        {"location": {"country": "ET", "city": "Addis Ababa", "subdivision": "Bole"}},
        {"location": {"country": "ET", "city": "Addis Ababa", "subdivision": "Bole Bulbula"}},
    ),
    "woreda": (
        {"woreda": ["03", "KEBELE 4"]},
        {"location": {"country": "ET", "city": "Addis Ababa", "woreda": "Kebele 4"}},
        {"location": {"country": "ET", "city": "Addis Ababa", "woreda": "Kebele 5"}},
    ),
    "postal_code": (
        {"postal_code": ["1000", "1010"]},
        {"location": {"country": "ET", "city": "Addis Ababa", "postal_code": "1010"}},
        {"location": {"country": "ET", "city": "Addis Ababa", "postal_code": "1011"}},
    ),
    "language": ({"language": ["en", "am"]}, {"language": "am"}, {"language": "om"}),
    "features": (
        {"features": ["alarm", "balcony"]},
        {"features": ["balcony", "lift", "alarm"]},
        {"features": ["balcony", "lift"]},
    ),
    "near": (
        {"near": "9,38"},
        {"location": {"country": "ET", "city": "Adama", "latitude": 9, "longitude": 38.4}},
        {"location": {"country": "ET", "city": "Adama", "latitude": 9, "longitude": 38.5}},
    ),
    "radius_km": (
        {"near": "9,38", "radius_km": 40},
        {"location": {"country": "ET", "city": "Adama", "latitude": 9, "longitude": 38.36}},
        {"location": {"country": "ET", "city": "Adama", "latitude": 9, "longitude": 38.37}},
    ),
    "bbox": (
        {"bbox": "38,8,39,9"},
        {"location": {"country": "ET", "city": "Adama", "latitude": 9, "longitude": 39}},
        {"location": {"country": "ET", "city": "Adama", "latitude": 9.01, "longitude": 39}},
    ),
    # 38,8 - 39,8 - 38,9: half of that box.
    "polygon": (
        {"polygon": "_oyo@_{|fF?_ibE_ibE~hbE"},
        {"location": {"country": "ET", "city": "Adama", "latitude": 8.3, "longitude": 38.3}},
        {"location": {"country": "ET", "city": "Adama", "latitude": 8.7, "longitude": 38.7}},
    ),
}

# The same for the details of the kinds: (asked, found, other).
VEHICLE: dict[str, tuple[Any, Any, Any]] = {
    "make": (["toyota", "LADA"], "Lada", "Ladas"),
    "model": (["niva", "VITZ"], "Vitz", "Vitz 2"),
    "trim": (["sport", "LIMITED"], "Limited", "Limited Edition"),
    "body_type": (["sedan", "suv"], "suv", "pickup"),
    "model_year": ([2010, 2012], 2012, 2011),
    "model_year_min": (2012, 2012, 2011),
    "model_year_max": (2012, 2012, 2013),
    "mileage_min": (1000, 1000, 999),
    "mileage_max": (1000, 1000, 1001),
    "fuel_type": (["petrol", "electric"], "electric", "diesel"),
    "transmission": (["manual", "cvt"], "cvt", "automatic"),
    "drive_wheel_configuration": (["4wd", "awd"], "awd", "fwd"),
    "engine_displacement_cc": ([1300, 1500], 1500, 1499),
    "engine_displacement_cc_min": (1500, 1500, 1499),
    "engine_displacement_cc_max": (1500, 1500, 1501),
    "engine_power_kw_min": (73.5, 73.5, 73.4),
    "engine_power_kw_max": (73.5, 73.5, 73.6),
    "cylinders": ([3, 4], 4, 6),
    "cylinders_min": (4, 4, 3),
    "cylinders_max": (4, 4, 5),
    "number_of_doors": ([3, 5], 5, 4),
    "number_of_doors_min": (4, 4, 3),
    "number_of_doors_max": (4, 4, 5),
    "seating_capacity": ([5, 7], 7, 6),
    "seating_capacity_min": (7, 7, 6),
    "seating_capacity_max": (5, 5, 6),
    "color": (["red", "SILVER"], "Silver", "Silver Grey"),
    "interior_type": (["leather", "synthetic"], "synthetic", "cloth"),
    "item_condition": (["new", "refurbished"], "refurbished", "used"),
    "number_of_previous_owners": ([0, 1], 1, 2),
    "number_of_previous_owners_min": (1, 1, 0),
    "number_of_previous_owners_max": (1, 1, 2),
    "accident_history": (["none", "repaired"], "repaired", "damaged"),
    "steering_position": (["lhd"], "lhd", "rhd"),
    "battery_kwh_min": (60.5, 60.5, 60.4),
    "battery_kwh_max": (60.5, 60.5, 60.6),
    "battery_soh_pct_min": (90, 90, 89.9),
    "battery_soh_pct_max": (90, 90, 90.1),
    "range_km": ([300, 400], 400, 401),
    "range_km_min": (400, 400, 399),
    "range_km_max": (400, 400, 401),
    "charge_ports": (["ccs2", "type2"], ["type2", "gbt", "ccs2"], ["type2", "gbt"]),
    "plate_code": (["2", "AA"], "aa", "3"),
    "duty_status": (["paid", "free_ngo"], "free_ngo", "free_returnee"),
}

PROPERTY: dict[str, tuple[Any, Any, Any]] = {
    "property_type": (["commercial", "farm"], "farm", "residential"),
    "property_sub_type": (["apartment", "villa"], "villa", "duplex"),
    "bedrooms_total": ([2, 3], 3, 4),
    "bedrooms_total_min": (3, 3, 2),
    "bedrooms_total_max": (3, 3, 4),
    "bathrooms_full": ([1, 2], 2, 3),
    "bathrooms_full_min": (2, 2, 1),
    "bathrooms_full_max": (2, 2, 3),
    "bathrooms_half": ([0, 1], 1, 2),
    "bathrooms_half_min": (1, 1, 0),
    "bathrooms_half_max": (1, 1, 2),
    "living_area_m2_min": (80.5, 80.5, 80.4),
    "living_area_m2_max": (80.5, 80.5, 80.6),
    "lot_size_m2_min": (200, 200, 199.9),
    "lot_size_m2_max": (200, 200, 200.1),
    "year_built": ([1999, 2000], 2000, 2001),
    "year_built_min": (2000, 2000, 1999),
    "year_built_max": (2000, 2000, 2001),
    "year_renovated": ([2014, 2015], 2015, 2016),
    "year_renovated_min": (2015, 2015, 2014),
    "year_renovated_max": (2015, 2015, 2016),
    "rooms_total": ([4, 5], 5, 6),
    "rooms_total_min": (5, 5, 4),
    "rooms_total_max": (5, 5, 6),
    "stories_total": ([1, 2], 2, 3),
    "stories_total_min": (2, 2, 1),
    "stories_total_max": (2, 2, 3),
    "entry_level": ([0, 3], 3, 2),
    "entry_level_min": (-1, -1, -2),
    "entry_level_max": (0, 0, 1),
    "garage_spaces": ([1, 2], 2, 3),
    "garage_spaces_min": (1, 1, 0),
    "garage_spaces_max": (1, 1, 2),
    "furnished": (["furnished", "partially"], "partially", "unfurnished"),
    "property_condition": (["good", "fair"], "fair", "poor"),
    "cooling": (["split", "central"], "central", "none"),
    "pets_allowed": ("false", False, True),
    "availability_date_min": ("2027-02-01", "2027-02-01", "2027-01-31"),
    "availability_date_max": ("2027-02-01", "2027-02-01", "2027-02-02"),
    "tenure": (["lease", "freehold"], "freehold", "cooperative"),
    "water_source": (["well", "municipal"], "municipal", "tanker"),
    "electric": (["grid", "solar"], "solar", "none"),
}

NOT_FILTERS = {"currency", "facets", "explain", "limit", "cursor", "sort"}
TESTED_APART = {"owner_id"}


def test_every_filter_has_a_case_here() -> None:
    assert set(MixedSearch.model_fields) - NOT_FILTERS - TESTED_APART == {*COMMON, "kind"}
    assert set(VehicleSearch.model_fields) - NOT_FILTERS - TESTED_APART == {*COMMON, *VEHICLE, "mileage_unit"}
    assert set(PropertySearch.model_fields) - NOT_FILTERS - TESTED_APART == {*COMMON, *PROPERTY}


async def ids(client: AsyncClient, path: str, **query: Any) -> list[str]:
    """The ids of what a search finds; it counts them too."""
    answer = await client.get(f"/api/v1/{path}", params=query)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["total"] == {"value": len(body["items"]), "capped": False}
    return [item["id"] for item in body["items"]]


@pytest.mark.parametrize("name", COMMON)
async def test_a_common_filter_works_in_all_three_searches(name: str, client: AsyncClient) -> None:
    asked, found, other = COMMON[name]
    car, home = await publish(vehicle_data(**found), property_data(**found))
    await publish(vehicle_data(**other), property_data(**other))
    assert await ids(client, "vehicles", **asked) == [car]
    assert await ids(client, "properties", **asked) == [home]
    assert sorted(await ids(client, "listings", **asked)) == [car, home]


@pytest.mark.parametrize(
    ("kind", "name", "case"),
    [
        *(("vehicle", name, case) for name, case in VEHICLE.items()),
        *(("property", name, case) for name, case in PROPERTY.items()),
    ],
)
async def test_a_filter_of_one_kind(kind: str, name: str, case: tuple[Any, Any, Any], client: AsyncClient) -> None:
    asked, found, other = case
    field = name.removesuffix("_min").removesuffix("_max")
    plain = vehicle_data() if kind == "vehicle" else property_data()
    [listing, *_] = await publish(*(plain | {kind: plain[kind] | {field: value}} for value in (found, other)))
    if field not in plain[kind]:
        await publish(plain)
    path = "vehicles" if kind == "vehicle" else "properties"
    assert await ids(client, path, **{name: asked}) == [listing]


async def test_kind_and_owner_narrow_a_search(client: AsyncClient) -> None:
    one, another = await add_owner(), await add_owner()
    car, home = await publish(vehicle_data(), property_data(), owner=one)
    [others] = await publish(vehicle_data(), owner=another)
    assert await ids(client, "listings", owner_id=str(one)) == [home, car]
    assert await ids(client, "vehicles", owner_id=str(one)) == [car]
    assert await ids(client, "properties", owner_id=str(another)) == []
    assert await ids(client, "listings", kind="vehicle") == [others, car]
    assert await ids(client, "listings", kind=["vehicle", "property"]) == [others, home, car]


async def test_filters_are_combined_with_and(client: AsyncClient) -> None:
    [wanted, *_] = await publish(
        vehicle_data(negotiable=True),
        vehicle_data(negotiable=False),
        vehicle_data(negotiable=True, price={"amount": 1, "currency": "ETB"}),
    )
    query = {"negotiable": "true", "make": "Toyota", "currency": "ETB", "price_min": 2, "q": "vitz"}
    assert await ids(client, "vehicles", **query) == [wanted]
    assert await ids(client, "vehicles", **query, model_year_max=2011) == []


async def test_bounds_the_wrong_way_round_find_nothing(client: AsyncClient) -> None:
    await publish(vehicle_data())
    assert await ids(client, "vehicles", model_year_min=2013, model_year_max=2011) == []


@pytest.mark.parametrize(
    ("bounds", "is_found"),
    [
        ({"mileage_max": 20105, "mileage_unit": "mi"}, True),
        ({"mileage_max": 20104, "mileage_unit": "mi"}, False),
        ({"mileage_min": 20105, "mileage_unit": "mi"}, True),
        ({"mileage_min": 20106, "mileage_unit": "mi"}, False),
        # 20,105 miles are 32,355.861 km.
        ({"mileage_max": 32356}, True),
        ({"mileage_max": 32355}, False),
        ({"mileage_min": 32355, "mileage_unit": "km"}, True),
        ({"mileage_min": 32356, "mileage_unit": "km"}, False),
    ],
)
async def test_mileage_is_compared_exactly_across_units(
    bounds: dict[str, Any], is_found: bool, client: AsyncClient
) -> None:
    details = {"make": "Ford", "model_year": 2015, "mileage": 20105, "mileage_unit": "mi"}
    [car] = await publish(vehicle_data(vehicle=details))
    assert await ids(client, "vehicles", **bounds) == ([car] if is_found else [])


async def test_an_unknown_mileage_is_in_no_range(client: AsyncClient) -> None:
    await publish(vehicle_data(vehicle={"make": "Ford", "model_year": 2026, "item_condition": "new"}))
    assert await ids(client, "vehicles", mileage_min=0) == []
    assert await ids(client, "vehicles", mileage_max=5_000_000) == []


@pytest.mark.parametrize("status", ListingStatus)
async def test_Z09_a_search_finds_and_counts_only_what_is_public(status: ListingStatus, client: AsyncClient) -> None:
    owner = await add_owner()
    await publish(vehicle_data(), property_data(), owner=owner)
    async with database.transaction() as session:
        await session.execute(update(Listing).values(status=status))
    is_public = status in (ListingStatus.PUBLISHED, ListingStatus.RESERVED)
    assert len(await ids(client, "listings")) == 2 * is_public
    assert len(await ids(client, "vehicles", q="vitz", city="Addis Ababa", near="8.99,38.79")) == is_public
    assert len(await ids(client, "properties", owner_id=str(owner), sort="area_desc")) == is_public
    assert len((await client.get("/api/v1/vehicles/makes")).json()["items"]) == is_public
    assert len((await client.get("/api/v1/vehicles/makes/Toyota/models")).json()["items"]) == is_public


async def test_makes_and_models_are_counted_without_regard_to_case(client: AsyncClient) -> None:
    cars = (("Toyota", "Vitz"), ("TOYOTA", "Corolla"), ("Toyota", "corolla"), ("Lada", "Niva"))
    common = {"model_year": 2012, "mileage": 1}
    await publish(*(vehicle_data(vehicle=common | {"make": make, "model": model}) for make, model in cars))
    makes = (await client.get("/api/v1/vehicles/makes")).json()["items"]
    assert [(item["name"].lower(), item["listings"]) for item in makes] == [("toyota", 3), ("lada", 1)]
    models = (await client.get("/api/v1/vehicles/makes/toyota/models")).json()["items"]
    assert [(item["name"].lower(), item["listings"]) for item in models] == [("corolla", 2), ("vitz", 1)]
    assert (await client.get("/api/v1/vehicles/makes/Trabant/models")).json() == {"items": []}
