"""Who sees and does what: other tenants' ids, mass assignment, properties per role, and what is hidden everywhere."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from httpx import AsyncClient, Response

from src.core import clock, config, database
from src.core.security import Role
from src.listings.models import Favourite
from tests.factories import Person, World, property_data, vehicle_data
from tests.listings import stored
from tests.listings.journeys import PUBLIC, ROUTES, Journey, journey

API = "/api/v1"
BODIES: dict[str, Any] = {
    "edit_vehicle": {"title": "Taken over"},
    "edit_property": {"title": "Taken over"},
    "request_changes_listing": {"reason": "Because I can."},
    "reject_listing": {"reason": "Because I can."},
    "suspend_listing": {"reason": "Because I can."},
    "restore_listing": {"reason": "Because I can."},
    "reject_pending_change": {"reason": "Because I can."},
}
JUDGED = {
    "approve_listing", "request_changes_listing", "reject_listing", "suspend_listing", "restore_listing",
    "approve_pending_change", "reject_pending_change",
}  # fmt: skip


def operations(app: FastAPI) -> Iterator[tuple[str, str, str]]:
    """Every operation on a listing's id: method, path and operation id."""
    for path, methods in app.openapi()["paths"].items():
        if "{listing_id}" in path:
            for method, operation in methods.items():
                yield method.upper(), path, operation["operationId"]


async def call(
    client: AsyncClient, operation: tuple[str, str, str], listing_id: object, person: Person | None
) -> Response:
    method, path, name = operation
    needs_version = method == "PATCH" or name == "approve_pending_change"
    headers = (person.headers if person else {}) | ({"If-Match": "*"} if needs_version else {})
    return await client.request(
        method, path.replace("{listing_id}", str(listing_id)), json=BODIES.get(name), headers=headers
    )


def essence(answer: Response) -> tuple[int, Any]:
    """The answer without what differs from request to request."""
    problem = answer.json() if answer.content else None
    return answer.status_code, problem and {key: problem[key] for key in ("type", "title", "detail", "code", "errors")}


@pytest.mark.parametrize("data", [vehicle_data(), property_data()], ids=["vehicle", "property"])
async def test_Z02_another_tenants_draft_is_like_nothing_at_all(
    app: FastAPI, client: AsyncClient, world: World, data: dict[str, Any]
) -> None:
    owner, stranger = await world.person(), await world.person()
    draft = await world.draft(owner, data)
    await world.published(stranger)
    seen = set()
    async with stored.nothing_changes():
        for operation in operations(app):
            for person in (stranger, None):
                answer = await call(client, operation, draft["id"], person)
                assert essence(answer) == essence(await call(client, operation, uuid4(), person)), operation
                wanted = 404 if operation[0] == "GET" else 401 if person is None else 404
                if operation[2] in JUDGED and person is not None:
                    wanted = 403
                if operation[2] == "drop_favourite" and person is not None:
                    wanted = 204
                assert answer.status_code == wanted, operation
            seen.add(operation[2])
    assert len(seen) >= 24


async def test_Z02_ids_that_are_none_are_refused(app: FastAPI, client: AsyncClient, world: World) -> None:
    person = await world.person(Role.MODERATOR)
    for operation in operations(app):
        for listing_id in ("1", "-1", "null", "01a1fc10b7277426", "%00", "..%2f", "9" * 400):
            answer = await call(client, operation, listing_id, person)
            assert answer.status_code in (404, 422), (operation, listing_id)


@pytest.mark.parametrize("data", [vehicle_data(), property_data()], ids=["vehicle", "property"])
async def test_Z02_another_tenants_public_listing_is_read_and_not_touched(
    app: FastAPI, client: AsyncClient, world: World, data: dict[str, Any]
) -> None:
    owner, stranger = await world.person(), await world.person()
    listing = await world.published(owner, data)
    other_kind = "property" if listing["kind"] == "vehicle" else "vehicle"
    for operation in operations(app):
        if operation[0] == "GET" or operation[2].endswith("favourite"):
            continue
        async with stored.nothing_changes():
            answer = await call(client, operation, listing["id"], stranger)
        wanted = (404, "listing_not_found") if operation[2].endswith(other_kind) else (403, "not_your_listing")
        if operation[2] in JUDGED:
            wanted = (403, "forbidden")
        assert (answer.status_code, answer.json()["code"]) == wanted, operation


