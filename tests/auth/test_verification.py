"""Verifying an address with what was mailed to it."""

import asyncio
from typing import Any

import httpx
import pytest
from httpx import AsyncClient

from src.auth.one_time_tokens import Purpose
from src.core import config
from src.users.models import UserStatus
from tests.auth.mailed import mint
from tests.auth.stored import audited, change_user, facts
from tests.factories import Person, World

VERIFY = "/api/v1/auth/verify-email"


async def verify(client: AsyncClient, token: Any) -> httpx.Response:
    return await client.post(VERIFY, json={"token": token})


async def is_verified(client: AsyncClient, person: Person) -> bool:
    me = (await client.get("/api/v1/auth/me", headers=person.headers)).json()
    return bool(me["email_verified"])


async def test_a_mailed_token_verifies_the_address(client: AsyncClient, world: World) -> None:
    person, neighbour = await world.person(), await world.person()
    answer = await verify(client, await mint(person.id, Purpose.VERIFY_EMAIL))
    assert (answer.status_code, answer.content) == (204, b"")
    assert [await is_verified(client, someone) for someone in (person, neighbour)] == [True, False]
    assert await facts("user.email_verified") == [{"user_id": str(person.id)}]
    assert [entry.subject_id for entry in await audited("auth.email_verified")] == [person.id]


async def test_verifying_again_changes_nothing(client: AsyncClient, world: World) -> None:
    person = await world.person()
    assert (await verify(client, await mint(person.id, Purpose.VERIFY_EMAIL))).status_code == 204
    assert (await verify(client, await mint(person.id, Purpose.VERIFY_EMAIL))).status_code == 204
    assert len(await facts("user.email_verified")) == 1


async def test_who_has_verified_their_address_publishes_with_the_next_access_token(
    client: AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config.settings().auth, "require_verified", True)
    person = await world.person()
    submit = f"/api/v1/listings/{(await world.draft(person))['id']}/submit"
    assert (await verify(client, await mint(person.id, Purpose.VERIFY_EMAIL))).status_code == 204
    stale = await client.post(submit, headers=person.headers)
    assert (stale.status_code, stale.json()["code"]) == (403, "email_not_verified")
    pair = (await client.post("/api/v1/auth/refresh", json={"refresh_token": person.refresh_token})).json()
    fresh = await client.post(submit, headers={"Authorization": f"Bearer {pair['access_token']}"})
    assert fresh.status_code == 200


async def test_A11_every_bad_token_gets_the_same_problem(client: AsyncClient, world: World) -> None:
    used, gone, moved, replaced = [await world.person() for _ in range(4)]
    tokens = [await mint(person.id, Purpose.VERIFY_EMAIL) for person in (used, gone, moved)]
    await verify(client, tokens[0])
    await change_user(gone.id, status=UserStatus.DELETED)
    await change_user(moved.id, email="new@example.com", email_key="new@example.com")
    tokens.append(await mint(replaced.id, Purpose.VERIFY_EMAIL))
    for _ in range(5):
        await mint(replaced.id, Purpose.VERIFY_EMAIL)
    answers = [await verify(client, token) for token in [*tokens, "x", "A" * 43, "ቦሌ", await mint(replaced.id)]]
    problems = [answer.json() | {"request_id": ""} for answer in answers]
    assert {answer.status_code for answer in answers} == {422}
    assert problems == problems[:1] * len(problems)
    assert (problems[0]["code"], problems[0]["errors"][0]["pointer"]) == ("invalid_one_time_token", "/token")
    assert len(await facts("user.email_verified")) == 1


@pytest.mark.parametrize("token", ["", "x" * 201, "nul\x00", None, 7, ["x"]])
async def test_what_is_no_token_is_refused(client: AsyncClient, token: Any) -> None:
    answer = await verify(client, token)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/token")


async def test_A02_other_tokens_verify_nothing_and_a_mailed_one_is_no_access_token(
    client: AsyncClient, world: World
) -> None:
    person = await world.person()
    token = await mint(person.id, Purpose.VERIFY_EMAIL)
    for other in (person.refresh_token, person.access_token[:200]):
        assert (await verify(client, other)).json()["code"] == "invalid_one_time_token"
    me = await client.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {token}"})
    refreshed = await client.post("/api/v1/auth/refresh", json={"refresh_token": token})
    assert [me.status_code, refreshed.status_code] == [401, 401]
    assert not await is_verified(client, person)


async def test_A11_of_twenty_uses_at_once_one_succeeds(committed: None, client: AsyncClient, world: World) -> None:
    person = await world.person()
    token = await mint(person.id, Purpose.VERIFY_EMAIL)
    answers = await asyncio.gather(*(verify(client, token) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [204] + [422] * 19
    assert len(await facts("user.email_verified")) == 1


async def test_A11_tokens_are_guessed_so_often(
    client: AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await world.person()
    monkeypatch.setattr(config.settings().auth, "login_address_limit", "2/minute")
    assert [(await verify(client, token)).status_code for token in ("x", "y")] == [422, 422]
    refused = await verify(client, await mint(person.id, Purpose.VERIFY_EMAIL))
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")
    assert not await is_verified(client, person)
