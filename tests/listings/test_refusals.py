"""What the write endpoints refuse, and that refusing changes nothing."""

from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from httpx import AsyncClient

from src.core import config
from src.users.models import UserStatus
from tests.factories import World, property_data, vehicle_data
from tests.listings import stored
from tests.listings.journeys import MODERATOR, OWNER

API = "/api/v1"


def writes(listing: dict[str, Any]) -> list[tuple[str, str, Any]]:
    """Every write on a listing: method, path and a body that would do."""
    path = "properties" if listing["kind"] == "property" else "vehicles"
    one = f"{API}/listings/{listing['id']}"
    decided = [("POST", f"{one}/{action}", {"reason": "As agreed."}) for action in MODERATOR if action != "approve"]
    return [
        ("PATCH", f"{API}/{path}/{listing['id']}", {"title": "Another title"}),
        ("DELETE", f"{API}/{path}/{listing['id']}", None),
        ("PUT", f"{one}/favourite", None),
        ("DELETE", f"{one}/favourite", None),
        ("POST", f"{one}/approve", None),
        ("POST", f"{one}/pending-change/approve", None),
        ("POST", f"{one}/pending-change/reject", {"reason": "As agreed."}),
        ("DELETE", f"{one}/pending-change", None),
        *[("POST", f"{one}/{action}", None) for action in OWNER],
        *decided,
    ]


CREATIONS = [("POST", f"{API}/vehicles", vehicle_data()), ("POST", f"{API}/properties", property_data())]


@pytest.mark.parametrize("data", [vehicle_data(), property_data()], ids=["vehicle", "property"])
async def test_nobody_writes_without_signing_in(client: AsyncClient, world: World, data: dict[str, Any]) -> None:
    listing = await world.published(await world.person(), data)
    async with stored.nothing_changes():
        for method, path, body in [*CREATIONS, *writes(listing)]:
            answer = await client.request(method, path, json=body, headers={"If-Match": "*"})
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized"), (method, path)
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            forged = await client.request(method, path, json=body, headers={"Authorization": "Bearer x.y.z"})
            assert (forged.status_code, forged.json()["code"]) == (401, "invalid_token"), (method, path)