async def test_Z02_moderators_read_everything_and_edit_nothing_of_others(client: AsyncClient, world: World) -> None:
    owner, moderator = await world.person(), await world.person(Role.MODERATOR)
    draft = await world.draft(owner)
    url = f"{API}/vehicles/{draft['id']}"
    assert (await client.get(url, headers=moderator.headers)).status_code == 200
    async with stored.nothing_changes():
        edited = await client.patch(url, json={"title": "Better"}, headers={**moderator.headers, "If-Match": "*"})
        deleted = await client.delete(url, headers=moderator.headers)
        submitted = await client.post(f"{API}/listings/{draft['id']}/submit", headers=moderator.headers)
    assert [answer.json()["code"] for answer in (edited, deleted, submitted)] == ["not_your_listing"] * 3


async def test_Z02_ids_in_queries_and_cursors_open_nothing(client: AsyncClient, world: World) -> None:
    owner, stranger = await world.person(), await world.person()
    for _ in range(2):
        await world.draft(owner)
    for path in ("listings", "vehicles", "properties"):
        found = await client.get(f"{API}/{path}", params={"owner_id": str(owner.id)}, headers=stranger.headers)
        assert (found.json()["items"], found.json()["total"]["value"]) == ([], 0)
    foreign = await client.get(f"{API}/users/me/listings", params={"owner_id": str(owner.id)}, headers=stranger.headers)
    assert foreign.status_code == 422
    mine = await client.get(f"{API}/users/me/listings", params={"limit": 1}, headers=owner.headers)
    stolen = {"limit": 1, "cursor": mine.json()["next_cursor"]}
    answer = await client.get(f"{API}/users/me/listings", params=stolen, headers=stranger.headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_cursor")


async def test_Z02_lists_of_ones_own_hold_nothing_of_others(client: AsyncClient, world: World) -> None:
    owner, stranger = await world.person(), await world.person()
    draft = await world.draft(owner)
    published = await world.published(owner)
    await client.put(f"{API}/listings/{published['id']}/favourite", headers=owner.headers)
    own = await client.get(f"{API}/users/me/listings", headers=owner.headers)
    assert [item["id"] for item in own.json()["items"]] == [published["id"], draft["id"]]
    for path in ("users/me/listings", "users/me/favourites"):
        answer = await client.get(f"{API}/{path}", headers=stranger.headers)
        assert answer.json()["items"] == []


ASSIGNED: dict[str, Any] = {
    "id": str(uuid4()),
    "owner_id": str(uuid4()),
    "owner": {"id": str(uuid4())},
    "kind": "property",
    "status": "published",
    "is_public": True,
    "version": 99,
    "completeness": 100,
    "published_at": "2026-01-01T00:00:00Z",
    "expires_at": "2099-01-01T00:00:00Z",
    "created_at": "2020-01-01T00:00:00Z",
    "updated_at": "2020-01-01T00:00:00Z",
    "price_changed_at": "2020-01-01T00:00:00Z",
    "closed_at": "2020-01-01T00:00:00Z",
    "price_amount": 1,
    "close_price": {"amount": 1, "currency": "ETB"},
    "hold_reasons": [],
    "decision": None,
    "photos": [],
    "is_trusted": True,
    "is_edited_since_review": True,
    "status_before_suspension": "published",
    "public_latitude": 1.5,
    "city_id": 1,
    "search": "'free':1A",
    "moderator_id": str(uuid4()),
    "__proto__": {},
}
NESTED = {"listing_id": str(uuid4()), "mileage_km": 1, "title_number_hash": "x", "association_fee_amount": 1}


async def assert_field_refused(
    client: AsyncClient, person: Person, request: tuple[str, str], body: Any, pointer: str
) -> None:
    answer = await client.request(*request, json=body, headers={**person.headers, "If-Match": "*"})
    assert answer.status_code == 422, (request, body)
    assert pointer in [field["pointer"] for field in answer.json()["errors"]], (request, body)


@pytest.mark.parametrize("kind", ["vehicle", "property"])
async def test_Z03_a_listing_takes_no_field_that_is_not_its_owners_to_say(
    client: AsyncClient, world: World, kind: str
) -> None:
    owner = await world.person()
    data = vehicle_data() if kind == "vehicle" else property_data()
    collection = f"{API}/{'vehicles' if kind == 'vehicle' else 'properties'}"
    draft = await world.draft(owner, data)
    one = f"{collection}/{draft['id']}"
    async with stored.nothing_changes():
        for name, value in ASSIGNED.items():
            await assert_field_refused(client, owner, ("POST", collection), data | {name: value}, f"/{name}")
            await assert_field_refused(client, owner, ("PATCH", one), {name: value}, f"/{name}")
        for name, value in NESTED.items():
            for request in (("POST", collection), ("PATCH", one)):
                base = data if request[0] == "POST" else {}
                nested = base | {kind: {name: value}}
                await assert_field_refused(client, owner, request, nested, f"/{kind}/{name}")
        for part in ("location", "price"):
            inner = {"public_latitude": 1.0, **data[part]}
            await assert_field_refused(client, owner, ("PATCH", one), {part: inner}, f"/{part}/public_latitude")
        other = "property" if kind == "vehicle" else "vehicle"
        await assert_field_refused(client, owner, ("PATCH", one), {other: {}}, f"/{other}")


async def test_Z03_actions_take_no_fields_of_the_listing(client: AsyncClient, world: World) -> None:
    owner, moderator = await world.person(), await world.person(Role.MODERATOR)
    listing = await world.published(owner)
    url = f"{API}/listings/{listing['id']}"
    async with stored.nothing_changes():
        for name, value in ASSIGNED.items():
            await assert_field_refused(client, owner, ("POST", f"{url}/close"), {name: value}, f"/{name}")
            judged = {"reason": "As agreed.", name: value}
            await assert_field_refused(client, moderator, ("POST", f"{url}/suspend"), judged, f"/{name}")
    before = await stored.row_of(listing["id"])
    paused = await client.post(f"{url}/pause", json=ASSIGNED, headers=owner.headers)
    assert paused.status_code == 200
    after = await stored.row_of(listing["id"])
    assert {name for name in before if before[name] != after[name]} == {
        "status", "is_public", "version", "updated_at", "hold_reasons", "held_at", "moved_at", "timer_at",
    }  # fmt: skip


PERSONAL = {
    "id": str(uuid4()),
    "role": "admin",
    "status": "active",
    "is_trusted": True,
    "email_verified": True,
    "email_verified_at": "2026-01-01T00:00:00Z",
    "email_key": "other@example.com",
    "created_at": "2020-01-01T00:00:00Z",
    "password_hash": "x",
}


async def test_Z03_a_profile_takes_no_rights(client: AsyncClient, world: World) -> None:
    person = await world.person()
    account = {"full_name": "Abel", "email": "abel@example.com", "password": "brown-hyena-41-tej"}
    async with stored.nothing_changes():
        for name, value in PERSONAL.items():
            await assert_field_refused(client, person, ("PATCH", f"{API}/users/me"), {name: value}, f"/{name}")
            await assert_field_refused(
                client, person, ("POST", f"{API}/auth/register"), account | {name: value}, f"/{name}"
            )


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("verify-email", {"token": "x"}),
        ("resend-verification", {"email": "abel@example.com"}),
        ("forgot-password", {"email": "abel@example.com"}),
        ("reset-password", {"token": "x", "new_password": "striped-hyena-42"}),
        ("change-password", {"current_password": "brown-hyena-41-tej", "new_password": "striped-hyena-42"}),
    ],
)
async def test_Z03_what_shows_who_one_is_says_no_more(
    client: AsyncClient, world: World, path: str, body: dict[str, str]
) -> None:
    person, other = await world.person(email="abel@example.com"), await world.person()
    named = PERSONAL | {"user_id": str(other.id), "session_id": str(uuid4()), "purpose": "reset_password"}
    async with stored.nothing_changes():
        for name, value in named.items():
            await assert_field_refused(client, person, ("POST", f"{API}/auth/{path}"), body | {name: value}, f"/{name}")


