"""Several at once, with real commits."""

import asyncio

from httpx import AsyncClient
from sqlalchemy import func, select

from src.core import database
from src.core.security import Role
from src.exchange_rates import service
from src.exchange_rates.conversion import NO_RATES
from src.exchange_rates.models import Rate, RateSet
from src.exchange_rates.schemas import RateSetCreate
from tests.auth.stored import audited, facts
from tests.exchange_rates.rates import PATH, add, figures, rate_data
from tests.factories import World


async def test_of_two_administrators_at_once_neither_is_lost_and_one_is_current(
    committed: None, client: AsyncClient, world: World
) -> None:
    admins = [await world.person(Role.ADMIN) for _ in range(2)]
    answers = await asyncio.gather(
        *(
            client.post(PATH, json=rate_data(rates={"USD": f"0.00{number}"}), headers=admins[number % 2].headers)
            for number in range(1, 9)
        )
    )
    assert [answer.status_code for answer in answers] == [201] * 8
    made = {answer.json()["id"]: answer.json() for answer in answers}
    current = (await client.get(PATH)).json()
    assert current == made[max(made)]
    for set_id, whole in made.items():
        assert (await client.get(f"{PATH}/{set_id}")).json() == whole
    assert len(await facts("exchange_rates.updated")) == len(await audited("exchange_rates.update")) == 8


async def test_a_reader_never_sees_half_a_set(committed: None, client: AsyncClient, world: World) -> None:
    admin = await world.person(Role.ADMIN)
    old = await client.post(PATH, json=rate_data(rates={"USD": "1", "JPY": "1"}), headers=admin.headers)
    answers = await asyncio.gather(
        client.post(PATH, json=rate_data(rates={"USD": "2", "JPY": "2"}), headers=admin.headers),
        *(client.get(PATH) for _ in range(10)),
    )
    whole = [old.json(), answers[0].json()]
    assert all(answer.json() in whole for answer in answers[1:])


async def test_what_was_committed_here_is_calculated_with_at_once(committed: None, client: AsyncClient) -> None:
    async with database.transaction() as session:
        assert await service.current_table(session) is NO_RATES
    for rate in ("0.0064", "0.0065"):
        rate_set = await add(rates={"USD": rate})
        async with database.transaction() as session:
            assert (await service.current_table(session)).id == rate_set.id


async def test_what_was_rolled_back_is_not_calculated_with(committed: None) -> None:
    kept = await add()
    try:
        async with database.transaction() as session:
            await service.create(session, RateSetCreate.model_validate(rate_data()), None)
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    async with database.transaction() as session:
        assert (await service.current_table(session)).id == kept.id
        assert await session.scalar(select(func.count()).select_from(RateSet)) == 1
        assert await session.scalar(select(func.count()).select_from(Rate)) == len(figures(kept))
