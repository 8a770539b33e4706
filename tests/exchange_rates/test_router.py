"""What reading and adding exchange rates answers and leaves."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from decimal import Decimal
from uuid import UUID, uuid4

from httpx import AsyncClient
from sqlalchemy import select

from src.core import clock, database
from src.core.security import Role
from src.exchange_rates.models import RateSet
from tests.auth.stored import audited, facts
from tests.exchange_rates.rates import PATH, add, figures, rate_data, today
from tests.factories import World


async def test_an_administrator_adds_rates_that_everybody_reads(client: AsyncClient, world: World) -> None:
    admin = await world.person(Role.ADMIN)
    added = await client.post(PATH, json=rate_data(), headers=admin.headers)
    assert added.status_code == 201, added.text
    made = added.json()
    assert {name: made[name] for name in rate_data()} == rate_data()
    assert list(made["rates"]) == ["JPY", "KWD", "USD"]
    assert added.headers["Location"] == f"{PATH}/{made['id']}"
    assert (await client.get(PATH)).json() == made
    assert (await client.get(added.headers["Location"])).json() == made
    assert str(admin.id) not in added.text
    async with database.transaction() as session:
        assert (await session.scalars(select(RateSet.created_by))).all() == [admin.id]


async def test_adding_rates_is_told_and_answered_for(client: AsyncClient, world: World) -> None:
    admin = await world.person(Role.ADMIN)
    made = (await client.post(PATH, json=rate_data(), headers=admin.headers)).json()
    assert await facts("exchange_rates.updated") == [{"rate_set_id": made["id"]}]
    [entry] = await audited("exchange_rates.update")
    assert (entry.actor_id, entry.subject_id, entry.data) == (admin.id, UUID(made["id"]), {"currencies": 3})


async def test_rates_are_kept_to_the_last_digit(client: AsyncClient, world: World) -> None:
    admin = await world.person(Role.ADMIN)
    sent = {"USD": "0.000000000001", "JPY": "999999999999.999999999999", "KWD": "0007.1000", "KES": "100"}
    answer = await client.post(PATH, json=rate_data(rates=sent), headers=admin.headers)
    assert answer.json()["rates"] == {**sent, "KWD": "7.1"}
    assert (await client.get(PATH)).json() == answer.json()


async def test_the_base_may_stand_among_the_rates_as_one(client: AsyncClient, world: World) -> None:
    admin = await world.person(Role.ADMIN)
    sent = rate_data(rates={"ETB": "1.0", "USD": "0.0064"})
    assert (await client.post(PATH, json=sent, headers=admin.headers)).json()["rates"] == {"USD": "0.0064"}


async def test_there_may_be_none_yet(client: AsyncClient) -> None:
    answer = await client.get(PATH)
    assert (answer.status_code, answer.json()["code"]) == (404, "exchange_rates_not_found")


async def test_an_id_that_is_none_is_not_found(client: AsyncClient) -> None:
    await add()
    answer = await client.get(f"{PATH}/{uuid4()}")
    assert (answer.status_code, answer.json()["code"]) == (404, "exchange_rates_not_found")


async def test_the_rates_of_the_latest_day_are_current_and_of_one_day_the_newest(client: AsyncClient) -> None:
    yesterday, before = (today() - timedelta(days=1)).isoformat(), (today() - timedelta(days=2)).isoformat()
    first = await add(as_of=before)
    second = await add(as_of=yesterday)
    assert (await client.get(PATH)).json()["id"] == str(second.id)
    corrected = await add(as_of=yesterday, rates={"USD": "0.0065"})
    late = await add(as_of=before, rates={"USD": "0.0063"})
    assert (await client.get(PATH)).json()["id"] == str(corrected.id)
    for former in (first, second, late):
        kept = (await client.get(f"{PATH}/{former.id}")).json()
        assert {currency: Decimal(rate) for currency, rate in kept["rates"].items()} == figures(former)


async def test_rates_of_today_are_taken_at_its_first_moment(client: AsyncClient, world: World) -> None:
    now = clock.now()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    clock.advance(midnight - now)
    admin = await world.person(Role.ADMIN)
    answer = await client.post(PATH, json=rate_data(as_of=today().isoformat()), headers=admin.headers)
    assert (answer.status_code, answer.json()["as_of"]) == (201, midnight.date().isoformat())


async def test_reading_takes_two_queries_however_many_rates_there_are(
    client: AsyncClient, count_queries: Callable[[], AbstractContextManager[list[str]]]
) -> None:
    await add(rates={"USD": "0.0064", "EUR": "0.0055", "GBP": "0.0048", "JPY": "0.99", "KES": "0.83"})
    with count_queries() as statements:
        await client.get(PATH)
    assert len(statements) == 2
