from datetime import timedelta
from uuid import uuid4

import pytest
from httpx import AsyncClient

from src.core import clock
from src.core.security import Role, Standing, issue_access_token
from tests.auth.stored import audited, facts, sessions_of
from tests.factories import Person, World

SESSIONS = "/api/v1/auth/sessions"
NOBODYS = "01a1fc10-b727-7426-85ce-320caeac1522"


async def status_of(client: AsyncClient, person: Person) -> int:
    return (await client.get("/api/v1/auth/me", headers=person.headers)).status_code


async def can_refresh(client: AsyncClient, person: Person) -> bool:
    answer = await client.post("/api/v1/auth/refresh", json={"refresh_token": person.refresh_token})
    return answer.status_code == 200


async def test_sessions_are_listed_newest_first_and_say_which_is_in_use(client: AsyncClient, world: World) -> None:
    person, _ = await world.person(), await world.person()
    phone = await world.sign_in(person.id, person.email)
    first, second = await sessions_of(person.id)
    listed = (await client.get(SESSIONS, headers=phone.headers)).json()["items"]
    assert [(item["id"], item["is_current"]) for item in listed] == [(str(second.id), True), (str(first.id), False)]
    assert listed[0].keys() == {
        "id",
        "created_at",
        "refreshed_at",
        "expires_at",
        "user_agent",
        "ip",
        "is_current",
    }
    seen_from_first = (await client.get(SESSIONS, headers=person.headers)).json()["items"]
    assert [item["is_current"] for item in seen_from_first] == [False, True]


async def test_A08_signing_out_ends_this_session_at_once_and_no_other(
    committed: None, client: AsyncClient, world: World
) -> None:
    person = await world.person()
    phone = await world.sign_in(person.id, person.email)
    assert await status_of(client, person) == 200

    assert (await client.post("/api/v1/auth/logout", headers=person.headers)).status_code == 204

    assert await status_of(client, person) == 401
    assert not await can_refresh(client, person)
    assert (await client.post("/api/v1/auth/logout", headers=person.headers)).status_code == 401
    assert await status_of(client, phone) == 200
    assert await can_refresh(client, phone)
    ended, live = await sessions_of(person.id)
    assert (ended.ended_at is not None, live.ended_at) == (True, None)
    assert await facts("session.ended") == [{"user_id": str(person.id), "session_id": str(ended.id)}]
    assert [(entry.actor_id, entry.subject_id) for entry in await audited("auth.session_ended")] == [
        (person.id, ended.id)
    ]
    assert await facts("session.reused") == []


async def test_A08_signing_out_everywhere_ends_every_session_of_the_caller_alone(
    committed: None, client: AsyncClient, world: World
) -> None:
    person, stranger = await world.person(), await world.person()
    phone = await world.sign_in(person.id, person.email)

    assert (await client.delete(SESSIONS, headers=phone.headers)).status_code == 204

    for ended in (person, phone):
        assert await status_of(client, ended) == 401
        assert not await can_refresh(client, ended)
    assert await status_of(client, stranger) == 200
    assert await can_refresh(client, stranger)
    assert len(await facts("session.ended")) == 2
    again = await world.sign_in(person.id, person.email)
    assert await status_of(client, again) == 200
    assert len((await client.get(SESSIONS, headers=again.headers)).json()["items"]) == 1


async def test_A08_signing_out_everywhere_voids_the_last_token_of_an_expired_session_too(
    committed: None, client: AsyncClient, world: World
) -> None:
    person = await world.person()
    clock.advance(timedelta(days=7))
    opened, *_ = await sessions_of(person.id)
    token, _ = issue_access_token(person.id, opened.id, Role.USER, Standing.GOOD)
    late = Person(person.id, person.email, person.password, {"Authorization": f"Bearer {token}"}, "")
    phone = await world.sign_in(person.id, person.email)
    assert await status_of(client, late) == 200

    assert (await client.delete(SESSIONS, headers=phone.headers)).status_code == 204
    assert await status_of(client, late) == 401


async def test_A08_a_lost_phone_is_signed_out_from_another(committed: None, client: AsyncClient, world: World) -> None:
    person = await world.person()
    phone = await world.sign_in(person.id, person.email)
    lost = (await sessions_of(person.id))[1]

    assert (await client.delete(f"{SESSIONS}/{lost.id}", headers=person.headers)).status_code == 204

    assert await status_of(client, phone) == 401
    assert not await can_refresh(client, phone)
    assert await status_of(client, person) == 200
    again = await client.delete(f"{SESSIONS}/{lost.id}", headers=person.headers)
    assert (again.status_code, again.json()["code"]) == (404, "session_not_found")
    assert len(await facts("session.ended")) == 1


async def test_A08_a_token_issued_while_its_session_was_ending_is_refused(
    committed: None, client: AsyncClient, world: World
) -> None:
    person = await world.person()
    [opened] = await sessions_of(person.id)
    await client.post("/api/v1/auth/logout", headers=person.headers)
    clock.advance(timedelta(seconds=1))
    token, _ = issue_access_token(person.id, opened.id, Role.USER, Standing.GOOD)
    answer = await client.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")


async def test_nobody_ends_the_session_of_another(client: AsyncClient, world: World) -> None:
    person, attacker = await world.person(), await world.person(role=Role.ADMIN)
    [opened] = await sessions_of(person.id)
    for unknown in (opened.id, uuid4()):
        answer = await client.delete(f"{SESSIONS}/{unknown}", headers=attacker.headers)
        assert (answer.status_code, answer.json()["code"]) == (404, "session_not_found")
    assert (await sessions_of(person.id))[0].ended_at is None
    assert await status_of(client, person) == 200
    assert await can_refresh(client, person)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v1/auth/logout"),
        ("GET", "/api/v1/auth/me"),
        ("GET", SESSIONS),
        ("DELETE", SESSIONS),
        ("DELETE", f"{SESSIONS}/{NOBODYS}"),
    ],
)
async def test_sessions_are_for_who_is_signed_in(client: AsyncClient, method: str, path: str) -> None:
    answer = await client.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