# Adding a key to what everybody reads is a decision: make it here too.
KEYS: dict[str, list[str]] = json.loads((Path(__file__).parent / "golden" / "listing_keys.json").read_text())
PRIVATE = ("external_id", "hold_reasons", "decision", "close_price")
VIN = "JTDKB20U093123456"
TITLE_NUMBER = "AA-000-77-12345"


async def test_Z04_what_each_role_reads_of_a_listing(client: AsyncClient, world: World, journey: Journey) -> None:
    vehicle = vehicle_data()["vehicle"] | {"vin": VIN}
    home = property_data()["property"] | {"title_number": TITLE_NUMBER}
    stranger, admin = await world.person(), await world.person(Role.ADMIN)
    cars = [await world.published(journey.owner, vehicle_data(external_id="stock-1", vehicle=vehicle))]
    homes = [await world.published(journey.owner, property_data(external_id="flat-1", property=home))]
    for listing in (*cars, *homes):
        for action in ("suspend", "restore"):
            assert (await journey.take(action, listing["id"])).is_done
        privately = {str(person.id) for person in (journey.owner, journey.first, admin)}
        for person in (None, stranger, journey.owner, journey.first, admin):
            answer = await client.get(f"{API}/listings/{listing['id']}", headers=person.headers if person else {})
            body, details = answer.json(), answer.json()[listing["kind"]]
            assert list(body) == [*KEYS["listing"], listing["kind"]]
            assert (list(body["owner"]), list(body["location"])) == (KEYS["owner"], KEYS["location"])
            assert list(details) == KEYS[listing["kind"]]
            is_private = person is not None and str(person.id) in privately
            assert [body[name] is not None for name in PRIVATE] == [is_private, is_private, is_private, False]
            assert (VIN in answer.text) == (is_private and listing["kind"] == "vehicle")
            rounded = listing["kind"] == "property" and not is_private
            pin = (body["location"]["latitude"], body["location"]["longitude"])
            assert pin == ((8.99, 38.79) if rounded else (8.991234, 38.791234))
            assert not {TITLE_NUMBER, journey.owner.email, str(journey.first.id)} & set(answer.text.split('"'))


