"""Asking for mails: who is sent one, who is not, and that nobody can tell the two apart."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from src.auth.one_time_tokens import Purpose
from src.core import clock, config, rate_limit
from src.users.models import UserStatus
from tests.auth.mailed import mint
from tests.auth.stored import audited, facts
from tests.factories import PASSWORD, World
from tests.listings.stored import nothing_changes

RESEND, FORGOT = "/api/v1/auth/resend-verification", "/api/v1/auth/forgot-password"
RESET, CHANGE, LOGIN = (f"/api/v1/auth/{path}" for path in ("reset-password", "change-password", "login"))
EVENTS = {RESEND: "user.verification_requested", FORGOT: "user.password_reset_requested"}
paths = pytest.mark.parametrize("path", EVENTS)


async def ask(client: AsyncClient, path: str, email: str) -> httpx.Response:
    return await client.post(path, json={"email": email})


async def asked_for(path: str) -> list[str]:
    """Whom mails of this kind were asked for."""
    return [fact["user_id"] for fact in await facts(EVENTS[path])]


@pytest.fixture
async def people(world: World) -> dict[str, tuple[str, str]]:
    """Id and address of an account in each state."""
    now = clock.now()
    made = {
        "unverified": await world.person(),
        "verified": await world.person(email_verified_at=now),
        "suspended": await world.person(status=UserStatus.SUSPENDED),
        "deleted": await world.person(status=UserStatus.DELETED),
    }
    return {state: (str(person.id), person.email) for state, person in made.items()} | {
        "unknown": ("", "nobody@example.com")
    }


@paths
async def test_A09_every_address_gets_the_same_answer_after_the_same_work(
    client: AsyncClient,
    people: dict[str, tuple[str, str]],
    count_queries: Callable[[], AbstractContextManager[list[str]]],
    path: str,
) -> None:
    answers: list[Any] = []
    for _, email in people.values():
        with count_queries() as statements:
            answer = await ask(client, path, email)
        headers = {name: value for name, value in answer.headers.items() if name not in {"x-request-id", "date"}}
        answers.append((answer.status_code, headers, answer.content, statements))
    assert answers == answers[:1] * len(people)
    assert answers[0][0] == 202
    assert answers[0][1]["cache-control"] == "no-store"


async def test_a_verification_mail_is_asked_for_where_there_is_something_to_verify(
    client: AsyncClient, people: dict[str, tuple[str, str]]
) -> None:
    for _, email in people.values():
        await ask(client, RESEND, email)
    assert await asked_for(RESEND) == [people["unverified"][0], people["suspended"][0]]
    assert len(await audited("auth.verification_requested")) == len(people)


async def test_a_reset_mail_is_asked_for_whoever_may_sign_in(
    client: AsyncClient, people: dict[str, tuple[str, str]]
) -> None:
    for _, email in people.values():
        await ask(client, FORGOT, email)
    assert await asked_for(FORGOT) == [people[state][0] for state in ("unverified", "verified", "suspended")]
    assert len(await audited("auth.password_reset_requested")) == len(people)


async def test_registering_asks_for_a_verification_mail(client: AsyncClient) -> None:
    account = {"full_name": "Hana", "email": "hana@example.com", "password": PASSWORD}
    registered = await client.post("/api/v1/auth/register", json=account)
    assert (await client.post("/api/v1/auth/register", json=account)).status_code == 409
    assert await asked_for(RESEND) == [registered.json()["id"]]


@paths
@pytest.mark.parametrize("email", ["", "hana", "hana@localhost", "Hana <hana@example.com>", "x" * 250 + "@a.com", None])
async def test_what_is_no_address_is_refused(client: AsyncClient, path: str, email: Any) -> None:
    answer = await client.post(path, json={"email": email})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/email")
    assert await asked_for(path) == []


@paths
async def test_A10_a_victim_is_mailed_once_a_minute_and_five_times_an_hour_whoever_asks(
    app: FastAPI, client: AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    victim, neighbour = await world.person(), await world.person()
    monkeypatch.setattr(config.settings().auth, "mail_pace_limit", "2/minute")
    monkeypatch.setattr(config.settings().auth, "mail_limit", "3/hour")
    answers = [await ask(client, path, email) for email in (victim.email, victim.email.upper())]
    transport = httpx.ASGITransport(app, client=("10.1.2.3", 50000))
    async with AsyncClient(transport=transport, base_url="http://test") as elsewhere:
        answers += [await ask(elsewhere, path, victim.email) for _ in range(3)]
    assert {(answer.status_code, answer.content) for answer in answers} == {(202, answers[0].content)}
    assert await asked_for(path) == [str(victim.id)] * 2

    monkeypatch.setattr(config.settings().auth, "mail_pace_limit", "100/minute")
    for _ in range(3):
        assert (await ask(client, path, victim.email)).content == answers[0].content
    await ask(client, path, neighbour.email)
    assert await asked_for(path) == [str(victim.id)] * 3 + [str(neighbour.id)]
    other = FORGOT if path == RESEND else RESEND
    await ask(client, other, victim.email)
    assert await asked_for(other) == [str(victim.id)]


@paths
async def test_A10_a_victim_is_mailed_ten_times_a_day_whoever_asks_and_whenever(
    client: AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    victim, neighbour = await world.person(), await world.person()
    monkeypatch.setattr(config.settings().auth, "mail_daily_limit", "2/day")
    answers = [await ask(client, path, email) for email in [victim.email] * 4 + [neighbour.email]]
    assert {(answer.status_code, answer.content) for answer in answers} == {(202, answers[0].content)}
    assert await asked_for(path) == [str(victim.id)] * 2 + [str(neighbour.id)]


@paths
async def test_A10_a_client_asks_so_often_whatever_the_address(
    client: AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    person = await world.person()
    monkeypatch.setattr(config.settings().auth, "mail_client_limit", "2/minute")
    await ask(client, path, "nobody@example.com")
    await ask(client, path, "somebody@example.com")
    for headers in ({}, {"X-Forwarded-For": "10.1.2.3"}):
        refused = await client.post(path, json={"email": person.email}, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert await asked_for(path) == []


async def test_A19_while_redis_is_away_what_guards_accounts_is_counted_all_the_same(
    app: FastAPI, client: AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await world.person()
    verification, reset = await mint(person.id, Purpose.VERIFY_EMAIL), await mint(person.id)
    credentials = {"username": person.email, "password": PASSWORD}
    for limit in ("mail_client_limit", "login_address_limit", "login_limit"):
        monkeypatch.setattr(config.settings().auth, limit, "2/minute")
    app.state.limiter = rate_limit.Limiter(Redis(port=1, retry=Retry(NoBackoff(), 0)))
    password, new = "wrong-wrong-wrong", {"new_password": "striped-hyena-42"}
    guesses: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        (FORGOT, {"json": {"email": "nobody@example.com"}}, {"json": {"email": person.email}}),
        (RESET, {"json": {"token": verification, **new}}, {"json": {"token": reset, **new}}),
        (CHANGE, {"json": {"current_password": password, **new}}, {"json": {"current_password": PASSWORD, **new}}),
        (LOGIN, {"data": {"username": person.email, "password": password}}, {"data": credentials}),
    ]
    for path, wrong, _ in guesses:
        answers = [await client.post(path, headers=person.headers, **wrong) for _ in range(2)]
        assert {answer.status_code for answer in answers} <= {202, 401, 403, 422}
    async with nothing_changes():
        for path, _, right in guesses:
            refused = await client.post(path, headers=person.headers, **right)
            assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")
            assert 1 <= int(refused.headers["Retry-After"]) <= 60
