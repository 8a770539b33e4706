import bcrypt
import httpx
import pytest
from fastapi import FastAPI
from httpx import AsyncClient

from src.core import config
from src.core.security import Role, Standing, read_access_token
from src.users.models import UserStatus
from tests.auth.stored import audited, change_user, facts, sessions_of
from tests.factories import PASSWORD, World

LOGIN = "/api/v1/auth/login"


async def log_in(client: AsyncClient, email: str, password: str = PASSWORD) -> httpx.Response:
    return await client.post(LOGIN, data={"username": email, "password": password})


async def test_signing_in_opens_a_session(client: AsyncClient, world: World) -> None:
    person = await world.person()
    answer = await client.post(
        LOGIN,
        data={"grant_type": "password", "username": person.email, "password": PASSWORD, "scope": "", "client_id": "x"},
        headers={"User-Agent": "Firefox " * 100},
    )
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    pair = answer.json()
    assert (pair["token_type"], pair["expires_in"]) == ("bearer", 1800)
    actor = read_access_token(pair["access_token"])
    assert (actor.id, actor.role, actor.standing) == (person.id, Role.USER, Standing.GOOD)
    opened = (await sessions_of(person.id))[-1]
    assert (opened.id, opened.ip, len(opened.user_agent or "")) == (actor.session_id, "127.0.0.1", 500)
    assert (await facts("session.opened"))[-1] == {"user_id": str(person.id), "session_id": str(opened.id)}
    assert [entry.subject_id for entry in await audited("auth.logged_in")][-1] == opened.id


@pytest.mark.parametrize(
    ("registered", "typed"),
    [
        ("hana@example.com", " HANA@Example.COM "),
        ("Hana@example.com", "hana@example.com"),
        ("hana@example.com", "ｈａｎａ@ｅｘａｍｐｌｅ.com"),
        ("strasse@example.com", "STRAẞE@example.com"),
    ],
)
async def test_addresses_that_look_the_same_are_the_same(
    client: AsyncClient, world: World, registered: str, typed: str
) -> None:
    await world.person(email=registered)
    assert (await log_in(client, typed)).status_code == 200


async def test_A09_unknown_wrong_and_deleted_get_the_same_answer_after_the_same_work(
    client: AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    person, suspended, gone = await world.person(), await world.person(), await world.person()
    await change_user(suspended.id, status=UserStatus.SUSPENDED)
    await change_user(gone.id, status=UserStatus.DELETED)
    checked: list[str] = []
    check = bcrypt.checkpw

    def counting(password: bytes, hashed: bytes) -> bool:
        checked.append(hashed.decode()[:7])
        return check(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", counting)
    answers = []
    for email, password in (
        ("nobody@example.com", PASSWORD),
        ("no address at all", PASSWORD),
        (person.email, "wrong-hyena-41"),
        (suspended.email, "wrong-hyena-41"),
        (gone.email, "wrong-hyena-41"),
        (gone.email, PASSWORD),
    ):
        checked.clear()
        answer = await log_in(client, email, password)
        assert checked == ["$2b$04$"], "one hash, of the cost that is configured"
        varying = {"x-request-id", "date"}
        headers = {name: value for name, value in answer.headers.items() if name not in varying}
        answers.append((answer.status_code, headers, answer.json() | {"request_id": ""}))
    assert answers == answers[:1] * 6
    assert (answers[0][0], answers[0][2]["code"]) == (401, "bad_credentials")
    for someone in (person, suspended, gone):
        assert len(await sessions_of(someone.id)) == 1


async def test_a_failed_sign_in_is_audited_without_the_address(client: AsyncClient, world: World) -> None:
    person = await world.person()
    await log_in(client, person.email, "wrong-hyena-41")
    await log_in(client, "nobody@example.com", "wrong-hyena-41")
    known, unknown = await audited("auth.login_failed")
    assert (known.subject_id, known.ip, known.data) == (person.id, "127.0.0.1", {})
    assert (unknown.subject_id, unknown.ip, unknown.data) == (None, "127.0.0.1", {})


@pytest.mark.parametrize(
    ("form", "pointers"),
    [
        ({}, ["/username", "/password"]),
        ({"username": "hana@example.com"}, ["/password"]),
        ({"password": PASSWORD}, ["/username"]),
        ({"username": "hana@example.com", "password": PASSWORD, "grant_type": "implicit"}, ["/grant_type"]),
        ({"username": "ha\x00na@example.com", "password": PASSWORD}, ["/username"]),
        ({"username": "hana@example.com", "password": PASSWORD + "\x00"}, ["/password"]),
    ],
)
async def test_an_incomplete_form_is_refused_field_by_field(
    client: AsyncClient, form: dict[str, str], pointers: list[str]
) -> None:
    answer = await client.post(LOGIN, data=form)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
    assert [error["pointer"] for error in answer.json()["errors"]] == pointers


async def test_a_file_is_no_password(client: AsyncClient) -> None:
    answer = await client.post(LOGIN, data={"username": "hana@example.com"}, files={"password": ("p.txt", b"x" * 9)})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/password"


async def test_credentials_come_as_a_form_not_as_json(client: AsyncClient, world: World) -> None:
    person = await world.person()
    answer = await client.post(LOGIN, json={"username": person.email, "password": PASSWORD})
    assert answer.status_code in (415, 422)


async def test_many_tries_on_one_account_are_stopped_and_no_one_else_is(
    app: FastAPI, client: AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim, neighbour = await world.person(), await world.person()
    monkeypatch.setattr(config.settings().auth, "login_limit", "3/minute")
    tries = [victim.email, victim.email.upper(), f" {victim.email} "]
    assert [(await log_in(client, email, "wrong-hyena-41")).status_code for email in tries] == [401] * 3
    refused = await log_in(client, victim.email)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert len(await sessions_of(victim.id)) == 1

    assert (await log_in(client, neighbour.email)).status_code == 200
    transport = httpx.ASGITransport(app, client=("10.1.2.3", 50000))
    async with AsyncClient(transport=transport, base_url="http://test") as elsewhere:
        assert (await log_in(elsewhere, victim.email)).status_code == 200
