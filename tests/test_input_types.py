"""In a body a number is a number and a truth value a truth value, as the OpenAPI document says."""

import json
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient

from tests.factories import World, vehicle_data
from tests.test_input import JSON, bodies, leaves, pointer, refusals, replaced

MISTAKEN: dict[type, tuple[Any, ...]] = {int: (True, False, "5"), float: (True, "5.5"), bool: (1, 0, "true", "yes")}


@pytest.mark.parametrize("kind", MISTAKEN)
async def test_I19_what_only_looks_like_a_number_or_a_truth_value_is_refused_by_name_in_every_body(
    app: FastAPI, client: AsyncClient, kind: type
) -> None:
    places = [(*body, way) for body in bodies(app) for way, leaf in leaves(body[2]) if type(leaf) is kind]
    assert len(places) > 2
    for method, path, example, way in places:
        for bad in MISTAKEN[kind]:
            answer = await client.request(method, path, content=json.dumps(replaced(example, way, bad)), headers=JSON)
            assert refusals(answer) == {("body", pointer(way))}, (path, way, bad)


async def test_I19_a_whole_number_may_be_written_with_a_point(client: AsyncClient, world: World) -> None:
    seller = await world.person()
    body = json.dumps(vehicle_data()).replace("98000", "98000.0")
    made = await client.post("/api/v1/vehicles", content=body, headers=JSON | seller.headers)
    assert (made.status_code, made.json()["vehicle"]["mileage"]) == (201, 98000)
