"""Choosing a new password with what was mailed."""

import asyncio
from datetime import timedelta
from typing import Any

import bcrypt
import httpx
import pytest
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncEngine

from src.auth.one_time_tokens import Purpose
from src.core import clock, config
from src.users.models import UserStatus
from tests.auth.mailed import mint
from tests.auth.stored import audited, change_user, facts, sessions_of
from tests.factories import Person, World

RESET, LOGIN = "/api/v1/auth/reset-password", "/api/v1/auth/login"
NEW = "striped-hyena-42-tej"


async def reset(client: AsyncClient, token: Any, password: Any = NEW) -> httpx.Response:
    return await client.post(RESET, json={"token": token, "new_password": password})


async def log_in(client: AsyncClient, person: Person, password: str) -> httpx.Response:
    return await client.post(LOGIN, data={"username": person.email, "password": password})


async def is_signed_in(client: AsyncClient, access_token: str, refresh_token: str) -> bool:
    """Whether any of the pair still serves."""
    me = await client.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {access_token}"})
    refreshed = await client.post("/api/v1/auth/refresh", json={"refresh_token": refresh_token})
    return (me.status_code, refreshed.status_code) != (401, 401)


async def test_a_mailed_token_gives_a_new_password_and_verifies_the_address(client: AsyncClient, world: World) -> None:
    person = await world.person()
    answer = await reset(client, await mint(person.id))
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await log_in(client, person, person.password)).status_code == 401
    signed_in = await log_in(client, person, NEW)
    assert signed_in.status_code == 200
    headers = {"Authorization": f"Bearer {signed_in.json()['access_token']}"}
    assert (await client.get("/api/v1/auth/me", headers=headers)).json()["email_verified"]
    for name in ("user.password_changed", "user.email_verified"):
        assert await facts(name) == [{"user_id": str(person.id)}]
    [entry] = await audited("auth.password_reset")
    assert (entry.actor_id, entry.subject_id, entry.ip, entry.data) == (person.id, person.id, "127.0.0.1", {})


async def test_A08_a_reset_ends_every_session_at_once(committed: None, client: AsyncClient, world: World) -> None:
    person, neighbour = await world.person(), await world.person()
    phone = await world.sign_in(person.id, person.email)
    assert (await reset(client, await mint(person.id))).status_code == 204
    for ended in (person, phone):
        assert not await is_signed_in(client, ended.access_token, ended.refresh_token)
    assert await is_signed_in(client, neighbour.access_token, neighbour.refresh_token)
    assert all(opened.ended_at for opened in await sessions_of(person.id))
    assert len(await facts("session.ended")) == 2


async def test_a_suspended_user_resets_and_stays_suspended(client: AsyncClient, world: World) -> None:
    person = await world.person(status=UserStatus.SUSPENDED)
    assert (await reset(client, await mint(person.id))).status_code == 204
    tokens = (await log_in(client, person, NEW)).json()
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    edited = await client.patch("/api/v1/users/me", json={"about": "x"}, headers=headers)
    assert (edited.status_code, edited.json()["code"]) == (403, "account_suspended")


async def test_A11_every_bad_token_gets_the_same_problem_and_changes_nothing(client: AsyncClient, world: World) -> None:
    person, used, late, gone = [await world.person() for _ in range(4)]
    tokens = [await mint(someone.id) for someone in (used, late, gone)]
    clock.advance(timedelta(minutes=20))
    await reset(client, await mint(used.id))
    await change_user(gone.id, status=UserStatus.DELETED)
    clock.advance(timedelta(minutes=10))
    wrong_purpose = await mint(person.id, Purpose.VERIFY_EMAIL)
    answers = [await reset(client, token) for token in [*tokens, "A" * 43, "x", wrong_purpose]]
    problems = [answer.json() | {"request_id": ""} for answer in answers]
    assert {answer.status_code for answer in answers} == {422}
    assert problems == problems[:1] * len(problems)
    assert (problems[0]["code"], problems[0]["errors"][0]["pointer"]) == ("invalid_one_time_token", "/token")
    assert await facts("user.password_changed") == [{"user_id": str(used.id)}]
    assert (await log_in(client, person, person.password)).status_code == 200
    assert (await log_in(client, gone, NEW)).status_code == 401


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("7 chars", "too_short"),
        ("x" * 257, "too_long"),
        ("nul\x00nul\x00nul", "unsafe_text"),
        ("Password1", "weak_password"),
    ],
)
async def test_A12_a_refused_password_leaves_the_token_good(
    client: AsyncClient, world: World, password: str, code: str
) -> None:
    person = await world.person()
    token = await mint(person.id)
    answer = await reset(client, token, password)
    [error] = answer.json()["errors"]
    assert (answer.status_code, error["pointer"], error["code"]) == (422, "/new_password", code)
    assert (await log_in(client, person, person.password)).status_code == 200
    assert (await reset(client, token)).status_code == 204


async def test_A11_a_guessed_token_costs_no_hash_and_guessing_is_stopped(
    client: AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await world.person()
    monkeypatch.setattr(config.settings().auth, "login_address_limit", "3/minute")
    monkeypatch.delattr(bcrypt, "hashpw")
    answers = [await reset(client, token) for token in ("x", "y", "z", await mint(person.id))]
    assert [answer.status_code for answer in answers] == [422, 422, 422, 429]
    assert await facts("user.password_changed") == []


async def test_no_connection_is_held_while_the_hash_runs(
    committed: None, client: AsyncClient, world: World, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    person, hashpw, held = await world.person(), bcrypt.hashpw, []

    def hashing(password: bytes, salt: bytes) -> bytes:
        held.append(engine.pool.checkedout())  # type: ignore[attr-defined]
        return hashpw(password, salt)

    monkeypatch.setattr(bcrypt, "hashpw", hashing)
    assert (await reset(client, await mint(person.id))).status_code == 204
    assert held == [0]


async def test_A11_of_twenty_resets_with_one_token_one_succeeds(
    committed: None, client: AsyncClient, world: World
) -> None:
    person = await world.person()
    token, passwords = await mint(person.id), [f"{NEW}-{number}" for number in range(20)]
    answers = await asyncio.gather(*(reset(client, token, password) for password in passwords))
    statuses = [answer.status_code for answer in answers]
    assert sorted(statuses) == [204] + [422] * 19
    assert len(await facts("user.password_changed")) == 1
    [winner] = [password for password, status in zip(passwords, statuses, strict=True) if status == 204]
    assert (await log_in(client, person, winner)).status_code == 200


async def test_A11_of_resets_with_different_tokens_one_succeeds(
    committed: None, client: AsyncClient, world: World
) -> None:
    person = await world.person()
    tokens = [await mint(person.id) for _ in range(5)]
    answers = await asyncio.gather(*(reset(client, token) for token in tokens))
    assert sorted(answer.status_code for answer in answers) == [204] + [422] * 4
    assert len(await facts("user.password_changed")) == 1


async def test_A08_no_session_of_the_old_password_outlives_a_reset(
    committed: None, client: AsyncClient, world: World
) -> None:
    person = await world.person()
    token = await mint(person.id)
    answer, *logins = await asyncio.gather(
        reset(client, token), *(log_in(client, person, person.password) for _ in range(20))
    )
    assert answer.status_code == 204
    assert {login.status_code for login in logins} <= {200, 401}
    for login in logins:
        if login.status_code == 200:
            assert not await is_signed_in(client, login.json()["access_token"], login.json()["refresh_token"])
    assert all(opened.ended_at for opened in await sessions_of(person.id))
