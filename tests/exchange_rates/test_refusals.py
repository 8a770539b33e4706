"""Who may not add exchange rates, and which are none; a refusal leaves everything as it was."""

from datetime import timedelta
from typing import Any

import pytest
from httpx import AsyncClient
from sqlalchemy import delete, insert, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from src.core import database
from src.core.security import Role
from src.exchange_rates.models import Rate, RateSet
from src.users.models import UserStatus
from tests.exchange_rates.rates import PATH, add, rate_data, today
from tests.factories import World
from tests.listings.stored import nothing_changes


async def test_nobody_adds_rates_anonymously(client: AsyncClient) -> None:
    async with nothing_changes():
        answer = await client.post(PATH, json=rate_data())
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMIN])
async def test_only_administrators_add_rates(role: Role, client: AsyncClient, world: World) -> None:
    person = await world.person(role)
    async with nothing_changes():
        answer = await client.post(PATH, json=rate_data(), headers=person.headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_a_suspended_administrator_adds_none(client: AsyncClient, world: World) -> None:
    admin = await world.person(Role.ADMIN, UserStatus.SUSPENDED)
    async with nothing_changes():
        answer = await client.post(PATH, json=rate_data(), headers=admin.headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "account_suspended")


def _rate(written: Any) -> dict[str, Any]:
    return {"rates": {"JPY": "0.99", "USD": written}}


BAD_RATES: tuple[Any, ...] = (
    "0", "0.000000000000", "-0.0064", "+0.0064", "NaN", "Infinity", "-Infinity", "1e5", "1E-5", "1e999", ".5", "5.",
    "", " 1", "1 ", "1,5", "1_000", "0x10", "٣", "１", "1\n", "1234567890123", "0.1234567890123", "9" * 100_000,
    0.0064, 1, True, None, [], {"rate": "1"},
)  # fmt: skip


@pytest.mark.parametrize("written", BAD_RATES, ids=lambda value: repr(value)[:20])
async def test_what_is_no_rate_is_refused_by_its_currency(written: Any, client: AsyncClient, world: World) -> None:
    await assert_refused(client, world, _rate(written), "/rates/USD")


BAD_BODIES: list[tuple[dict[str, Any], str]] = [
    ({"rates": {"JPY": "1", "XXX": "1"}}, "/rates/XXX"),
    ({"rates": {"JPY": "1", "ZZZ": "1"}}, "/rates/ZZZ"),
    ({"rates": {"JPY": "1", "usd": "1"}}, "/rates/usd"),
    ({"rates": {"JPY": "1", "US/D": "1"}}, "/rates/US~1D"),
    ({"rates": {"JPY": "1", "": "1"}}, "/rates/"),
    ({"rates": {}}, "/rates"),
    ({"rates": None}, "/rates"),
    ({"rates": [["USD", "1"]]}, "/rates"),
    ({"rates": {"ETB": "1"}}, "/rates"),
    ({"rates": {"ETB": "1.000000000001", "USD": "1"}}, "/rates/ETB"),
    ({"base": "XXX"}, "/base"),
    ({"base": "etb"}, "/base"),
    ({"base": None}, "/base"),
    ({"base": "USD"}, "/rates/USD"),
    ({"source": ""}, "/source"),
    ({"source": "   "}, "/source"),
    ({"source": "x" * 201}, "/source"),
    ({"source": "two\nlines"}, "/source"),
    ({"source": "nul\x00"}, "/source"),
    ({"source": 7}, "/source"),
    ({"as_of": "2026-02-30"}, "/as_of"),
    ({"as_of": "1899-12-31"}, "/as_of"),
    ({"as_of": "2101-01-01"}, "/as_of"),
    ({"as_of": "2026-11-20T00:00:00Z"}, "/as_of"),
    ({"as_of": 1700000000}, "/as_of"),
    ({"id": "01a1fc10-b727-7426-85ce-320caeac1522"}, "/id"),
    ({"created_by": None}, "/created_by"),
]


@pytest.mark.parametrize(("overrides", "pointer"), BAD_BODIES, ids=lambda value: str(value)[:40])
async def test_a_bad_field_is_refused_by_name(
    overrides: dict[str, Any], pointer: str, client: AsyncClient, world: World
) -> None:
    await assert_refused(client, world, overrides, pointer)


async def test_rates_of_tomorrow_are_refused(client: AsyncClient, world: World) -> None:
    tomorrow = {"as_of": (today() + timedelta(days=1)).isoformat()}
    problem = await assert_refused(client, world, tomorrow, "/as_of")
    assert problem["code"] == "rates_of_the_future"


async def test_more_than_200_rates_are_refused(client: AsyncClient, world: World) -> None:
    many = {f"{a}{b}{c}": "1" for a in "ABCDEF" for b in "ABCDEF" for c in "ABCDEF"}
    assert len(many) > 200
    admin = await world.person(Role.ADMIN)
    answer = await client.post(PATH, json=rate_data(rates=many), headers=admin.headers)
    assert answer.status_code == 422
    assert {error["pointer"].split("/")[1] for error in answer.json()["errors"]} == {"rates"}


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b'{"rates": {"USD": NaN}}', b'{"rates": {"USD": 1e999}}'])
async def test_what_is_no_such_document_is_refused(body: bytes, client: AsyncClient, world: World) -> None:
    admin = await world.person(Role.ADMIN)
    headers = {**admin.headers, "Content-Type": "application/json"}
    async with nothing_changes():
        answer = await client.post(PATH, content=body, headers=headers)
    assert answer.status_code == 422


