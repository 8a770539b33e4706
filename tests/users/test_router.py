from typing import Any
from uuid import uuid4

import pytest
from httpx import AsyncClient

from src.core.security import Role
from src.users.models import UserStatus
from tests.auth.stored import change_user, facts
from tests.factories import Person, World

ME = "/api/v1/users/me"
PROFILE = {
    "id",
    "full_name",
    "email",
    "email_verified",
    "phone",
    "about",
    "language",
    "role",
    "status",
    "created_at",
    "updated_at",
}


async def profile(client: AsyncClient, person: Person) -> dict[str, Any]:
    answer = await client.get(ME, headers=person.headers)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_my_profile_is_the_same_under_both_addresses(client: AsyncClient, world: World) -> None:
    person = await world.person()
    me = await profile(client, person)
    assert me.keys() == PROFILE
    assert (me["id"], me["email"], me["email_verified"]) == (str(person.id), person.email, False)
    answer = await client.get("/api/v1/auth/me", headers=person.headers)
    assert answer.json() == me
    assert answer.headers["Cache-Control"] == "private, no-store"


@pytest.mark.parametrize(
    ("field", "given", "stored"),
    [
        ("full_name", "  ሀና ተስፋዬ ", "ሀና ተስፋዬ"),
        ("phone", "0911 23 45 67", "+251911234567"),
        ("phone", "+251-911-234567", "+251911234567"),
        ("phone", "+1 650 253 0000", "+16502530000"),
        ("about", "Selling my own cars since 2015.\nእንኳን ደህና መጡ 🚗", "Selling my own cars since 2015.\nእንኳን ደህና መጡ 🚗"),
        ("about", "", ""),
        ("language", "am", "am"),
    ],
)
async def test_each_field_is_changed_alone(
    client: AsyncClient, world: World, field: str, given: str, stored: str
) -> None:
    person = await world.person()
    before = await profile(client, person)
    answer = await client.patch(ME, headers=person.headers, json={field: given})
    assert answer.status_code == 200
    after = answer.json()
    assert after == await profile(client, person)
    assert after["updated_at"] > before["updated_at"]
    assert after == before | {field: stored, "updated_at": after["updated_at"]}
    assert await facts("user.edited") == [{"user_id": str(person.id), "fields": [field]}]


@pytest.mark.parametrize("field", ["phone", "about"])
async def test_what_may_be_empty_is_cleared_with_null(client: AsyncClient, world: World, field: str) -> None:
    person = await world.person()
    await client.patch(ME, headers=person.headers, json={"phone": "0911234567", "about": "Hello."})
    answer = await client.patch(ME, headers=person.headers, json={field: None})
    assert answer.status_code == 200
    kept = {"phone": "+251911234567", "about": "Hello."}
    assert {name: answer.json()[name] for name in kept} == kept | {field: None}


@pytest.mark.parametrize("changes", [{}, {"full_name": "Hana Tesfaye", "language": "en", "phone": None}])
async def test_changing_nothing_is_no_edit(client: AsyncClient, world: World, changes: dict[str, Any]) -> None:
    person = await world.person()
    before = await profile(client, person)
    answer = await client.patch(ME, headers=person.headers, json=changes)
    assert (answer.status_code, answer.json()) == (200, before)
    assert await facts("user.edited") == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("full_name", None),
        ("full_name", ""),
        ("full_name", "   "),
        ("full_name", "x" * 121),
        ("full_name", "two\nlines"),
        ("full_name", {"first": "Hana"}),
        ("language", None),
        ("language", "fr"),
        ("language", "EN"),
        ("phone", "12"),
        ("phone", "0911"),
        ("phone", "call me"),
        ("phone", "+999911234567"),
        ("phone", "9" * 100_000),
        ("phone", 251911234567),
        ("about", "x" * 2001),
        ("about", "nul\x00"),
        ("about", 7),
    ],
)
async def test_a_bad_value_is_refused_by_name(client: AsyncClient, world: World, field: str, value: Any) -> None:
    person = await world.person()
    before = await profile(client, person)
    good = {"about": "Changed."} if field != "about" else {"full_name": "Changed"}
    answer = await client.patch(ME, headers=person.headers, json=good | {field: value})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
    assert {error["pointer"] for error in answer.json()["errors"]} == {f"/{field}"}
    assert await profile(client, person) == before
    assert await facts("user.edited") == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("role", "admin"),
        ("status", "active"),
        ("id", "01a1fc10-b727-7426-85ce-320caeac1522"),
        ("is_trusted", True),
        ("email", "other@example.com"),
        ("email_key", "other@example.com"),
        ("email_verified", True),
        ("email_verified_at", "2026-11-21T08:30:00Z"),
        ("created_at", "2020-01-01T00:00:00Z"),
        ("password", "brown-hyena-41-tej"),
    ],
)
async def test_nobody_promotes_themselves(client: AsyncClient, world: World, field: str, value: Any) -> None:
    person = await world.person()
    before = await profile(client, person)
    answer = await client.patch(ME, headers=person.headers, json={"about": "Changed.", field: value})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [f"/{field}"]
    assert await profile(client, person) == before


async def test_what_an_edit_leaves_out_has_no_default(client: AsyncClient) -> None:
    schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]
    update = schemas["UserUpdate"]
    assert "required" not in update
    assert [name for name, field in update["properties"].items() if "default" in field] == []
    assert [name for name, field in update["properties"].items() if "anyOf" in field] == ["phone", "about"]


@pytest.mark.parametrize("method", ["GET", "PATCH"])
async def test_a_profile_is_for_its_owner(client: AsyncClient, method: str) -> None:
    answer = await client.request(method, ME, json={"about": "x"} if method == "PATCH" else None)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_a_card_shows_what_everybody_may_see(client: AsyncClient, world: World) -> None:
    person = await world.person(role=Role.BROKER)
    await client.patch(ME, headers=person.headers, json={"phone": "0911234567", "about": "Hello."})
    me = await profile(client, person)
    answer = await client.get(f"/api/v1/users/{person.id}")
    assert answer.status_code == 200
    assert answer.json() == {
        "id": str(person.id),
        "full_name": "Hana Tesfaye",
        "role": "broker",
        "about": "Hello.",
        "member_since": me["created_at"],
    }
    other = await world.person()
    for headers in (person.headers, other.headers):
        assert (await client.get(f"/api/v1/users/{person.id}", headers=headers)).json() == answer.json()


async def test_who_never_was_and_who_has_left_are_not_there(client: AsyncClient, world: World) -> None:
    gone = await world.person()
    await change_user(gone.id, status=UserStatus.DELETED)
    for user_id in (gone.id, uuid4()):
        answer = await client.get(f"/api/v1/users/{user_id}")
        assert (answer.status_code, answer.json()["code"]) == (404, "user_not_found")


@pytest.mark.parametrize("user_id", ["7", "me2", "' OR 1=1 --", "0" * 40])
async def test_what_is_no_id_is_invalid(client: AsyncClient, user_id: str) -> None:
    answer = await client.get(f"/api/v1/users/{user_id}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/user_id"
