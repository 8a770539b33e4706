import pytest
from httpx import AsyncClient

from src.core import config
from src.core.security import Role
from src.users.models import UserStatus
from tests.auth.stored import change_user
from tests.factories import World, vehicle_data


async def test_a_suspended_user_signs_in_and_reads_but_does_not_act(client: AsyncClient, world: World) -> None:
    person = await world.person(status=UserStatus.SUSPENDED)
    for path in ("/api/v1/users/me", "/api/v1/auth/me", "/api/v1/auth/sessions"):
        assert (await client.get(path, headers=person.headers)).status_code == 200
    edit = await client.patch("/api/v1/users/me", headers=person.headers, json={"full_name": "Somebody Else"})
    draft = await client.post("/api/v1/vehicles", headers=person.headers, json=vehicle_data())
    for answer in (edit, draft):
        assert (answer.status_code, answer.json()["code"]) == (403, "account_suspended")
    me = (await client.get("/api/v1/users/me", headers=person.headers)).json()
    assert (me["full_name"], me["status"]) == ("Hana Tesfaye", "suspended")
    mine = (await client.get("/api/v1/users/me/listings", headers=person.headers)).json()
    assert mine["items"] == []
    assert (await client.post("/api/v1/auth/logout", headers=person.headers)).status_code == 204


async def test_a_suspended_moderator_sees_no_more_than_anybody(client: AsyncClient, world: World) -> None:
    draft = await world.draft(await world.person())
    moderator = await world.person(role=Role.MODERATOR)
    suspended = await world.person(role=Role.MODERATOR, status=UserStatus.SUSPENDED)
    path = f"/api/v1/listings/{draft['id']}"
    assert (await client.get(path, headers=moderator.headers)).status_code == 200
    assert (await client.get(path, headers=suspended.headers)).status_code == 404


async def test_a_suspension_shows_in_the_next_access_token(client: AsyncClient, world: World) -> None:
    person = await world.person()
    await change_user(person.id, status=UserStatus.SUSPENDED)
    pair = (await client.post("/api/v1/auth/refresh", json={"refresh_token": person.refresh_token})).json()
    headers = {"Authorization": f"Bearer {pair['access_token']}"}
    answer = await client.patch("/api/v1/users/me", headers=headers, json={"about": "x"})
    assert (answer.status_code, answer.json()["code"]) == (403, "account_suspended")


async def test_where_addresses_must_be_verified_an_unverified_user_drafts_and_does_not_publish(
    client: AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config.settings().auth, "require_verified", True)
    person = await world.person()
    listing = await world.draft(person)
    path = f"/api/v1/listings/{listing['id']}"
    answer = await client.post(f"{path}/submit", headers=person.headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "email_not_verified")
    assert (await client.get(path, headers=person.headers)).json()["status"] == "draft"
    assert (await client.get(path)).status_code == 404
    edit = await client.patch("/api/v1/users/me", headers=person.headers, json={"about": "New here."})
    assert edit.status_code == 200


async def test_what_a_role_does_not_allow_is_forbidden(client: AsyncClient, world: World) -> None:
    owner, buyer = await world.person(), await world.person()
    listing = await world.published(owner)
    for person in (owner, buyer):
        path = f"/api/v1/listings/{listing['id']}/suspend"
        answer = await client.post(path, headers=person.headers, json={"reason": "A rival."})
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert (await client.get(f"/api/v1/listings/{listing['id']}")).json()["status"] == "published"
