"""What a search does not understand is refused, and the refusal names the parameter."""

import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from fastapi import FastAPI
from httpx import AsyncClient

from src.core.database import Base
from src.core.problems import MOST_FIELDS
from src.core.security import Role
from tests.factories import World, property_data, vehicle_data
from tests.listings.published import publish

PATHS = ("listings", "vehicles", "properties")


async def refused(client: AsyncClient, path: str, query: dict[str, Any]) -> list[str]:
    answer = await client.get(f"/api/v1/{path}", params=query)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert {error["in"] for error in answer.json()["errors"]} == {"query"}
    return [error["pointer"].split("/")[1] for error in answer.json()["errors"]]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("limit", {"limit": 0}),
        ("limit", {"limit": 101}),
        ("limit", {"limit": -1}),
        ("limit", {"limit": "1e9"}),
        ("limit", {"limit": 2**63}),
        ("q", {"q": ""}),
        ("q", {"q": "x" * 201}),
        ("q", {"q": "two\nlines"}),
        ("purpose", {"purpose": "gift"}),
        ("purpose", {"purpose": ["sale", "gift"]}),
        ("rent_period", {"rent_period": "hour"}),
        ("currency", {"currency": "BIRR"}),
        ("currency", {"currency": "ZZZ"}),
        ("currency", {"currency": "etb"}),
        ("price_min", {"price_min": 1}),
        ("price_max", {"price_max": 1}),
        ("price_min", {"price_min": -1, "currency": "ETB"}),
        ("price_max", {"price_max": 10**15 + 1, "currency": "ETB"}),
        ("price_max", {"price_max": "1.5", "currency": "ETB"}),
        ("price_max", {"price_max": "NaN", "currency": "ETB"}),
        ("negotiable", {"negotiable": "perhaps"}),
        ("country", {"country": "XX"}),
        ("country", {"country": "et"}),
        ("country", {"country": ["ET"] * 21}),
        ("city", {"city": ""}),
        ("city", {"city": ["Adama"] * 21}),
        ("region", {"region": "x" * 121}),
        ("language", {"language": "amharic"}),
        ("features", {"features": "Air conditioning"}),
        ("owner_id", {"owner_id": "1"}),
        ("near", {"near": "9"}),
        ("near", {"near": "9,38,7"}),
        ("near", {"near": "91,38"}),
        ("near", {"near": "9,181"}),
        ("near", {"near": "nan,38"}),
        ("near", {"near": "inf,38"}),
        ("near", {"near": "north,east"}),
        ("near", {"near": "1_0,38"}),
        ("near", {"near": "٩,٣٨"}),
        ("radius_km", {"radius_km": 10}),
        ("radius_km", {"near": "9,38", "radius_km": 0}),
        ("radius_km", {"near": "9,38", "radius_km": 1001}),
        ("radius_km", {"near": "9,38", "radius_km": "1e9"}),
        ("radius_km", {"near": "9,38", "radius_km": "nan"}),
        ("bbox", {"bbox": "38,8,39"}),
        ("bbox", {"bbox": "38,9,39,8"}),
        ("bbox", {"bbox": "38,-91,39,8"}),
        ("bbox", {"bbox": "-181,8,39,9"}),
        ("bbox", {"bbox": "38,8,39,nan"}),
        ("sort", {"sort": "oldest"}),
        ("sort", {"sort": "price_amount"}),
        ("sort", {"sort": "nearest"}),
        ("sort", {"sort": "relevance"}),
        ("sort", {"sort": ["newest", "price_asc; DROP TABLE listings"]}),
        ("page", {"page": 2}),
        ("filter[user.password_hash]", {"filter[user.password_hash]": "x"}),
    ],
)
async def test_a_bad_value_is_refused_by_name(path: str, name: str, query: dict[str, Any], client: AsyncClient) -> None:
    assert set(await refused(client, path, query)) == {name}


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        ("vehicles", "model_year", "1884"),
        ("vehicles", "model_year_min", "2101"),
        ("vehicles", "mileage_max", "-1"),
        ("vehicles", "mileage_max", "5000001"),
        ("vehicles", "mileage_unit", "leagues"),
        ("vehicles", "fuel_type", "hope"),
        ("vehicles", "engine_power_kw_min", "inf"),
        ("vehicles", "sort", "area_desc"),
        ("vehicles", "kind", "vehicle"),
        ("vehicles", "bedrooms_total", "2"),
        ("properties", "living_area_m2_min", "nan"),
        ("properties", "availability_date_max", "2027-02-30"),
        ("properties", "pets_allowed", "some"),
        ("properties", "sort", "mileage_asc"),
        ("properties", "sort", "year_desc"),
        ("properties", "make", "Toyota"),
        ("listings", "sort", "mileage_asc"),
        ("listings", "sort", "area_desc"),
        ("listings", "kind", "boat"),
        ("listings", "make", "Toyota"),
    ],
)
async def test_a_kind_refuses_what_is_not_its_own(path: str, name: str, value: str, client: AsyncClient) -> None:
    assert set(await refused(client, path, {name: value})) == {name}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "name",
    [
        "vin",
        "title_number",
        "title_number_hash",
        "external_id",
        "status",
        "is_public",
        "latitude",
        "longitude",
        "latitude_min",
        "close_price_max",
        "owner.email",
        "email",
        "version",
        "search",
        "published_at_min",
        "mileage_km_min",
    ],
)
async def test_Z08_nothing_hidden_can_be_filtered_or_sorted_by(path: str, name: str, client: AsyncClient) -> None:
    assert await refused(client, path, {name: "1"}) == [name]
    assert await refused(client, path, {"sort": name}) == ["sort"]