async def test_a_suspended_account_reads_and_writes_nothing(
    client: AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    suspended, other = await world.person(status=UserStatus.SUSPENDED), await world.person()
    listing = await world.published(other)
    async with stored.nothing_changes():
        for method, path, body in [*CREATIONS, *writes(listing)]:
            headers = {**suspended.headers, "If-Match": "*"}
            answer = await client.request(method, path, json=body, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (403, "account_suspended"), (method, path)
    for path in (f"listings/{listing['id']}", "users/me/listings", "users/me/favourites"):
        assert (await client.get(f"{API}/{path}", headers=suspended.headers)).status_code == 200


async def test_an_unverified_address_drafts_and_does_not_publish(
    client: AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config.settings().auth, "require_verified", True)
    owner = await world.person()
    draft = await world.draft(owner)
    edited = await client.patch(
        f"{API}/vehicles/{draft['id']}", json={"negotiable": True}, headers={**owner.headers, "If-Match": "*"}
    )
    assert edited.status_code == 200
    async with stored.nothing_changes():
        for action in OWNER:
            answer = await client.post(f"{API}/listings/{draft['id']}/{action}", headers=owner.headers)
            assert (answer.status_code, answer.json()["code"]) == (403, "email_not_verified"), action
    assert (await client.delete(f"{API}/vehicles/{draft['id']}", headers=owner.headers)).status_code == 204


BAD_LISTINGS: list[tuple[dict[str, Any], str]] = [
    ({"title": "ab"}, "/title"),
    ({"title": "  a  "}, "/title"),
    ({"title": "x" * 121}, "/title"),
    ({"title": "Two\nlines"}, "/title"),
    ({"title": "Bell \u0007"}, "/title"),
    ({"title": 7}, "/title"),
    ({"title": None}, "/title"),
    ({"purpose": "gift"}, "/purpose"),
    ({"description": "x" * 10_001}, "/description"),
    ({"price": {"amount": 0, "currency": "ETB"}}, "/price/amount"),
    ({"price": {"amount": 1.5, "currency": "ETB"}}, "/price/amount"),
    ({"price": {"amount": "100", "currency": "ETB"}}, "/price/amount"),
    ({"price": {"amount": 10**15 + 1, "currency": "ETB"}}, "/price/amount"),
    ({"price": {"amount": 100, "currency": "birr"}}, "/price/currency"),
    ({"price": {"amount": 100, "currency": "XXX"}}, "/price/currency"),
    ({"price": {"amount": 100}}, "/price/currency"),
    ({"price": 100}, "/price"),
    ({"location": {"country": "XX"}}, "/location/country"),
    ({"location": {"country": "et"}}, "/location/country"),
    ({"location": {"latitude": 91, "longitude": 0}}, "/location/latitude"),
    ({"location": {"latitude": 9}}, "/location"),
    ({"location": {"town": "Adama"}}, "/location/town"),
    ({"language": "Amharic"}, "/language"),
    ({"features": ["Has Alarm"]}, "/features/0"),
    ({"features": ["alarm"] * 51}, "/features"),
    ({"external_id": ""}, "/external_id"),
    ({"external_id": "x" * 101}, "/external_id"),
    ({"negotiable": "perhaps"}, "/negotiable"),
    ({"rent_period": "hour"}, "/rent_period"),
    ({"colour": "white"}, "/colour"),
]
BAD_VEHICLES: list[tuple[dict[str, Any], str]] = [
    ({"vin": "JTDKB20U09312345"}, "/vehicle/vin"),
    ({"vin": "IOQKB20U093123456"}, "/vehicle/vin"),
    ({"make": ""}, "/vehicle/make"),
    ({"body_type": "spaceship"}, "/vehicle/body_type"),
    ({"model_year": 1884}, "/vehicle/model_year"),
    ({"model_year": 2101}, "/vehicle/model_year"),
    ({"model_year": 2012.5}, "/vehicle/model_year"),
    ({"mileage": -1}, "/vehicle/mileage"),
    ({"mileage": 2**63}, "/vehicle/mileage"),
    ({"mileage_unit": "miles"}, "/vehicle/mileage_unit"),
    ({"engine_power_kw": 0}, "/vehicle/engine_power_kw"),
    ({"battery_soh_pct": 101}, "/vehicle/battery_soh_pct"),
    ({"charge_ports": None}, "/vehicle/charge_ports"),
    ({"charge_ports": ["Type 2"]}, "/vehicle/charge_ports/0"),
    ({"plate_code": "x" * 11}, "/vehicle/plate_code"),
    ({"wheels": 4}, "/vehicle/wheels"),
]
BAD_PROPERTIES: list[tuple[dict[str, Any], str]] = [
    ({"property_type": "castle"}, "/property/property_type"),
    ({"bedrooms_total": -1}, "/property/bedrooms_total"),
    ({"bedrooms_total": 1001}, "/property/bedrooms_total"),
    ({"living_area_m2": 0}, "/property/living_area_m2"),
    ({"living_area_m2": -85.5}, "/property/living_area_m2"),
    ({"lot_size_m2": 10**12}, "/property/lot_size_m2"),
    ({"year_built": 999}, "/property/year_built"),
    ({"entry_level": -21}, "/property/entry_level"),
    ({"pets_allowed": "some"}, "/property/pets_allowed"),
    ({"availability_date": "2026-02-30"}, "/property/availability_date"),
    ({"availability_date": "9999-12-31"}, "/property/availability_date"),
    ({"association_fee": {"amount": 100}}, "/property/association_fee/currency"),
    ({"title_number": "---"}, "/property/title_number"),
    ({"title_number": "x" * 61}, "/property/title_number"),
    ({"water_source": "River Nile"}, "/property/water_source"),
]


@pytest.mark.parametrize("kind", ["vehicle", "property"])
async def test_bad_input_is_refused_naming_the_field(client: AsyncClient, world: World, kind: str) -> None:
    owner = await world.person()
    data = vehicle_data() if kind == "vehicle" else property_data()
    collection = f"{API}/{'vehicles' if kind == 'vehicle' else 'properties'}"
    one = f"{collection}/{(await world.draft(owner, data))['id']}"
    details = BAD_VEHICLES if kind == "vehicle" else BAD_PROPERTIES
    bad = BAD_LISTINGS + [({kind: inner}, pointer) for inner, pointer in details]
    async with stored.nothing_changes():
        for change, pointer in bad:
            for method, path, body in (("POST", collection, data | change), ("PATCH", one, change)):
                headers = {**owner.headers, "If-Match": "*"}
                answer = await client.request(method, path, json=body, headers=headers)
                assert answer.status_code == 422, (method, change)
                assert [field["pointer"] for field in answer.json()["errors"]] == [pointer], (method, change)


async def test_a_draft_needs_a_title_and_a_purpose(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    async with stored.nothing_changes():
        answer = await client.post(f"{API}/vehicles", json={}, headers=owner.headers)
    assert [field["pointer"] for field in answer.json()["errors"]] == ["/title", "/purpose"]
    assert (await world.draft(owner, {"title": "Car", "purpose": "rent"}))["completeness"] == 0


async def test_a_close_price_is_money(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    listing = await world.published(owner)
    async with stored.nothing_changes():
        for price in ({"amount": 0, "currency": "ETB"}, {"amount": 5}, 5, {"amount": 5, "currency": "ZZZ"}):
            answer = await client.post(
                f"{API}/listings/{listing['id']}/close", json={"price": price}, headers=owner.headers
            )
            assert answer.status_code == 422
            assert answer.json()["errors"][0]["pointer"].startswith("/price")


async def test_what_was_public_is_withdrawn_and_not_deleted(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    for data in (vehicle_data(), property_data()):
        listing = await world.published(owner, data)
        path = "properties" if listing["kind"] == "property" else "vehicles"
        async with stored.nothing_changes():
            answer = await client.delete(f"{API}/{path}/{listing['id']}", headers=owner.headers)
        assert (answer.status_code, answer.json()["code"]) == (409, "listing_wrong_state")


async def test_a_listing_of_the_other_kind_is_not_there(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    car, home = await world.draft(owner), await world.draft(owner, property_data())
    async with stored.nothing_changes():
        for path in (f"{API}/properties/{car['id']}", f"{API}/vehicles/{home['id']}"):
            headers = {**owner.headers, "If-Match": "*"}
            assert (await client.get(path, headers=headers)).status_code == 404
            assert (await client.patch(path, json={"title": "A title"}, headers=headers)).status_code == 404
            assert (await client.delete(path, headers=headers)).status_code == 404


async def test_every_write_on_a_listing_is_refused_somewhere_here(app: FastAPI) -> None:
    listed = {
        (method, path) for kind in ("vehicle", "property") for method, path, _ in writes({"id": "*", "kind": kind})
    }
    documented = {
        (method.upper(), path.replace("{listing_id}", "*"))
        for path, methods in app.openapi()["paths"].items()
        for method in methods
        if "{listing_id}" in path and method != "get"
    }
    assert documented == listed


async def test_methods_that_a_path_does_not_answer(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    listing = await world.published(owner)
    async with stored.nothing_changes():
        for method, path in (
            ("GET", f"listings/{listing['id']}/submit"),
            ("PUT", f"vehicles/{listing['id']}"),
            ("POST", f"vehicles/{listing['id']}"),
            ("DELETE", f"listings/{listing['id']}"),
            ("DELETE", "vehicles"),
        ):
            answer = await client.request(method, f"{API}/{path}", headers=owner.headers)
            assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
            assert answer.headers["Allow"]
        unknown = await client.post(f"{API}/listings/{uuid4()}/explode", headers=owner.headers)
        assert unknown.status_code == 404
