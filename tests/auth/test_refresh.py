import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from httpx import AsyncClient

from src.auth.models import AuthSession
from src.core import clock, config
from src.core.security import Role, read_access_token
from src.users.models import UserStatus
from tests.auth.stored import audited, change_user, facts, sessions_of
from tests.factories import Person, World

REFRESH = "/api/v1/auth/refresh"


async def refresh(client: AsyncClient, token: str) -> httpx.Response:
    return await client.post(REFRESH, json={"refresh_token": token})


async def refreshed(client: AsyncClient, token: str) -> dict[str, Any]:
    answer = await refresh(client, token)
    assert answer.status_code == 200, answer.text
    pair: dict[str, Any] = answer.json()
    return pair


async def refused(client: AsyncClient, token: str) -> bool:
    answer = await refresh(client, token)
    return (answer.status_code, answer.json().get("code")) == (401, "invalid_refresh_token")


async def status_with(client: AsyncClient, access_token: str) -> int:
    return (await client.get("/api/v1/users/me", headers={"Authorization": f"Bearer {access_token}"})).status_code


async def only_session(person: Person) -> AuthSession:
    [opened] = await sessions_of(person.id)
    return opened


async def test_refreshing_gives_a_new_pair_that_works(client: AsyncClient, world: World) -> None:
    person = await world.person()
    pair = await refreshed(client, person.refresh_token)
    assert pair["refresh_token"] != person.refresh_token
    assert (pair["token_type"], pair["expires_in"]) == ("bearer", 30 * 60)
    assert await status_with(client, pair["access_token"]) == 200
    assert (await only_session(person)).generation == 2


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "a.b.c",
        "." * 400,
        "0" * 32 + ".1." + "A" * 43,
        "0" * 32 + ".0." + "A" * 43,
        "0" * 32 + ".9999999999." + "A" * 43,
        "F" * 32 + ".1." + "A" * 43,
        "0" * 32 + ".١." + "A" * 43,
    ],
)
async def test_what_was_never_issued_is_refused(client: AsyncClient, token: str) -> None:
    assert await refused(client, token)


@pytest.mark.parametrize(
    "body", [{}, {"refresh_token": ""}, {"refresh_token": None}, {"refresh_token": "x" * 4001}, []]
)
async def test_a_body_without_a_token_is_invalid(client: AsyncClient, body: Any) -> None:
    answer = await client.post(REFRESH, json=body)
    assert answer.status_code == 422


async def test_a_forged_token_ends_nobodys_session(client: AsyncClient, world: World) -> None:
    person = await world.person()
    await refreshed(client, person.refresh_token)
    clock.advance(timedelta(minutes=1))
    session_id, generation, mac = person.refresh_token.split(".")
    forged = mac[:-2] + ("AA" if mac[-2:] != "AA" else "BB")
    assert await refused(client, f"{session_id}.{generation}.{forged}")
    assert await refused(client, f"{session_id}.2.{mac}")
    assert await refused(client, f"{session_id}.3.{mac}")
    opened = await only_session(person)
    assert (opened.generation, opened.ended_at) == (2, None)


async def test_A04_reuse_of_a_rotated_token_ends_the_family(committed: None, client: AsyncClient, world: World) -> None:
    person = await world.person()
    elsewhere = await world.sign_in(person.id, person.email)
    stranger = await world.person()
    pair = await refreshed(client, person.refresh_token)
    clock.advance(timedelta(seconds=60))

    assert await refused(client, person.refresh_token)

    assert await refused(client, pair["refresh_token"])
    assert await status_with(client, pair["access_token"]) == 401
    assert (await client.get("/api/v1/users/me", headers=person.headers)).status_code == 401
    stolen, other = await sessions_of(person.id)
    assert (stolen.ended_at is not None, other.ended_at) == (True, None)
    [entry] = await audited("auth.refresh_reused")
    assert (entry.actor_id, entry.subject_id, entry.ip) == (person.id, stolen.id, "127.0.0.1")
    assert await facts("session.reused") == [{"user_id": str(person.id), "session_id": str(stolen.id)}]

    for survivor in (elsewhere, stranger):
        assert (await client.get("/api/v1/users/me", headers=survivor.headers)).status_code == 200
        await refreshed(client, survivor.refresh_token)


async def test_A04_a_second_reuse_is_refused_and_not_told_twice(
    committed: None, client: AsyncClient, world: World
) -> None:
    person = await world.person()
    await refreshed(client, person.refresh_token)
    clock.advance(timedelta(seconds=60))
    assert await refused(client, person.refresh_token)
    assert await refused(client, person.refresh_token)
    assert len(await facts("session.reused")) == len(await audited("auth.refresh_reused")) == 1


async def test_A04_a_token_two_generations_old_is_a_reuse_even_within_the_grace_window(
    committed: None, client: AsyncClient, world: World
) -> None:
    person = await world.person()
    second = await refreshed(client, person.refresh_token)
    third = await refreshed(client, second["refresh_token"])
    assert await refused(client, person.refresh_token)
    assert await refused(client, third["refresh_token"])
    assert len(await facts("session.reused")) == 1