def listed(app: FastAPI) -> list[tuple[str, set[str], set[str]]]:
    """Every operation that lists: its path below the prefix, the names it knows, and its sorts."""
    found = []
    for path, operations in app.openapi()["paths"].items():
        answer = operations.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
        if path.startswith("/api/v1/") and "application/json" in answer and "_id}" not in path:
            known = {item["name"]: item["schema"] for item in operations["get"].get("parameters", [])}
            sorts = {sort for part in known.get("sort", {}).get("anyOf", []) for sort in part.get("enum", [])}
            found.append((re.sub(r"\{\w+\}", "Toyota", path.removeprefix("/api/v1/")), set(known), sorts))
    return found


async def test_Z08_no_column_of_any_table_is_a_name_unless_it_is_documented(
    app: FastAPI, client: AsyncClient, world: World
) -> None:
    person = await world.person(Role.ADMIN)
    columns = {column.name for table in Base.metadata.sorted_tables for column in table.columns}
    qualified = {f"{table.name}.{column.name}" for table in Base.metadata.sorted_tables for column in table.columns}
    assert len(columns) > 80
    assert len(listed(app)) >= 10
    for path, known, sorts in listed(app):
        # As many at once as an answer lists, with one place left: a search that is being typed lacks its words besides.
        unknown = sorted(columns - known)
        for start in range(0, len(unknown), MOST_FIELDS - 1):
            names = unknown[start : start + MOST_FIELDS - 1]
            answer = await client.get(f"/api/v1/{path}", params=dict.fromkeys(names, "1"), headers=person.headers)
            named = {(error["in"], error["pointer"]) for error in answer.json()["errors"]}
            assert (answer.status_code, named - {("query", "/q")}) == (422, {("query", f"/{name}") for name in names})
        for name in (columns | qualified) - sorts if sorts else ():
            assert await refused(client, path, {"sort": name}) == ["sort"]


async def test_Z08_totals_and_counts_leave_out_what_is_hidden(client: AsyncClient, world: World) -> None:
    owner, moderator = await world.person(), await world.person(Role.MODERATOR)
    shown = await world.published(owner)
    for action in ("pause", "withdraw"):
        await world.act(owner, await world.published(owner), action)
    await world.act(moderator, await world.published(owner), "suspend", reason="The photos show another car.")
    await world.draft(owner)
    for headers in ({}, owner.headers, moderator.headers):
        for path in ("listings", "vehicles"):
            found = (await client.get(f"/api/v1/{path}", params={"q": "vitz"}, headers=headers)).json()
            assert ([item["id"] for item in found["items"]], found["total"]["value"]) == ([shown["id"]], 1)
        for path in ("makes", "makes/Toyota/models"):
            counted = (await client.get(f"/api/v1/vehicles/{path}", headers=headers)).json()["items"]
            assert [item["listings"] for item in counted] == [1]


async def test_Z08_words_do_not_find_what_a_listing_hides(client: AsyncClient) -> None:
    car, home = vehicle_data(external_id="stock47"), property_data(external_id="flat47")
    car["vehicle"] |= {"vin": "JTDKB20U093123456", "plate_code": "platypus"}
    home["property"] |= {"title_number": "deed4711"}
    await publish(car, home)
    for q in ("JTDKB20U093123456", "jtd", "stock47", "flat47", "deed4711", "published", "hana"):
        assert (await client.get("/api/v1/listings", params={"q": q})).json()["items"] == [], q


@pytest.mark.parametrize("path", ["listings", "vehicles", "properties"])
async def test_I19_every_default_that_the_document_names_may_be_sent(client: AsyncClient, path: str) -> None:
    document = orjson.loads((Path(__file__).parents[2] / "openapi.json").read_bytes())
    parameters = document["paths"][f"/api/v1/{path}"]["get"]["parameters"]
    defaults = {given["name"]: given["schema"]["default"] for given in parameters if given["schema"].get("default")}
    assert defaults.keys() >= {"limit", "radius_km"}
    assert (await client.get(f"/api/v1/{path}", params=defaults)).status_code == 200
    alone = await client.get(f"/api/v1/{path}", params={"radius_km": 49})
    assert alone.json()["errors"][0]["pointer"] == "/radius_km"
