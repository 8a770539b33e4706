"""Changing a password that one knows."""

import asyncio
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from httpx import AsyncClient

from src.auth.one_time_tokens import Purpose
from src.core import config
from src.users.models import UserStatus
from tests.auth.mailed import mint
from tests.auth.stored import audited, facts, sessions_of
from tests.factories import PASSWORD, Person, World

CHANGE, RESET, LOGIN = (f"/api/v1/auth/{name}" for name in ("change-password", "reset-password", "login"))
NEW = "striped-hyena-42-tej"


async def change(client: AsyncClient, person: Person, current: Any = PASSWORD, new: Any = NEW) -> httpx.Response:
    body = {"current_password": current, "new_password": new}
    return await client.post(CHANGE, json=body, headers=person.headers)


async def opens(client: AsyncClient, person: Person, password: str) -> bool:
    """Whether this password signs the person in."""
    answer = await client.post(LOGIN, data={"username": person.email, "password": password})
    return answer.status_code == 200


async def status_of(client: AsyncClient, person: Person) -> tuple[int, int]:
    """What the access token and the refresh token of a session still bring."""
    me = await client.get("/api/v1/auth/me", headers=person.headers)
    refreshed = await client.post("/api/v1/auth/refresh", json={"refresh_token": person.refresh_token})
    return me.status_code, refreshed.status_code


async def test_A08_a_change_ends_the_other_sessions_and_keeps_this_one(
    committed: None, client: AsyncClient, world: World
) -> None:
    person, neighbour = await world.person(), await world.person()
    phone = await world.sign_in(person.id, person.email)
    answer = await change(client, phone)
    assert (answer.status_code, answer.content) == (204, b"")
    assert [await status_of(client, someone) for someone in (person, phone, neighbour)] == [
        (401, 401), (200, 200), (200, 200),
    ]  # fmt: skip
    first, second = await sessions_of(person.id)
    assert (first.ended_at is not None, second.ended_at) == (True, None)
    assert await facts("session.ended") == [{"user_id": str(person.id), "session_id": str(first.id)}]


async def test_a_change_replaces_the_password_and_leaves_a_trace(client: AsyncClient, world: World) -> None:
    person = await world.person()
    assert (await change(client, person)).status_code == 204
    assert [await opens(client, person, password) for password in (person.password, NEW)] == [False, True]
    assert await facts("user.password_changed") == [{"user_id": str(person.id)}]
    [entry] = await audited("auth.password_changed")
    assert (entry.actor_id, entry.subject_id, entry.ip, entry.data) == (person.id, person.id, "127.0.0.1", {})


async def test_a_reset_that_was_asked_for_before_is_void(client: AsyncClient, world: World) -> None:
    person = await world.person()
    token, verification = await mint(person.id), await mint(person.id, Purpose.VERIFY_EMAIL)
    assert (await change(client, person)).status_code == 204
    answer = await client.post(RESET, json={"token": token, "new_password": "spotted-hyena-43"})
    assert answer.json()["code"] == "invalid_one_time_token"
    assert (await client.post("/api/v1/auth/verify-email", json={"token": verification})).status_code == 204
    assert await opens(client, person, NEW)


@pytest.mark.parametrize(
    ("current", "new", "refusal"),
    [
        ("wrong-hyena-41", NEW, ("/current_password", "wrong_current_password")),
        ("", NEW, ("/current_password", "wrong_current_password")),
        ("x" * 1025, NEW, ("/current_password", "too_long")),
        (None, NEW, ("/current_password", "string_type")),
        (PASSWORD, PASSWORD, ("/new_password", "password_unchanged")),
        (PASSWORD, PASSWORD.replace("b", "ｂ"), ("/new_password", "password_unchanged")),
        (PASSWORD, "Password1", ("/new_password", "weak_password")),
        (PASSWORD, "7 chars", ("/new_password", "too_short")),
        (PASSWORD, "x" * 257, ("/new_password", "too_long")),
        (PASSWORD, "nul\x00nul\x00nul", ("/new_password", "unsafe_text")),
        (PASSWORD, None, ("/new_password", "string_type")),
    ],
)
async def test_a_refused_change_names_the_field_and_changes_nothing(
    client: AsyncClient, world: World, current: Any, new: Any, refusal: tuple[str, str]
) -> None:
    person = await world.person()
    phone = await world.sign_in(person.id, person.email)
    answer = await change(client, phone, current, new)
    [error] = answer.json()["errors"]
    assert (answer.status_code, error["in"], error["pointer"], error["code"]) == (422, "body", *refusal)
    assert await opens(client, person, person.password)
    assert await facts("user.password_changed") == []
    assert [opened.ended_at for opened in await sessions_of(person.id)] == [None] * 3
    assert len(await audited("auth.password_change_failed")) == ("wrong_current_password" in refusal)


async def test_nobody_changes_a_password_without_signing_in(client: AsyncClient, world: World) -> None:
    person = await world.person()
    body = {"current_password": person.password, "new_password": NEW}
    assert (await client.post(CHANGE, json=body)).status_code == 401
    assert await opens(client, person, person.password)


async def test_another_users_password_changes_nothing(client: AsyncClient, world: World) -> None:
    person, thief = await world.person(), await world.person()
    assert (await change(client, thief)).status_code == 204
    assert (await change(client, thief, PASSWORD, "spotted-hyena-43")).status_code == 422
    assert await opens(client, person, person.password)


async def test_a_suspended_user_changes_their_password(client: AsyncClient, world: World) -> None:
    person = await world.person(status=UserStatus.SUSPENDED)
    assert (await change(client, person)).status_code == 204
    assert await opens(client, person, NEW)


async def test_A10_a_stolen_token_does_not_serve_to_guess_the_password(
    app: FastAPI, client: AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim, neighbour = await world.person(), await world.person()
    monkeypatch.setattr(config.settings().auth, "login_limit", "3/minute")
    assert [(await change(client, victim, "wrong-hyena-41")).status_code for _ in range(3)] == [422] * 3
    transport = httpx.ASGITransport(app, client=("10.1.2.3", 50000))
    async with AsyncClient(transport=transport, base_url="http://test") as elsewhere:
        refused = await change(elsewhere, victim)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert (await change(client, neighbour)).status_code == 204
    assert await opens(client, victim, victim.password), "the victim signs in all the same"


async def test_of_ten_changes_at_once_one_is_made(committed: None, client: AsyncClient, world: World) -> None:
    person = await world.person()
    new = [f"{NEW}-{number}" for number in range(10)]
    answers = await asyncio.gather(*(change(client, person, PASSWORD, password) for password in new))
    statuses = [answer.status_code for answer in answers]
    assert sorted(statuses) == [204] + [422] * 9
    [winner] = [password for password, status in zip(new, statuses, strict=True) if status == 204]
    assert await opens(client, person, winner)
    assert len(await facts("user.password_changed")) == 1


async def test_A08_a_thief_who_changes_the_password_during_a_reset_does_not_keep_it(
    committed: None, client: AsyncClient, world: World
) -> None:
    person = await world.person()
    body = {"token": await mint(person.id), "new_password": "spotted-hyena-43"}
    changed, done = await asyncio.gather(change(client, person), client.post(RESET, json=body))
    # Whichever came first: the reset stands, or was void since the password had been changed already.
    assert (changed.status_code, done.status_code) in {(422, 204), (204, 422), (204, 204)}
    wanted = "spotted-hyena-43" if done.status_code == 204 else NEW
    assert await opens(client, person, wanted)
    assert len(await facts("user.password_changed")) == [changed.status_code, done.status_code].count(204)
