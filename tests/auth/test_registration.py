import asyncio
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy import select

from src.auth.models import Credential
from src.core import config, database
from src.users.models import User
from tests.auth.stored import count_users, facts
from tests.factories import PASSWORD

REGISTER = "/api/v1/auth/register"


def account(**overrides: Any) -> dict[str, Any]:
    return {"full_name": "Hana Tesfaye", "email": "hana@example.com", "password": PASSWORD} | overrides


async def test_registering_opens_an_account_of_the_least_rights(client: AsyncClient) -> None:
    answer = await client.post(REGISTER, json=account(full_name="  ሀና ተስፋዬ ", email="Hana@Example.com"))
    assert answer.status_code == 201
    body = answer.json()
    user_id = body.pop("id")
    assert body.pop("created_at") == body.pop("updated_at")
    assert body == {
        "full_name": "ሀና ተስፋዬ",
        "email": "Hana@example.com",
        "email_verified": False,
        "phone": None,
        "about": None,
        "language": "en",
        "role": "user",
        "status": "active",
    }
    assert await facts("user.registered") == [{"user_id": user_id}]
    async with database.transaction() as session:
        user = (await session.scalars(select(User))).one()
        credential = (await session.scalars(select(Credential))).one()
    assert (str(user.id), user.is_trusted, user.email_key) == (user_id, False, "hana@example.com")
    assert credential.user_id == user.id
    assert credential.password_hash.startswith("$2b$")


@pytest.mark.parametrize(
    "email",
    ["hana@example.com", "HANA@EXAMPLE.COM", " hana@example.com ", "ｈａｎａ@example.com", "hana@ｅｘａｍｐｌｅ.com"],
)
async def test_one_address_one_account(client: AsyncClient, email: str) -> None:
    assert (await client.post(REGISTER, json=account())).status_code == 201
    answer = await client.post(REGISTER, json=account(email=email, full_name="Somebody Else"))
    assert (answer.status_code, answer.json()["code"]) == (409, "email_taken")
    assert await count_users() == 1
    assert len(await facts("user.registered")) == 1


async def test_of_twenty_registrations_at_once_one_is_made(committed: None, client: AsyncClient) -> None:
    variants = ["hana@example.com", "HANA@example.com", "ｈａｎａ@example.com", "Hana@Example.com"] * 5
    answers = await asyncio.gather(*(client.post(REGISTER, json=account(email=email)) for email in variants))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"email_taken"}
    assert await count_users() == 1
    assert len(await facts("user.registered")) == 1


@pytest.mark.parametrize(
    "email",
    [
        "",
        "hana",
        "hana@",
        "@example.com",
        "hana@localhost",
        "hana@example",
        "hana@@example.com",
        "ha na@example.com",
        "hana@example.com.",
        "hana@.example.com",
        "hana@[127.0.0.1]",
        '"ha na"@example.com',
        "Hana <hana@example.com>",
        "ha\u200bna@example.com",
        "ha\u202ena@example.com",
        "hana@example.com\nBcc: everybody@example.com",
        "hana@exa\u0000mple.com",
        "x" * 250 + "@example.com",
        "a@" + "b." * 50_000 + "com",
        None,
        ["hana@example.com"],
    ],
)
async def test_what_is_no_address_is_refused(client: AsyncClient, email: Any) -> None:
    answer = await client.post(REGISTER, json=account(email=email))
    assert answer.status_code == 422
    assert [error["pointer"].split("/")[1] for error in answer.json()["errors"]] == ["email"]
    assert await count_users() == 0


@pytest.mark.parametrize("full_name", ["", "   ", "x" * 121, "Ha\nna", "Ha\x07na", None, 7])
async def test_a_name_is_one_line_of_1_to_120_characters(client: AsyncClient, full_name: Any) -> None:
    answer = await client.post(REGISTER, json=account(full_name=full_name))
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/full_name"]
    assert await count_users() == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("role", "admin"),
        ("id", "01a1fc10-b727-7426-85ce-320caeac1522"),
        ("is_trusted", True),
        ("status", "active"),
        ("email_verified", True),
        ("email_verified_at", "2026-11-21T08:30:00Z"),
        ("is_verified", True),
        ("email_key", "hana@example.com"),
        ("created_at", "2020-01-01T00:00:00Z"),
        ("__proto__", {"role": "admin"}),
    ],
)
async def test_nobody_gives_themselves_more(client: AsyncClient, field: str, value: Any) -> None:
    answer = await client.post(REGISTER, json=account(**{field: value}))
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [f"/{field}"]
    assert await count_users() == 0


async def test_an_address_registers_so_often_and_no_more(
    app: FastAPI, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config.settings().auth, "register_limit", "2/minute")
    emails = [f"hana{number}@example.com" for number in range(3)]
    answers = [await client.post(REGISTER, json=account(email=email)) for email in emails]
    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert answers[-1].json()["code"] == "too_many_requests"
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
    assert await count_users() == 2

    spoofed = await client.post(REGISTER, json=account(email=emails[2]), headers={"X-Forwarded-For": "10.1.2.3"})
    assert spoofed.status_code == 429
    transport = httpx.ASGITransport(app, client=("10.1.2.3", 50000))
    async with AsyncClient(transport=transport, base_url="http://test") as elsewhere:
        assert (await elsewhere.post(REGISTER, json=account(email=emails[2]))).status_code == 201
