"""Canaries: secrets that go in must not come out, neither in an answer nor in the log."""

import logging

import httpx
import pytest
from httpx import AsyncClient
from sqlalchemy import select, text

from src.auth.one_time_tokens import Purpose
from src.core import database
from src.core.events import EventRecord
from tests.auth.mailed import mint
from tests.factories import World

REGISTER, LOGIN, REFRESH = "/api/v1/auth/register", "/api/v1/auth/login", "/api/v1/auth/refresh"
VERIFY, RESET, CHANGE = (f"/api/v1/auth/{name}" for name in ("verify-email", "reset-password", "change-password"))
CANARY = "canary-9x-sesame"


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> "Log":
    caplog.set_level(logging.DEBUG)
    return Log(caplog, capfd)


class Log:
    """Everything that was written: log records, standard output and standard error."""

    def __init__(self, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
        self.caplog, self.capfd = caplog, capfd

    def read(self) -> str:
        written = self.capfd.readouterr()
        records = [f"{record.getMessage()} {record.__dict__}" for record in self.caplog.records]
        return "\n".join([*records, written.out, written.err])


async def talk(client: AsyncClient, email: str) -> list[httpx.Response]:
    """Register, sign in and refresh with a canary as the password: well, badly and malformed."""
    account = {"full_name": "Hana", "email": email, "password": CANARY}
    form = {"username": email, "password": CANARY}
    answers = [
        await client.post(REGISTER, json=account),
        await client.post(REGISTER, json=account),
        await client.post(REGISTER, json=account | {"email": "no address"}),
        await client.post(REGISTER, json=account | {"password": CANARY + "\x00"}),
        await client.post(REGISTER, json=account | {"password": CANARY * 20}),
        await client.post(REGISTER, json=account | {"password": [CANARY]}),
        await client.post(REGISTER, json=account | {"passwort": CANARY}),
        await client.post(REGISTER, content=f'{{"password": "{CANARY}"', headers={"Content-Type": "application/json"}),
        await client.post(LOGIN, data=form | {"username": "nobody@example.com"}),
        await client.post(LOGIN, data=form | {"grant_type": "x"}),
        await client.post(LOGIN, data=form | {"password": CANARY + "\x00"}),
        await client.post(LOGIN, json=form),
        await client.post(REFRESH, json={"refresh_token": CANARY}),
        await client.post(REFRESH, json={"refresh_token": [CANARY]}),
        await client.post(VERIFY, json={"token": CANARY}),
        await client.post(VERIFY, json={"token": [CANARY]}),
        await client.post(RESET, json={"token": CANARY, "new_password": CANARY}),
        await client.post(RESET, json={"token": "x", "new_password": CANARY * 20}),
        await client.get("/api/v1/users/me", headers={"Authorization": f"Bearer {CANARY}"}),
        await client.get("/api/v1/users/me", headers={"Authorization": f"Basic {CANARY}"}),
    ]
    assert {answer.status_code for answer in answers} <= {201, 401, 409, 415, 422}
    return answers


async def test_a_password_is_in_no_answer_and_no_log_line(client: AsyncClient, log: Log) -> None:
    email = "hana@example.com"
    answers = await talk(client, email)
    signed_in = await client.post(LOGIN, data={"username": email, "password": CANARY})
    assert signed_in.status_code == 200
    for answer in [*answers, signed_in]:
        assert CANARY not in answer.text
        assert "$2b$" not in answer.text
    written = log.read()
    assert "/api/v1/auth/login" in written, "the access log is what is read here"
    assert CANARY not in written
    assert "$2b$" not in written
    assert email not in written


async def test_tokens_are_in_no_log_line_and_not_at_rest(client: AsyncClient, world: World, log: Log) -> None:
    person = await world.person()
    pair = (await client.post(REFRESH, json={"refresh_token": person.refresh_token})).json()
    await client.get("/api/v1/users/me", headers={"Authorization": f"Bearer {pair['access_token']}"})
    await client.post("/api/v1/auth/logout", headers=person.headers)
    tokens = [person.refresh_token, pair["refresh_token"], pair["access_token"], person.headers["Authorization"][7:]]
    secrets = [token.rpartition(".")[2] for token in tokens]
    written = log.read()
    assert "/api/v1/auth/refresh" in written
    assert [secret for secret in secrets if secret in written] == []
    stored = await everything_stored()
    assert str(person.id) in stored
    assert [secret for secret in secrets if secret in stored] == []


async def test_mailed_tokens_and_new_passwords_are_in_no_log_line_and_not_at_rest(
    client: AsyncClient, world: World, log: Log
) -> None:
    person = await world.person()
    verification = await mint(person.id, Purpose.VERIFY_EMAIL)
    reset, spare = await mint(person.id), await mint(person.id)
    answers = [
        await client.post(VERIFY, json={"token": verification}),
        await client.post(
            CHANGE, json={"current_password": CANARY, "new_password": CANARY + "!"}, headers=person.headers
        ),
        await client.post(RESET, json={"token": reset, "new_password": CANARY}),
        await client.post(RESET, json={"token": spare, "new_password": CANARY}),
        await client.post("/api/v1/auth/forgot-password", json={"email": person.email}),
    ]
    assert [answer.status_code for answer in answers] == [204, 422, 204, 422, 202]
    written, stored = log.read(), await everything_stored()
    assert "/api/v1/auth/reset-password" in written, "the access log is what is read here"
    assert "verify_email" in stored, "the tokens are what is read here"
    for secret in (spare, verification, reset, CANARY):
        for place in (written, stored, *(answer.text for answer in answers)):
            assert secret not in place
    assert person.email not in written


async def test_facts_hold_no_personal_values(client: AsyncClient) -> None:
    await talk(client, "hana@example.com")
    async with database.transaction() as session:
        facts = str(list(await session.scalars(select(EventRecord.data))))
    assert "user_id" in facts
    assert "hana" not in facts.lower()


async def everything_stored() -> str:
    async with database.transaction() as session:
        rows = [
            str(list(await session.scalars(text(f"SELECT {name}::text FROM {name}"))))  # noqa: S608
            for name in (
                "users",
                "credentials",
                "sessions",
                "events",
                "outbox",
                "audit_log",
                "revocations",
                "one_time_tokens",
            )
        ]
    return "\n".join(rows)
