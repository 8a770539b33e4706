"""What only vehicles have."""

from typing import Any

from httpx import AsyncClient

from tests.factories import World, vehicle_data

API = "/api/v1"
FULL: dict[str, Any] = {
    "vin": "JTDKB20U093123456",
    "make": "Toyota",
    "model": "Vitz",
    "trim": "RS",
    "body_type": "hatchback",
    "model_year": 2012,
    "mileage": 61000,
    "mileage_unit": "mi",
    "fuel_type": "plug_in_hybrid",
    "transmission": "cvt",
    "drive_wheel_configuration": "fwd",
    "engine_displacement_cc": 1329,
    "engine_power_kw": 73.5,
    "cylinders": 4,
    "number_of_doors": 5,
    "seating_capacity": 5,
    "color": "ነጭ",
    "interior_type": "cloth",
    "item_condition": "used",
    "number_of_previous_owners": 2,
    "accident_history": "repaired",
    "steering_position": "rhd",
    "battery_kwh": 8.8,
    "battery_soh_pct": 91.5,
    "range_km": 50,
    "charge_ports": ["type2", "chademo"],
    "plate_code": "2",
    "duty_status": "free_returnee",
}


def written(listing: dict[str, Any]) -> dict[str, Any]:
    """What the owner wrote of a vehicle, of what they read."""
    return {name: value for name, value in listing["vehicle"].items() if name != "vin_verdict"}


async def test_every_field_is_stored_and_returned(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    draft = await world.draft(owner, vehicle_data(vehicle=FULL))
    assert written(draft) == FULL
    read = await client.get(f"{API}/vehicles/{draft['id']}", headers=owner.headers)
    assert read.json() == draft
    assert draft["kind"] == "vehicle"


async def test_an_edit_may_touch_every_field(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    draft = await world.draft(owner, {"title": "A car", "purpose": "sale"})
    url, headers = f"{API}/vehicles/{draft['id']}", {**owner.headers, "If-Match": "*"}
    filled = await client.patch(url, json={"vehicle": FULL}, headers=headers)
    assert written(filled.json()) == FULL
    cleared = await client.patch(
        url, json={"vehicle": dict.fromkeys(set(FULL) - {"charge_ports"}) | {"charge_ports": []}}, headers=headers
    )
    assert written(cleared.json()) == dict.fromkeys(FULL) | {"charge_ports": []}


async def test_a_vin_is_for_the_owner_and_moderators(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    listing = await world.published(owner, vehicle_data(vehicle=FULL | {"vin": " jtdkb20u093123456 "}))
    assert listing["vehicle"]["vin"] == "JTDKB20U093123456"
    public = await client.get(f"{API}/vehicles/{listing['id']}")
    assert public.json()["vehicle"]["vin"] == "JTD**********3456"
    without = await world.published(owner)
    assert (await client.get(f"{API}/vehicles/{without['id']}")).json()["vehicle"]["vin"] is None


async def test_an_odometer_without_a_unit_counts_kilometres(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    draft = await world.draft(owner, vehicle_data(vehicle={"mileage": 98000}))
    assert draft["vehicle"]["mileage_unit"] == "km"
    bare = await world.draft(owner, vehicle_data(vehicle={"make": "Toyota"}))
    assert bare["vehicle"]["mileage_unit"] is None
    edited = await client.patch(
        f"{API}/vehicles/{bare['id']}",
        json={"vehicle": {"mileage": 10}},
        headers={**owner.headers, "If-Match": "*"},
    )
    assert edited.json()["vehicle"]["mileage_unit"] == "km"


async def test_makes_and_models_of_public_vehicles_are_counted(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    for make, model in (("Toyota", "Vitz"), ("TOYOTA", "Corolla"), ("Toyota", "corolla"), ("BYD", "Seagull")):
        await world.published(
            owner, vehicle_data(vehicle={"make": make, "model": model, "model_year": 2020, "mileage": 1})
        )
    await world.draft(owner, vehicle_data(vehicle={"make": "Lada"}))
    makes = (await client.get(f"{API}/vehicles/makes")).json()["items"]
    assert [(item["name"].lower(), item["listings"]) for item in makes] == [("toyota", 3), ("byd", 1)]
    models = (await client.get(f"{API}/vehicles/makes/toyota/models")).json()["items"]
    assert [(item["name"].lower(), item["listings"]) for item in models] == [("corolla", 2), ("vitz", 1)]
    assert (await client.get(f"{API}/vehicles/makes/Lada/models")).json()["items"] == []


async def test_a_vehicles_point_is_public_as_it_is(client: AsyncClient, world: World) -> None:
    listing = await world.published(await world.person())
    public = (await client.get(f"{API}/vehicles/{listing['id']}")).json()
    assert public["location"] == listing["location"]


async def test_clearing_the_unit_of_an_odometer_does_not_turn_miles_into_kilometres(
    client: AsyncClient, world: World
) -> None:
    owner = await world.person()
    fields = vehicle_data()["vehicle"] | {"mileage": 1000, "mileage_unit": "mi"}
    draft = await world.draft(owner, vehicle_data(vehicle=fields))
    answer = await client.patch(
        f"/api/v1/vehicles/{draft['id']}",
        json={"vehicle": {"mileage_unit": None}},
        headers=owner.headers | {"If-Match": "*"},
    )
    assert (answer.json()["vehicle"]["mileage"], answer.json()["vehicle"]["mileage_unit"]) == (1000, "mi")
