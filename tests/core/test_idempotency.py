"""`Idempotency-Key`: what is sent again has one effect and the first answer; all else is a request of its own."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response
from pydantic import SecretStr
from sqlalchemy import delete, func, select, text

from src.auth import passwords
from src.auth.models import Credential
from src.core import clock, config, database
from src.core.idempotency import KeptAnswer
from src.core.security import Role, Standing, issue_access_token, read_access_token
from src.listings.models import Listing
from src.users.models import User
from tests.factories import PASSWORD, Person, World, property_data, vehicle_data
from tests.listings import stored
from tests.locks import until_somebody_waits

REGISTER, VEHICLES = "/api/v1/auth/register", "/api/v1/vehicles"
KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"
HANA = {"full_name": "Hana Tesfaye", "email": "hana@example.com", "password": PASSWORD}


async def create(
    client: AsyncClient, person: Person, data: dict[str, Any] | None = None, key: str = KEY, path: str = VEHICLES
) -> Response:
    headers = person.headers | {"Idempotency-Key": key}
    return await client.post(path, json=data or vehicle_data(), headers=headers)


async def rows(table: type[Any] = Listing) -> int:
    async with database.transaction() as session:
        return await session.scalar(select(func.count()).select_from(table)) or 0


def assert_replayed(again: Response, first: Response) -> None:
    assert (again.status_code, again.content) == (first.status_code, first.content)
    for name in ("Content-Type", "ETag", "Location"):
        assert again.headers.get(name) == first.headers.get(name)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.headers["X-Request-ID"] != first.headers["X-Request-ID"]


def assert_refused(answer: Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert "Idempotency-Replayed" not in answer.headers


@pytest.mark.parametrize(
    ("path", "data"), [(VEHICLES, vehicle_data()), ("/api/v1/properties", property_data())], ids=["vehicle", "property"]
)
async def test_I17_sent_again_it_has_one_effect_and_the_same_answer(
    client: AsyncClient, world: World, path: str, data: dict[str, Any]
) -> None:
    owner = await world.person()
    first = await create(client, owner, data, path=path)
    assert (first.status_code, "Idempotency-Replayed" in first.headers) == (201, False)
    async with stored.nothing_changes():
        for _ in range(3):
            assert_replayed(await create(client, owner, data, path=path), first)
    assert await rows() == 1


async def test_I17_without_a_key_or_with_another_it_is_another_request(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    answers = [await create(client, owner), await create(client, owner, key="2"), await create(client, owner, key="3")]
    answers += [await client.post(VEHICLES, json=vehicle_data(), headers=owner.headers) for _ in range(2)]
    assert len({answer.json()["id"] for answer in answers}) == await rows() == 5


async def test_I17_the_first_answer_comes_again_whatever_has_happened_since(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    first = await create(client, owner)
    headers = owner.headers | {"If-Match": first.headers["ETag"]}
    url = f"{VEHICLES}/{first.json()['id']}"
    assert (await client.patch(url, json={"title": "New"}, headers=headers)).status_code == 200
    assert_replayed(await create(client, owner), first)
    assert (await client.delete(url, headers=owner.headers)).status_code == 204
    assert_replayed(await create(client, owner), first)
    assert await rows() == 0


async def test_I17_with_another_request_the_key_is_refused(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    await create(client, owner)
    body = client.build_request("POST", VEHICLES, json=vehicle_data()).content
    async with stored.nothing_changes():
        others = [
            await create(client, owner, vehicle_data(title="Toyota Vitz 2013")),
            await create(client, owner, property_data(), path="/api/v1/properties"),
            await client.post(
                VEHICLES,
                content=b" " + body,
                headers=owner.headers | {"Idempotency-Key": KEY, "Content-Type": "application/json"},
            ),
        ]
    for other in others:
        assert_refused(other, 422, "idempotency_key_reused")
        assert [(field["in"], field["pointer"]) for field in other.json()["errors"]] == [("header", "/Idempotency-Key")]


async def test_I17_of_20_at_once_one_has_the_effect(committed: None, client: AsyncClient, world: World) -> None:
    owner = await world.person()
    answers = await asyncio.gather(*(create(client, owner) for _ in range(20)))
    counted = Counter((answer.status_code, "Idempotency-Replayed" in answer.headers) for answer in answers)
    assert counted[201, False] == 1
    assert counted.keys() <= {(201, False), (201, True), (409, False)}
    [first] = {answer.content for answer in answers if answer.status_code == 201}
    assert (await create(client, owner)).content == first
    assert await rows() == await rows(KeptAnswer) == 1


async def test_I17_while_the_first_is_running_the_second_is_told_so(
    committed: None, client: AsyncClient, world: World
) -> None:
    owner = await world.person()
    async with database.transaction() as session:
        await session.execute(text("LOCK TABLE vehicles IN EXCLUSIVE MODE"))
        running = asyncio.create_task(create(client, owner))
        await until_somebody_waits()
        second = await create(client, owner)
    assert_refused(second, 409, "request_still_running")
    assert int(second.headers["Retry-After"]) >= 1
    first = await running
    assert first.status_code == 201
    assert_replayed(await create(client, owner), first)
    assert await rows() == 1


async def test_I17_keys_of_others_are_others(client: AsyncClient, world: World) -> None:
    one, another = await world.person(), await world.person(Role.MODERATOR)
    first = await create(client, one)
    theirs = await create(client, another, vehicle_data(title="Something else"))
    assert theirs.status_code == 201
    assert (theirs.json()["owner"]["id"], theirs.json()["id"] != first.json()["id"]) == (str(another.id), True)
    assert_replayed(await create(client, one), first)


async def test_I17_after_a_failure_of_ours_it_runs_again(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    async with database.transaction() as session:
        await session.execute(
            text("CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'broken'; END$$")
        )
        await session.execute(text("CREATE TRIGGER broken BEFORE INSERT ON vehicles EXECUTE FUNCTION fail()"))
    async with stored.nothing_changes():
        assert (await create(client, owner)).status_code == 500
    async with database.transaction() as session:
        await session.execute(text("DROP TRIGGER broken ON vehicles"))
    repaired = await create(client, owner)
    assert (repaired.status_code, "Idempotency-Replayed" in repaired.headers) == (201, False)
    assert await rows() == 1


async def test_I17_after_a_refusal_it_runs_again(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    data = vehicle_data(external_id="stock-1")
    obstacle = await world.draft(owner, data)
    async with stored.nothing_changes():
        assert_refused(await create(client, owner, data), 409, "external_id_taken")
    await client.delete(f"{VEHICLES}/{obstacle['id']}", headers=owner.headers)
    assert (await create(client, owner, data)).status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 256, "a b", "ቁልፍ", "clé", "\x7f", "tab\tbed"])
async def test_I17_what_is_no_key_is_refused(client: AsyncClient, world: World, key: str) -> None:
    owner = await world.person()
    headers = {name.encode(): value.encode() for name, value in (owner.headers | {"Idempotency-Key": key}).items()}
    async with stored.nothing_changes():
        answer = await client.post(VEHICLES, json=vehicle_data(), headers=headers)
    assert_refused(answer, 400, "bad_idempotency_key")
    assert [field["pointer"] for field in answer.json()["errors"]] == ["/Idempotency-Key"]


async def test_I17_two_keys_are_none(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    headers = [*owner.headers.items(), ("Idempotency-Key", "1"), ("Idempotency-Key", "2")]
    async with stored.nothing_changes():
        answer = await client.post(VEHICLES, json=vehicle_data(), headers=headers)
    assert_refused(answer, 400, "bad_idempotency_key")


async def test_I17_any_visible_ascii_is_a_key(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    for key in ("".join(map(chr, range(0x21, 0x7F))), "x" * 255, "0", f'"{KEY}"'):
        first = await create(client, owner, key=key)
        assert first.status_code == 201, key
        assert_replayed(await create(client, owner, key=key), first)


async def test_I17_whoever_may_no_longer_act_gets_no_answer_again(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    assert (await create(client, owner)).status_code == 201
    actor = read_access_token(owner.headers["Authorization"].removeprefix("Bearer "))
    token, _ = issue_access_token(owner.id, actor.session_id, actor.role, Standing.SUSPENDED)
    suspended = {"Authorization": f"Bearer {token}", "Idempotency-Key": KEY}
    async with stored.nothing_changes():
        answer = await client.post(VEHICLES, json=vehicle_data(), headers=suspended)
        assert_refused(answer, 403, "account_suspended")
        anonymous = await client.post(VEHICLES, json=vehicle_data(), headers={"Idempotency-Key": KEY})
        assert_refused(anonymous, 401, "unauthorized")
    assert (await client.delete("/api/v1/auth/sessions", headers=owner.headers)).status_code == 204
    assert_refused(await create(client, owner), 401, "invalid_token")


async def test_I17_a_key_is_forgotten_after_a_day(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    first = await create(client, owner)
    clock.advance(timedelta(hours=config.settings().http.idempotency_hours))
    owner = await world.sign_in(owner.id, owner.email)
    second = await create(client, owner)
    assert (second.status_code, second.json()["id"] != first.json()["id"]) == (201, True)
    assert_replayed(await create(client, owner), second)
    assert (await rows(), await rows(KeptAnswer)) == (2, 1)


async def test_what_has_expired_is_deleted_whoever_it_was_of(
    committed: None, client: AsyncClient, world: World
) -> None:
    for number in range(3):
        data = HANA | {"email": f"hana{number}@example.com"}
        assert (await client.post(REGISTER, json=data, headers={"Idempotency-Key": str(number)})).status_code == 201
    clock.advance(timedelta(hours=config.settings().http.idempotency_hours))
    owners = [await world.person() for _ in range(4)]
    # At once, and none waits for or deletes what another keeps.
    answers = await asyncio.gather(*(create(client, owner) for owner in owners))
    assert [answer.status_code for answer in answers] == [201] * 4
    async with database.transaction() as session:
        kept = set(await session.scalars(select(KeptAnswer.subject)))
    assert kept == {owner.id for owner in owners}


async def test_I17_an_account_is_opened_once(client: AsyncClient) -> None:
    headers = {"Idempotency-Key": KEY}
    first = await client.post(REGISTER, json=HANA, headers=headers)
    assert (first.status_code, first.headers["Location"]) == (201, f"/api/v1/users/{first.json()['id']}")
    assert_replayed(await client.post(REGISTER, json=HANA, headers=headers), first)
    assert_refused(await client.post(REGISTER, json=HANA), 409, "email_taken")
    other = await client.post(REGISTER, json=HANA | {"password": "another-bird-93-xol"}, headers=headers)
    assert_refused(other, 422, "idempotency_key_reused")
    assert await rows(User) == 1


async def test_no_connection_is_held_while_a_password_waits_to_be_hashed(
    client: AsyncClient, count_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "LONGEST_QUEUE", -passwords.MOST_AT_ONCE)
    with count_queries() as statements:
        busy = await client.post(REGISTER, json=HANA, headers={"Idempotency-Key": KEY})
    assert (busy.status_code, statements) == (503, [])


async def test_I17_who_has_no_account_yet_is_told_apart_by_address(app: FastAPI, client: AsyncClient) -> None:
    headers = {"Idempotency-Key": "1"}
    first = await client.post(REGISTER, json=HANA, headers=headers)
    elsewhere = ASGITransport(app, client=("192.0.2.7", 50000))
    async with AsyncClient(transport=elsewhere, base_url="http://test") as other:
        same = await other.post(REGISTER, json=HANA, headers=headers)
        theirs = await other.post(REGISTER, json=HANA | {"email": "abebe@example.com"}, headers=headers)
    assert_refused(same, 409, "email_taken")
    assert (theirs.status_code, theirs.json()["id"] != first.json()["id"]) == (201, True)


async def test_I17_no_token_is_ever_kept(client: AsyncClient, world: World) -> None:
    person = await world.person()
    form = {"username": person.email, "password": PASSWORD}
    pairs = [
        (await client.post("/api/v1/auth/login", data=form, headers={"Idempotency-Key": KEY})).json() for _ in range(2)
    ]
    assert pairs[0]["refresh_token"] != pairs[1]["refresh_token"]
    refreshed = await client.post(
        "/api/v1/auth/refresh",
        json={"refresh_token": pairs[0]["refresh_token"]},
        headers={"Idempotency-Key": KEY},
    )
    assert refreshed.status_code == 200
    assert await rows(KeptAnswer) == 0


async def test_what_is_kept_of_a_request_is_worth_nothing_without_our_secret(
    client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for secret in ("one" * 20, "other" * 20):
        monkeypatch.setattr(config.settings().auth, "secret_key", SecretStr(secret))
        assert (await client.post(REGISTER, json=HANA, headers={"Idempotency-Key": KEY})).status_code == 201
        async with database.transaction() as session:
            await session.execute(delete(Credential))
            await session.execute(delete(User))
    async with database.transaction() as session:
        one, other = await session.scalars(select(KeptAnswer))
    assert one.fingerprint != other.fingerprint
    assert one.subject != other.subject
    assert PASSWORD.encode() not in one.body


async def test_a_request_without_a_key_costs_no_statement(
    client: AsyncClient, world: World, count_queries: Any
) -> None:
    owner = await world.person()
    await world.draft(owner)
    with count_queries() as plain:
        await client.post(VEHICLES, json=vehicle_data(), headers=owner.headers)
    with count_queries() as first:
        await create(client, owner)
    with count_queries() as again:
        await create(client, owner)
    assert len(first) - len(plain) == 4
    assert len(again) == 2


def test_whatever_creates_can_be_sent_again(application: FastAPI) -> None:
    creating, repeatable = set(), set()
    for methods in application.openapi()["paths"].values():
        for operation in methods.values():
            if "201" in operation["responses"]:
                creating.add(operation["operationId"])
            if any(parameter["name"] == "Idempotency-Key" for parameter in operation.get("parameters", [])):
                repeatable.add(operation["operationId"])
                assert {"400", "409", "422"} <= operation["responses"].keys()
    assert creating == repeatable == {
        "create_vehicle", "create_property", "register_user", "add_exchange_rates", "create_import",
    }  # fmt: skip