async def test_A05_twenty_concurrent_refreshes_leave_one_live_successor(
    committed: None, client: AsyncClient, world: World
) -> None:
    person = await world.person()
    answers = await asyncio.gather(*(refresh(client, person.refresh_token) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    [successor] = {answer.json()["refresh_token"] for answer in answers}
    for answer in answers:
        assert await status_with(client, answer.json()["access_token"]) == 200
    opened = await only_session(person)
    assert (opened.generation, opened.ended_at) == (2, None)
    assert await facts("session.reused") == []
    await refreshed(client, successor)


async def test_A05_without_a_grace_window_one_wins_and_no_request_waits_for_itself(
    committed: None, client: AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config.settings().auth, "refresh_grace_seconds", 0)
    for _ in range(5):
        person = await world.person()
        answers = await asyncio.gather(*(refresh(client, person.refresh_token) for _ in range(8)))
        statuses = sorted(answer.status_code for answer in answers)
        assert set(statuses) <= {200, 401}
        assert len({answer.json()["refresh_token"] for answer in answers if answer.status_code == 200}) == 1


async def test_A05_refresh_and_logout_at_once_leave_no_way_in(
    committed: None, client: AsyncClient, world: World
) -> None:
    person = await world.person()
    first, second, *refreshes = await asyncio.gather(
        client.post("/api/v1/auth/logout", headers=person.headers),
        client.delete("/api/v1/auth/sessions", headers=person.headers),
        *(refresh(client, person.refresh_token) for _ in range(10)),
    )
    assert {first.status_code, second.status_code} <= {204, 401, 404}
    assert {answer.status_code for answer in refreshes} <= {200, 401}
    for answer in refreshes:
        if answer.status_code == 200:
            assert await status_with(client, answer.json()["access_token"]) == 401
            assert await refused(client, answer.json()["refresh_token"])
    assert await facts("session.reused") == []


async def test_A06_a_client_that_lost_the_answer_asks_again(
    committed: None, app: FastAPI, client: AsyncClient, world: World
) -> None:
    person = await world.person()

    async def losing(scope: Any, receive: Any, send: Any) -> None:
        async def swallow(message: Any) -> None:
            """What a network does that fails after the commit."""

        await app(scope, receive, swallow)
        raise ConnectionResetError

    async with AsyncClient(transport=httpx.ASGITransport(losing), base_url="http://test") as cut_off:
        with pytest.raises(ConnectionResetError):
            await refresh(cut_off, person.refresh_token)
    assert (await only_session(person)).generation == 2

    clock.advance(timedelta(seconds=29))
    pair = await refreshed(client, person.refresh_token)
    assert (await only_session(person)).generation == 2
    assert await status_with(client, pair["access_token"]) == 200
    await refreshed(client, pair["refresh_token"])
    assert await facts("session.reused") == []


async def test_A07_a_session_in_use_outlives_the_idle_timeout(client: AsyncClient, world: World) -> None:
    person = await world.person()
    clock.advance(timedelta(days=7, seconds=-5))
    pair = await refreshed(client, person.refresh_token)
    clock.advance(timedelta(days=7, seconds=-5))
    again = await refreshed(client, pair["refresh_token"])
    assert await status_with(client, again["access_token"]) == 200


async def test_A07_an_idle_session_ends_after_seven_days(client: AsyncClient, world: World) -> None:
    person = await world.person()
    clock.advance(timedelta(days=7))
    assert await refused(client, person.refresh_token)
    assert (await only_session(person)).generation == 1
    again = await world.sign_in(person.id, person.email)
    listed = (await client.get("/api/v1/auth/sessions", headers=again.headers)).json()["items"]
    assert [item["is_current"] for item in listed] == [True]


async def test_A07_no_use_prolongs_a_session_beyond_ninety_days(client: AsyncClient, world: World) -> None:
    person = await world.person()
    opened_at = (await only_session(person)).created_at
    token = person.refresh_token
    for _ in range(14):
        clock.advance(timedelta(days=6))
        token = (await refreshed(client, token))["refresh_token"]
    assert (await only_session(person)).expires_at == opened_at + timedelta(days=90)
    clock.advance(timedelta(days=6))
    assert await refused(client, token)


async def test_A07_the_lifetimes_are_settings(
    client: AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config.settings().auth, "refresh_token_days", 1)
    person = await world.person()
    clock.advance(timedelta(days=1))
    assert await refused(client, person.refresh_token)


async def test_a_new_role_shows_in_the_next_access_token(client: AsyncClient, world: World) -> None:
    person = await world.person()
    await change_user(person.id, role=Role.MODERATOR)
    pair = await refreshed(client, person.refresh_token)
    assert read_access_token(pair["access_token"]).role is Role.MODERATOR


async def test_a_deleted_user_cannot_refresh(client: AsyncClient, world: World) -> None:
    person = await world.person()
    await change_user(person.id, status=UserStatus.DELETED)
    assert await refused(client, person.refresh_token)
    assert (await only_session(person)).generation == 1


async def test_A04_of_concurrent_reuses_one_is_told(committed: None, client: AsyncClient, world: World) -> None:
    person = await world.person()
    await refreshed(client, person.refresh_token)
    clock.advance(timedelta(seconds=60))
    answers = await asyncio.gather(*(refresh(client, person.refresh_token) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {401}
    assert len(await facts("session.reused")) == 1
