import json
import unicodedata
from collections.abc import Callable

import bcrypt
import httpx
import pytest
from httpx import AsyncClient

from src.auth import service as auth
from src.core import database
from tests.auth.stored import count_users
from tests.factories import World

REGISTER, LOGIN = "/api/v1/auth/register", "/api/v1/auth/login"
EMAIL = "hana@example.com"
ACCENTS = "e" + "\u0301\u0316" * 160_000  # Composing it takes minutes: the marks are sorted one by one.


async def register(client: AsyncClient, password: str) -> httpx.Response:
    return await client.post(REGISTER, json={"full_name": "Hana Tesfaye", "email": EMAIL, "password": password})


async def log_in(client: AsyncClient, password: str) -> int:
    return (await client.post(LOGIN, data={"username": EMAIL, "password": password})).status_code


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which functions of bcrypt are called."""
    calls: list[str] = []

    def counted(name: str) -> Callable[..., object]:
        function = getattr(bcrypt, name)

        def call(*arguments: object) -> object:
            calls.append(name)
            return function(*arguments)

        return call

    for name in ("hashpw", "checkpw"):
        monkeypatch.setattr(bcrypt, name, counted(name))
    return calls


@pytest.mark.parametrize(
    "password",
    [
        "8 chars!",
        "x" * 64,
        "long " * 51 + "!",
        "  spaces kept  ",
        "        ",
        "🔑🚗🏠🔒🌍🎉🦓☕",
        "ቦሌ መንገድ ላይ",
        "tab\there\nand a line",
        "Ünïcödé-pässwörd",
        "<b>&amp;%00'\";--",
    ],
)
async def test_A12_a_password_may_be_anything_of_8_to_256_characters(client: AsyncClient, password: str) -> None:
    assert (await register(client, password)).status_code == 201
    assert await log_in(client, password) == 200
    for other in (password[:-1], password + " ", " " + password, password.swapcase() + "x"):
        assert await log_in(client, other) == 401


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("7 chars", "too_short"),
        ("", "too_short"),
        ("x" * 257, "too_long"),
        ("nul\x00nul\x00nul", "unsafe_text"),
        ("escape\x1b[31m", "unsafe_text"),
        ("password1", "weak_password"),
        ("PASSWORD1", "weak_password"),
        ("ｐａｓｓｗｏｒｄ１", "weak_password"),
        ("qwertyuiop", "weak_password"),
        ("1234567890", "weak_password"),
    ],
)
async def test_A12_other_passwords_are_refused(
    client: AsyncClient, hashed: list[str], password: str, code: str
) -> None:
    answer = await register(client, password)
    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert (error["in"], error["pointer"], error["code"]) == ("body", "/password", code)
    assert hashed == []
    assert await count_users() == 0


async def test_A12_a_password_in_lone_surrogates_is_refused(client: AsyncClient) -> None:
    body = json.dumps({"full_name": "Hana", "email": EMAIL, "password": "\ud800" * 9})
    answer = await client.post(REGISTER, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/password"
    assert await count_users() == 0


@pytest.mark.parametrize("password", ["x" * 1_000_000, ACCENTS])
async def test_A12_a_megabyte_is_refused_without_work(client: AsyncClient, hashed: list[str], password: str) -> None:
    assert (await register(client, password)).status_code == 422
    assert await count_users() == 0
    assert await log_in(client, password[:160_000]) == 422
    multipart = await client.post(LOGIN, files={"username": (None, EMAIL), "password": (None, password)})
    assert multipart.status_code == 422
    assert hashed == []


async def test_A12_an_address_of_a_megabyte_is_refused_without_work(client: AsyncClient, hashed: list[str]) -> None:
    answer = await client.post(LOGIN, files={"username": (None, ACCENTS), "password": (None, "brown-hyena")})
    assert answer.status_code == 422
    assert hashed == []


@pytest.mark.parametrize("registered", ["NFC", "NFD", "NFKC", "NFKD"])
async def test_A12_however_a_keyboard_composes_it_it_is_the_same_password(
    client: AsyncClient, registered: "unicodedata._NormalizationForm"
) -> None:
    password = "Ångström-ﬁancé-ቤት"
    assert (await register(client, unicodedata.normalize(registered, password))).status_code == 201
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert await log_in(client, unicodedata.normalize(form, password)) == 200


async def test_A12_the_longest_password_may_be_typed_decomposed(client: AsyncClient) -> None:
    password = "é" * 256
    assert (await register(client, password)).status_code == 201
    assert await log_in(client, unicodedata.normalize("NFD", password)) == 200


async def test_A12_every_byte_counts_beyond_the_72_that_bcrypt_reads(client: AsyncClient) -> None:
    password = "x" * 79 + "1"
    assert (await register(client, password)).status_code == 201
    assert await log_in(client, "x" * 79 + "2") == 401
    assert await log_in(client, "x" * 72) == 401
    assert await log_in(client, password) == 200


async def test_a_new_password_replaces_the_old(client: AsyncClient, world: World) -> None:
    person = await world.person(email=EMAIL)
    async with database.transaction() as session:
        await auth.set_password(session, person.id, "another-hyena-42")
    assert await log_in(client, person.password) == 401
    assert await log_in(client, "another-hyena-42") == 200
