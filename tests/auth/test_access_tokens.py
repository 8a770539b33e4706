import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from httpx import AsyncClient
from pydantic import SecretStr

from src.auth.models import AuthSession
from src.core import clock, config
from src.core.security import signing_key
from tests.auth.forgery import Part, parts, signed, unsigned
from tests.auth.stored import sessions_of
from tests.factories import Person, World

Forge = Callable[[Part, Part], str]


def token_of(person: Person) -> str:
    return person.headers["Authorization"].removeprefix("Bearer ")


async def status_with(client: AsyncClient, token: str) -> int:
    """The status of a request with that token; a refusal must be the documented one."""
    answer = await client.get("/api/v1/users/me", headers={b"Authorization": f"Bearer {token}".encode("latin-1")})
    if answer.status_code == 401:
        assert answer.json()["code"] == "invalid_token"
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    return answer.status_code


FORGERIES: dict[str, Forge] = {
    "alg none": lambda header, claims: unsigned(header | {"alg": "none"}, claims),
    "alg nOnE": lambda header, claims: unsigned(header | {"alg": "nOnE"}, claims),
    "alg none, signed": lambda header, claims: signed(header | {"alg": "none"}, claims),
    "empty signature": unsigned,
    "no signature": lambda header, claims: unsigned(header, claims).rstrip("."),
    "RS256 said, HMAC made": lambda header, claims: signed(header | {"alg": "RS256"}, claims),
    "HS512 with our key": lambda header, claims: signed(header | {"alg": "HS512"}, claims, digest="sha512"),
    "another key": lambda header, claims: signed(header, claims, b"another key"),
    "empty key": lambda header, claims: signed(header, claims, b""),
    "the key of refresh tokens": lambda header, claims: signed(header, claims, signing_key("refresh")),
    "the secret itself": lambda header, claims: signed(header, claims, config.settings().secret()),
    "unknown kid": lambda header, claims: signed(header | {"kid": "0" * 12}, claims),
    "kid is a path": lambda header, claims: signed(header | {"kid": "../../../../dev/null"}, claims, b""),
    "no kid": lambda header, claims: signed({key: header[key] for key in ("alg", "typ")}, claims),
    "crit": lambda header, claims: signed(header | {"crit": ["exp"]}, claims),
    "b64 false": lambda header, claims: signed(header | {"b64": False}, claims),
    "typ JWT": lambda header, claims: signed(header | {"typ": "JWT"}, claims),
    "no typ": lambda header, claims: signed({key: header[key] for key in ("alg", "kid")}, claims),
    "nested": lambda header, claims: signed(header | {"cty": "JWT"}, signed(header, claims)),
    "claims are a list": lambda header, claims: signed(header, json.dumps([claims])),
    "claims swapped": lambda header, claims: swapped(signed(header, claims), header, claims | {"role": "admin"}),
    "five parts": lambda header, claims: signed(header, claims) + ".e30.e30",
}


def swapped(token: str, header: Part, claims: Part) -> str:
    """The signature of one token under the claims of another."""
    return signed(header, claims).rpartition(".")[0] + "." + token.rpartition(".")[2]


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES.keys())
async def test_A01_forged_tokens_are_refused(client: AsyncClient, world: World, forge: Forge) -> None:
    header, claims = parts(token_of(await world.person()))
    assert await status_with(client, signed(header, claims)) == 200
    assert await status_with(client, forge(header, claims)) == 401


@pytest.mark.parametrize("claims", ["", "{", "null", "[" * 5000 + "]" * 5000, '"\\ud800"'])
async def test_A01_a_signature_does_not_excuse_what_is_signed(client: AsyncClient, world: World, claims: str) -> None:
    header, _ = parts(token_of(await world.person()))
    assert await status_with(client, signed(header, claims)) == 401


@pytest.mark.parametrize("token", ["", ".", "..", "...", "þ.þ.þ", "e30.e30.e30", "x" * 10_000, "." * 10_000])
async def test_A01_what_is_no_token_is_refused(client: AsyncClient, token: str) -> None:
    assert await status_with(client, token) == 401


@pytest.mark.parametrize("reference", ["jku", "x5u", "jwk", "x5c"])
async def test_A01_keys_by_reference_are_refused_and_never_fetched(
    client: AsyncClient, world: World, reference: str
) -> None:
    calls = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        calls.append(await reader.readline())
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys.json"
        header, claims = parts(token_of(await world.person()))
        value: Any = {"kty": "oct", "k": "YQ"} if reference == "jwk" else [url] if reference == "x5c" else url
        assert await status_with(client, signed(header | {reference: value}, claims)) == 401
        assert await status_with(client, signed(header | {reference: value}, claims, b"a")) == 401
    assert calls == []


@pytest.mark.parametrize("authorization", ["Basic x", "Bearer", "Bearer ", "", "bearer", "Token abc", "Bearer a b"])
async def test_A01_an_unreadable_authorization_header_is_refused(client: AsyncClient, authorization: str) -> None:
    answer = await client.get("/api/v1/users/me", headers={"Authorization": authorization})
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("authorization", ["Basic x", "Bearer x"])
async def test_A01_a_bad_token_is_refused_where_none_is_needed(
    client: AsyncClient, world: World, authorization: str
) -> None:
    car = await world.published(await world.person())
    path = f"/api/v1/listings/{car['id']}"
    assert (await client.get(path)).status_code == 200
    answer = await client.get(path, headers={"Authorization": authorization})
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")