async def test_Z04_searches_show_owners_no_more_than_anybody(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    vehicle = vehicle_data()["vehicle"] | {"vin": VIN}
    await world.published(owner, vehicle_data(external_id="stock-1", vehicle=vehicle))
    await world.published(owner, property_data())
    anonymous = await client.get(f"{API}/listings")
    signed_in = await client.get(f"{API}/listings", headers=owner.headers)
    assert signed_in.json() == anonymous.json()
    assert VIN not in anonymous.text
    assert [item["external_id"] for item in anonymous.json()["items"]] == [None, None]


async def test_Z04_a_favourite_shows_no_more_than_the_listing(client: AsyncClient, world: World) -> None:
    owner, buyer = await world.person(), await world.person()
    home = await world.published(owner, property_data(external_id="flat-1"))
    await client.put(f"{API}/listings/{home['id']}/favourite", headers=buyer.headers)
    kept = (await client.get(f"{API}/users/me/favourites", headers=buyer.headers)).json()["items"]
    assert kept == [(await client.get(f"{API}/listings/{home['id']}")).json()]


@pytest.mark.parametrize("state", [state for state in ROUTES if state not in PUBLIC])
async def test_Z09_what_is_not_public_is_invisible_everywhere(
    client: AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch, journey: Journey, state: str
) -> None:
    monkeypatch.setattr(config.settings().listings, "review", "manual")
    buyer, listing_id = await world.person(), await journey.start(state)
    listing = await journey.seen(listing_id)
    assert listing["status"] == state
    async with database.transaction() as session:
        session.add(Favourite(user_id=buyer.id, listing_id=UUID(listing_id), created_at=clock.now()))
    of_kind = "properties" if listing["kind"] == "property" else "vehicles"
    for headers in ({}, buyer.headers):
        for path in ("listings", of_kind):
            for query in ({}, {"q": listing["title"].split()[0]}, {"owner_id": str(journey.owner.id)}):
                found = await client.get(f"{API}/{path}", params=query, headers=headers)
                assert (found.json()["items"], found.json()["total"]["value"]) == ([], 0)
        for path in (f"listings/{listing_id}", f"{of_kind}/{listing_id}", f"listings/{listing_id}/history"):
            assert (await client.get(f"{API}/{path}", headers=headers)).status_code == 404
    favourites = await client.get(f"{API}/users/me/favourites", headers=buyer.headers)
    assert favourites.json() == {"items": [], "next_cursor": None}
    for path in ("vehicles/makes", "vehicles/makes/Toyota/models"):
        assert (await client.get(f"{API}/{path}")).json() == {"items": []}
    for person in (journey.owner, journey.first):
        for path in (f"listings/{listing_id}", f"{of_kind}/{listing_id}", f"listings/{listing_id}/history"):
            assert (await client.get(f"{API}/{path}", headers=person.headers)).status_code == 200


@pytest.fixture(name="journey")
async def _journey(client: AsyncClient, world: World) -> Journey:
    return await journey(client, world)
