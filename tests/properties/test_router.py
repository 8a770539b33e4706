"""What only properties have."""

from typing import Any
from uuid import UUID

from httpx import AsyncClient

from src.core import database
from src.properties.models import Property
from tests.factories import World, property_data
from tests.listings import stored

API = "/api/v1"
FULL: dict[str, Any] = {
    "property_type": "residential",
    "property_sub_type": "condominium",
    "bedrooms_total": 3,
    "bathrooms_full": 2,
    "bathrooms_half": 1,
    "living_area_m2": 120.25,
    "lot_size_m2": 300,
    "year_built": 2016,
    "year_renovated": 2024,
    "rooms_total": 6,
    "stories_total": 12,
    "entry_level": -1,
    "garage_spaces": 1,
    "furnished": "partially",
    "property_condition": "excellent",
    "cooling": "split",
    "pets_allowed": False,
    "availability_date": "2027-01-11",
    "tenure": "lease",
    "water_source": "municipal",
    "electric": "grid",
    "association_fee": {"amount": 150000, "currency": "ETB"},
}


async def test_every_field_is_stored_and_returned(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    draft = await world.draft(owner, property_data(property=FULL))
    assert draft["property"] == FULL | {"has_title_number": False}
    read = await client.get(f"{API}/properties/{draft['id']}", headers=owner.headers)
    assert read.json() == draft
    assert draft["kind"] == "property"


async def test_an_edit_may_touch_every_field(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    draft = await world.draft(owner, {"title": "A flat", "purpose": "rent", "property": {}})
    url, headers = f"{API}/properties/{draft['id']}", {**owner.headers, "If-Match": "*"}
    filled = await client.patch(url, json={"property": FULL | {"title_number": "AA/1"}}, headers=headers)
    assert filled.json()["property"] == FULL | {"has_title_number": True}
    nothing = dict.fromkeys([*FULL, "title_number"])
    cleared = await client.patch(url, json={"property": nothing}, headers=headers)
    assert cleared.json()["property"] == dict.fromkeys(FULL) | {"has_title_number": False}


async def test_a_title_number_is_kept_as_a_hash_that_matches_and_tells_nothing(
    client: AsyncClient, world: World
) -> None:
    owner = await world.person()
    drafts = [
        await world.draft(owner, property_data(property={"title_number": number}))
        for number in ("AA-000/77 12345", "aa 000 77-12345", "AA-000/77 12346")
    ]
    hashes = []
    for draft in drafts:
        assert draft["property"]["has_title_number"] is True
        assert "title_number" not in draft["property"]
        async with database.transaction() as session:
            row = await session.get_one(Property, UUID(draft["id"]))
            assert not any("12345" in str(getattr(row, column.key)) for column in Property.__table__.columns)
            hashes.append(row.title_number_hash)
    assert hashes[0] == hashes[1] != hashes[2]
    assert "12345" not in str([await stored.row_of(draft["id"]) for draft in drafts])


async def test_everybody_sees_a_rounded_point_and_the_owner_the_pin(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    listing = await world.published(owner, property_data())
    pin = {"latitude": 8.991234, "longitude": 38.791234}
    assert {name: listing["location"][name] for name in pin} == pin
    url = f"{API}/properties/{listing['id']}"
    public = (await client.get(url)).json()["location"]
    assert (public["latitude"], public["longitude"]) == (8.99, 38.79)
    moved = {"location": {"latitude": 9.015678, "longitude": 38.755432}}
    await client.patch(url, json=moved, headers={**owner.headers, "If-Match": "*"})
    public = (await client.get(url)).json()["location"]
    assert (public["latitude"], public["longitude"]) == (9.02, 38.76)


async def test_searching_around_finds_no_more_than_the_rounded_point(client: AsyncClient, world: World) -> None:
    listing = await world.published(await world.person(), property_data())

    async def found(near: str) -> list[str]:
        answer = await client.get(f"{API}/properties", params={"near": near, "radius_km": "0.05"})
        return [item["id"] for item in answer.json()["items"]]

    assert await found("8.991234,38.791234") == []
    assert await found("8.99,38.79") == [listing["id"]]
