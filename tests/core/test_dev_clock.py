"""The clock of development: one offset for all processes, only forward, and nowhere else."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from httpx import ASGITransport, AsyncClient, Response
from sqlalchemy import delete, select

from src.core import clock, config, database, dev_clock
from src.core.config import Environment, Settings
from src.core.dev_clock import ClockOffset
from src.main import create_app
from tests.core.test_config import made
from tests.factories import World
from tests.listings import stored

CLOCK, ADVANCE = "/dev/clock", "/dev/clock/advance"
DAY = 86400


async def advance(client: AsyncClient, **by: Any) -> Response:
    return await client.post(ADVANCE, json=by)


def ahead() -> timedelta:
    """How far this process's clock is ahead of the machine's."""
    return clock.now() - datetime.now(UTC)


async def test_time_passes_at_once_and_adds_up(client: AsyncClient) -> None:
    assert (await client.get(CLOCK)).json()["offset_seconds"] == 0
    answers = [
        await advance(client, days=1),
        await advance(client, hours=2, seconds=5),
        await advance(client, days=364),
    ]
    offsets = [DAY, DAY + 7205, 365 * DAY + 7205]
    assert [(answer.status_code, answer.json()["offset_seconds"]) for answer in answers] == [(200, s) for s in offsets]
    told = (await client.get(CLOCK)).json()
    assert abs(datetime.fromisoformat(told["now"]) - clock.now()) < timedelta(minutes=1)
    assert abs(ahead() - timedelta(seconds=offsets[-1])) < timedelta(seconds=1)


async def test_every_other_process_keeps_up(committed: None, client: AsyncClient) -> None:
    await advance(client, days=40)
    clock.reset()  # as in a process that did not answer the request
    async with dev_clock.followed(config.settings()):
        assert ahead() > timedelta(days=39)
        async with database.transaction() as session:
            await dev_clock.advance(session, timedelta(days=10))
            assert ahead() < timedelta(days=41), "not before it is committed"
        clock.reset()
        async with asyncio.timeout(10):
            while clock.offset() < timedelta(days=50):
                async with database.transaction() as session:
                    await session.execute(select(ClockOffset.seconds))
    assert dev_clock.POLL_SECONDS <= 1


async def test_what_is_signed_in_expires_with_the_time(client: AsyncClient, world: World) -> None:
    person = await world.person()
    await advance(client, hours=1)
    assert (await client.get("/api/v1/auth/me", headers=person.headers)).status_code == 401
    again = await world.sign_in(person.id, person.email)
    assert (await client.get("/api/v1/auth/me", headers=again.headers)).status_code == 200


async def test_of_20_at_once_none_is_lost(committed: None, client: AsyncClient) -> None:
    answers = await asyncio.gather(*(advance(client, seconds=DAY) for _ in range(20)))
    assert sorted(answer.json()["offset_seconds"] for answer in answers) == [DAY * n for n in range(1, 21)]
    assert round(ahead() / timedelta(days=1)) == 20


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/seconds"),
        ({"seconds": 0}, "/seconds"),
        ({"seconds": -1}, "/seconds"),
        ({"days": 400, "hours": -1}, "/hours"),
        ({"days": 0}, "/days"),
        ({"days": 3651}, "/days"),
        ({"hours": 10**18}, "/hours"),
        ({"seconds": 1.5}, "/seconds"),
        ({"seconds": "60"}, "/seconds"),
        ({"seconds": None}, "/seconds"),
        ({"seconds": True}, "/seconds"),
        ({"minutes": 1}, "/minutes"),
    ],
)
async def test_what_is_no_way_forward_is_refused(client: AsyncClient, body: dict[str, Any], pointer: str) -> None:
    async with stored.nothing_changes():
        answer = await client.post(ADVANCE, json=body)
    assert (answer.status_code, [field["pointer"] for field in answer.json()["errors"]]) == (422, [pointer])
    assert clock.offset() == timedelta()


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
async def test_what_is_no_number_is_refused(client: AsyncClient, number: str) -> None:
    json = {"Content-Type": "application/json"}
    answer = await client.post(ADVANCE, content=f'{{"seconds": {number}}}', headers=json)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/seconds")
    assert clock.offset() == timedelta()


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded"])
async def test_what_any_web_page_could_send_is_refused(client: AsyncClient, media_type: str) -> None:
    async with stored.nothing_changes():
        answer = await client.post(ADVANCE, content='{"days": 1}', headers={"Content-Type": media_type})
    assert answer.status_code in (415, 422)
    assert clock.offset() == timedelta()


async def test_D11_it_goes_no_further_than_ten_years_however_often(client: AsyncClient) -> None:
    too_far = await advance(client, days=3650, seconds=1)
    assert (too_far.status_code, too_far.json()["code"], clock.offset()) == (409, "clock_too_far", timedelta())
    assert (await advance(client, days=3649)).status_code == 200
    async with stored.nothing_changes():
        too_far = await advance(client, days=1, seconds=1)
    assert (too_far.status_code, too_far.json()["code"]) == (409, "clock_too_far")
    assert clock.offset() == timedelta(days=3649)
    assert (await advance(client, days=1)).status_code == 200


async def test_D11_it_never_goes_back_in_a_process(committed: None, client: AsyncClient) -> None:
    await advance(client, days=30)
    async with database.transaction() as session:
        await session.execute(delete(ClockOffset))
    await dev_clock.load()
    assert clock.offset() == timedelta(days=30)


@pytest.mark.parametrize("environment", [Environment.STAGING, Environment.PRODUCTION])
async def test_outside_development_there_is_no_such_clock(committed: None, environment: Environment) -> None:
    async with database.transaction() as session:
        session.add(ClockOffset(id=1, seconds=DAY))
    settings = made(environment)
    transport = ASGITransport(create_app(settings))
    async with AsyncClient(transport=transport, base_url="https://test") as client, stored.nothing_changes():
        answers = [await client.get(CLOCK), await advance(client, days=1)]
    assert [answer.status_code for answer in answers] == [404, 404]
    async with dev_clock.followed(settings):
        assert clock.offset() == timedelta()


def test_it_is_no_part_of_the_contract() -> None:
    assert [path for path in create_app(Settings()).openapi()["paths"] if path.startswith("/dev")] == []
