"""A drawn area finds what lies in it, as far as everybody may know the place."""

import json
from typing import Any

import polyline
import pytest
from httpx import AsyncClient

from tests.factories import property_data, vehicle_data
from tests.listings.published import publish

# An L around Bole: its missing corner is to the north-east.
CORNERS = [(38.70, 8.90), (38.90, 8.90), (38.90, 9.00), (38.80, 9.00), (38.80, 9.10), (38.70, 9.10), (38.70, 8.90)]
GEOJSON = json.dumps({"type": "Polygon", "coordinates": [CORNERS]})
ENCODED = polyline.encode(CORNERS, geojson=True)


def at(latitude: float, longitude: float) -> dict[str, Any]:
    return {"country": "ET", "city": "Addis Ababa", "latitude": latitude, "longitude": longitude}


async def titles(client: AsyncClient, path: str = "listings", **query: Any) -> list[str]:
    answer = await client.get(f"/api/v1/{path}", params=query)
    assert answer.status_code == 200, answer.text
    return [item["title"] for item in answer.json()["items"]]


@pytest.mark.parametrize("polygon", [GEOJSON, ENCODED])
async def test_what_lies_in_a_drawn_area_is_found(client: AsyncClient, polygon: str) -> None:
    await publish(
        vehicle_data(title="in the foot", location=at(8.95, 38.88)),
        property_data(title="in the leg", location=at(9.08, 38.72)),
        vehicle_data(title="in the missing corner", location=at(9.05, 38.85)),
        vehicle_data(title="outside", location=at(9.2, 38.75)),
        vehicle_data(title="nowhere", location={"country": "ET", "city": "Addis Ababa"}),
    )
    assert set(await titles(client, polygon=polygon)) == {"in the foot", "in the leg"}
    assert await titles(client, "vehicles", polygon=polygon) == ["in the foot"]
    assert await titles(client, polygon=polygon, bbox="38.6,9.0,39,9.2", near="9,38.8", radius_km=50) == ["in the leg"]


async def test_a_staged_address_is_searched_by_what_is_public_of_it(client: AsyncClient) -> None:
    await publish(property_data(title="home", location=at(8.994, 38.804)))
    around = [(38.803, 8.993), (38.805, 8.993), (38.805, 8.995), (38.803, 8.995)]
    assert await titles(client, polygon=polyline.encode(around, geojson=True)) == []


async def test_words_near_a_place_are_sorted_by_distance(client: AsyncClient) -> None:
    await publish(
        vehicle_data(title="Nilefront far", location=at(9.05, 38.80)),
        vehicle_data(title="Nilefront close", location=at(9.001, 38.80)),
        vehicle_data(title="Other car", location=at(9.0, 38.80)),
        vehicle_data(title="Nilefront elsewhere", location=at(11.0, 38.80)),
    )
    query: dict[str, Any] = {"q": "nilefront", "near": "9.0,38.8", "radius_km": 20, "sort": "nearest"}
    assert await titles(client, **query) == ["Nilefront close", "Nilefront far"]


@pytest.mark.parametrize(
    "polygon",
    [
        "{}",
        "[1]",
        "north",
        "_p~iF~ps|U",
        '{"type": "Point", "coordinates": [1, 2]}',
        json.dumps({"type": "Polygon", "coordinates": [CORNERS, CORNERS]}),
        json.dumps({"type": "Polygon", "coordinates": [CORNERS[:-1]]}),
        json.dumps({"type": "Polygon", "coordinates": [[[200, 0], [201, 0], [201, 1], [200, 0]]]}),
        json.dumps({"type": "Polygon", "coordinates": [[[0, 95], [1, 95], [1, 91], [0, 95]]]}),
        '{"type": "Polygon", "coordinates": [[[NaN, 0], [1, 0], [1, 1], [NaN, 0]]]}',
        '{"type": "Polygon", "coordinates": [[[1e999, 0], [1, 0], [1, 1], [1e999, 0]]]}',
        polyline.encode([(0.001 * number, 0.0) for number in range(300)], geojson=True),
        "x" * 8001,
        "\u12a0",
    ],
)
async def test_I08_an_area_that_is_none_is_refused(client: AsyncClient, polygon: str) -> None:
    answer = await client.get("/api/v1/listings", params={"polygon": polygon})
    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/polygon"]