async def test_A01_without_a_token_one_is_asked_to_sign_in(client: AsyncClient) -> None:
    answer = await client.get("/api/v1/users/me")
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def now() -> float:
    return clock.now().timestamp()


WRONG_CLAIMS: dict[str, Callable[[], dict[str, Any]]] = {
    "wrong iss": lambda: {"iss": "key2key.evil"},
    "wrong aud": lambda: {"aud": "another-api"},
    "aud is a list": lambda: {"aud": ["key2key-api"]},
    "nbf in a minute": lambda: {"nbf": now() + 61},
    "iat in a minute": lambda: {"iat": now() + 61},
    "exp a minute ago": lambda: {"exp": now() - 60},
    "exp is a string": lambda: {"exp": str(now() + 60)},
    "exp is true": lambda: {"exp": True},
    "exp is negative": lambda: {"exp": -1},
    "exp has 400 digits": lambda: {"exp": 10**400},
    "exp in the year 5000": lambda: {"exp": 95617584000},
    "exp is null": lambda: {"exp": None},
    "sub is no id": lambda: {"sub": "admin"},
    "sub is a number": lambda: {"sub": 1},
    "an unknown role": lambda: {"role": "superuser"},
    "an unknown standing": lambda: {"standing": "excellent"},
    "another kind of token": lambda: {"typ": "refresh"},
    "an unknown claim": lambda: {"scope": "everything"},
}


@pytest.mark.parametrize("wrong", WRONG_CLAIMS.values(), ids=WRONG_CLAIMS.keys())
async def test_A03_claims_that_do_not_hold_are_refused(
    client: AsyncClient, world: World, wrong: Callable[[], dict[str, Any]]
) -> None:
    header, claims = parts(token_of(await world.person()))
    assert await status_with(client, signed(header, claims | wrong())) == 401


@pytest.mark.parametrize("literal", ["1e400", "-1e400", "NaN", "Infinity", "1" + "0" * 5000])
async def test_A03_an_expiry_that_is_no_number_is_refused(client: AsyncClient, world: World, literal: str) -> None:
    header, claims = parts(token_of(await world.person()))
    written = json.dumps(claims | {"exp": "EXP"}).replace('"EXP"', literal)
    assert await status_with(client, signed(header, written)) == 401


@pytest.mark.parametrize("missing", ["iss", "aud", "sub", "sid", "jti", "role", "standing", "iat", "nbf", "exp", "typ"])
async def test_A03_every_claim_is_required(client: AsyncClient, world: World, missing: str) -> None:
    header, claims = parts(token_of(await world.person()))
    del claims[missing]
    assert await status_with(client, signed(header, claims)) == 401


async def test_A03_a_token_lives_as_long_as_it_says_and_at_most_a_minute_more(
    client: AsyncClient, world: World
) -> None:
    person = await world.person()
    clock.advance(timedelta(minutes=29, seconds=55))
    assert await status_with(client, token_of(person)) == 200
    clock.advance(timedelta(seconds=65))
    assert await status_with(client, token_of(person)) == 401


async def test_A03_shortening_the_life_of_tokens_counts_for_those_already_issued(
    client: AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await world.person()
    clock.advance(timedelta(minutes=10))
    assert await status_with(client, token_of(person)) == 200
    monkeypatch.setattr(config.settings().auth, "access_token_minutes", 5)
    assert await status_with(client, token_of(person)) == 401


async def refreshed(client: AsyncClient, token: str) -> int:
    answer = await client.post("/api/v1/auth/refresh", json={"refresh_token": token})
    if answer.status_code == 401:
        assert answer.json()["code"] == "invalid_refresh_token"
    return answer.status_code


async def only_session(person: Person) -> AuthSession:
    [opened] = await sessions_of(person.id)
    return opened


async def test_A02_a_refresh_token_opens_no_door_and_an_access_token_refreshes_nothing(
    client: AsyncClient, world: World
) -> None:
    person = await world.person()
    assert await status_with(client, person.refresh_token) == 401
    assert await refreshed(client, token_of(person)) == 401
    opened = await only_session(person)
    assert (opened.generation, opened.ended_at) == (1, None)


async def test_A20_after_a_change_of_the_secret_old_tokens_are_refused_and_nobody_loses_their_session(
    client: AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await world.person()
    with monkeypatch.context() as rotation:
        rotation.setattr(config.settings().auth, "secret_key", SecretStr(f"{uuid4()}{uuid4()}"))
        assert await status_with(client, token_of(person)) == 401
        assert await refreshed(client, person.refresh_token) == 401
        renewed = await world.sign_in(person.id, person.email)
        assert await status_with(client, token_of(renewed)) == 200
    assert await status_with(client, token_of(renewed)) == 401
    assert await refreshed(client, person.refresh_token) == 200