async def assert_refused(client: AsyncClient, world: World, overrides: dict[str, Any], pointer: str) -> dict[str, Any]:
    """422 for that field alone, and nothing is stored."""
    admin = await world.person(Role.ADMIN)
    async with nothing_changes():
        answer = await client.post(PATH, json=rate_data(**overrides), headers=admin.headers)
    assert answer.status_code == 422, answer.text
    problem: dict[str, Any] = answer.json()
    assert [error["pointer"] for error in problem["errors"]] == [pointer]
    return problem


@pytest.mark.parametrize("set_id", ["1", "current", "01a1fc10-b727-7426-85ce-320caeac152"])
async def test_an_id_must_be_one(set_id: str, client: AsyncClient) -> None:
    assert (await client.get(f"{PATH}/{set_id}")).status_code == 422


async def test_parameters_are_refused(client: AsyncClient) -> None:
    answer = await client.get(PATH, params={"base": "USD"})
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/base"]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_there_is_no_way_to_change_what_was_added(method: str, client: AsyncClient, world: World) -> None:
    admin, rate_set = await world.person(Role.ADMIN), await add()
    async with nothing_changes():
        answer = await client.request(method, f"{PATH}/{rate_set.id}", headers=admin.headers)
    assert answer.status_code == 405


@pytest.mark.parametrize(
    "change",
    [
        update(RateSet).values(source="Somebody else"),
        update(Rate).values(rate=1),
        delete(Rate),
        text("TRUNCATE exchange_rate_sets CASCADE"),
        text("TRUNCATE exchange_rates"),
    ],
    ids=str,
)
async def test_the_database_keeps_what_was_added(change: Any, storage: None) -> None:
    await add()
    async with nothing_changes():
        with pytest.raises(DBAPIError, match="is append-only"):
            async with database.transaction() as session:
                await session.execute(change)


@pytest.mark.parametrize("rate", ["0", "-1", "NaN"])
async def test_the_database_refuses_what_is_no_rate(rate: str, storage: None) -> None:
    rate_set = await add()
    with pytest.raises(IntegrityError, match="ck_exchange_rates_rate"):
        async with database.transaction() as session:
            await session.execute(insert(Rate).values(rate_set_id=rate_set.id, currency="GBP", rate=text(f"'{rate}'")))
