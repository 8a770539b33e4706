"""Searching by place: near a point, in a box, in a city by any of its names."""

from math import radians
from typing import Any

import pytest
from httpx import AsyncClient

from src.listings.models import EARTH_RADIUS_KM
from tests.factories import property_data, vehicle_data
from tests.listings.published import publish


def at(latitude: float, longitude: float, **more: Any) -> dict[str, Any]:
    place = {"country": "ET", "city": "Adama", "latitude": latitude, "longitude": longitude}
    return vehicle_data(location=place | more)


async def found(client: AsyncClient, path: str = "listings", **query: Any) -> list[str]:
    answer = await client.get(f"/api/v1/{path}", params=query)
    assert answer.status_code == 200, answer.text
    assert answer.json()["total"]["value"] == len(answer.json()["items"])
    return [item["id"] for item in answer.json()["items"]]


@pytest.mark.parametrize(
    ("centre", "place"),
    [((9, 38), (9.5, 38)), ((0, 179.9), (0, -179.6)), ((89.8, 0), (89.7, 180)), ((-33, 18), (-33.5, 18))],
)
async def test_a_radius_is_measured_along_the_ground(
    centre: tuple[float, float], place: tuple[float, float], client: AsyncClient
) -> None:
    [car] = await publish(at(*place))
    kilometres = EARTH_RADIUS_KM * radians(0.5)
    near = f"{centre[0]},{centre[1]}"
    assert await found(client, near=near, radius_km=kilometres + 0.001) == [car]
    assert await found(client, near=near, radius_km=kilometres - 0.001) == []


async def test_the_nearest_come_first(client: AsyncClient) -> None:
    far, near, middle = await publish(at(9.4, 38), at(9.01, 38), at(9, 38.2))
    await publish(vehicle_data(location={"country": "ET", "city": "Adama"}))
    assert await found(client, near="9,38", sort="nearest") == [near, middle, far]
    assert await found(client, path="vehicles", near="9.4,38", radius_km=20, sort="nearest") == [far]
    assert await found(client, near="9,38") == [middle, near, far]


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ("38,8,39,9", ["inside", "corner"]),
        ("38.5,8.5,38.5,8.5", ["inside"]),
        ("179,-20,-179,-10", ["east of it", "west of it", "on it"]),
        ("179,-20,180,-10", ["west of it", "on it"]),
        ("-180,-90,180,90", ["inside", "corner", "east of it", "west of it", "on it", "elsewhere"]),
        ("-179,-20,179,-10", []),
    ],
)
async def test_a_box_may_lie_across_the_antimeridian(box: str, expected: list[str], client: AsyncClient) -> None:
    points = {
        "inside": (8.5, 38.5),
        "corner": (9, 39),
        "east of it": (-15, -179.5),
        "west of it": (-15, 179.5),
        "on it": (-15, 180),
        "elsewhere": (52, 13),
    }
    ids = await publish(
        *(at(*point) for point in points.values()), vehicle_data(location={"country": "ET", "city": "Adama"})
    )
    by_name = dict(zip(points, ids, strict=False))
    assert set(await found(client, bbox=box)) == {by_name[name] for name in expected}


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("Addis Ababa", "አዲስ አበባ"),
        ("አዲስ አበባ", "Addis Ababa"),
        ("ADDIS ABEBA", "addis ababa"),
        ("Adama", "Nazret"),
        ("Hawassa", "ሀዋሳ"),
        ("Mekelle", "መቐለ"),
        ("Mek’elē", "Mekelle"),
        ("Xanadu-on-Nile", "xanadu ON nile"),
        ("ገነት ከተማ", "ገነት ከተማ"),
    ],
)
async def test_a_city_is_found_by_any_of_its_names(written: str, asked: str, client: AsyncClient) -> None:
    place = {"country": "ET", "city": written}
    [car, home] = await publish(vehicle_data(location=place), property_data(location=place))
    await publish(vehicle_data(location={"country": "ET", "city": "Gondar"}))
    assert await found(client, city=asked) == [home, car]
    assert await found(client, path="vehicles", city=["Jimma", asked]) == [car]
    assert await found(client, city=asked, country="KE") == []


async def test_Z08_a_search_knows_only_the_rounded_point_of_a_home(client: AsyncClient) -> None:
    pin = {"country": "ET", "city": "Addis Ababa", "latitude": 8.994321, "longitude": 38.785678}
    [home] = await publish(property_data(location=pin))
    for path in ("listings", "properties"):
        assert await found(client, path, near="8.994321,38.785678", radius_km=0.1) == []
        assert await found(client, path, bbox="38.7856,8.9943,38.7857,8.9944") == []
        assert await found(client, path, near="8.99,38.79", radius_km=0.001) == [home]
        assert await found(client, path, bbox="38.79,8.99,38.79,8.99") == [home]


async def test_Z08_homes_of_one_rounded_point_are_equally_near(client: AsyncClient) -> None:
    pins = [(8.9941, 38.7859), (8.9859, 38.7941), (8.99, 38.79)]
    place = {"country": "ET", "city": "Addis Ababa"}
    ids = await publish(*(property_data(location=place | {"latitude": one, "longitude": other}) for one, other in pins))
    for latitude, longitude in pins:
        assert await found(client, near=f"{latitude},{longitude}", sort="nearest") == ids
