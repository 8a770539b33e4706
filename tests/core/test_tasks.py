"""What the core keeps for a while only, and what it must not forget before."""

from datetime import timedelta
from typing import Any

from httpx import AsyncClient
from sqlalchemy import insert, select

from src.core import clock, config, database, idempotency, revocation, tasks
from src.core.database import new_id
from src.core.events import Event, EventRecord, HandledEvent, OutboxMessage, emit
from src.core.idempotency import KeptAnswer
from src.core.revocation import Revocation
from tests.factories import World, vehicle_data

DAY = timedelta(days=1)


class LampLit(Event, name="test.lamp_lit"):
    """Something happened."""


async def kept(column: Any) -> set[Any]:
    async with database.transaction() as session:
        return set(await session.scalars(select(column)))


async def run(job: Any) -> None:
    """Until it has done all that it finds."""
    has_more = True
    while has_more:
        async with database.transaction() as session:
            has_more = await job(session)


async def test_expired_answers_are_forgotten_without_traffic_and_others_are_not(
    client: AsyncClient, world: World
) -> None:
    owner = await world.person()
    for key in ("old", "new"):
        headers = owner.headers | {"Idempotency-Key": key}
        assert (await client.post("/api/v1/vehicles", json=vehicle_data(), headers=headers)).status_code == 201
        await run(tasks.forget_answers)
        assert key in await kept(KeptAnswer.key)
        clock.advance(timedelta(hours=config.settings().http.idempotency_hours) if key == "old" else timedelta())
        owner = await world.sign_in(owner.id, owner.email)
    await run(tasks.forget_answers)
    assert await kept(KeptAnswer.key) == {"new"}


async def test_any_number_of_expired_answers_goes_in_batches(client: AsyncClient, world: World) -> None:
    owner = (await world.person()).id
    now, number = clock.now(), tasks.BATCH + 1
    common = {"fingerprint": b"", "status": 201, "headers": {}, "body": b"", "created_at": now, "expires_at": now}
    async with database.transaction() as session:
        rows = [{"subject": owner, "key": str(n), **common} for n in range(number)]
        await session.execute(insert(KeptAnswer), rows)
        assert await tasks.forget_answers(session) is True
        assert await tasks.forget_answers(session) is False
        assert await idempotency.forget_expired(session, 1) == 0


async def test_a_revocation_outlives_every_token_that_it_voids(client: AsyncClient, world: World) -> None:
    person, other = await world.person(), await world.person()
    async with database.transaction() as session:
        await revocation.revoke(session, person.id)
    clock.advance(timedelta(minutes=config.settings().auth.access_token_minutes) - timedelta(seconds=30))
    await run(tasks.forget_revocations)
    assert (await client.get("/api/v1/auth/me", headers=person.headers)).status_code == 401
    assert (await client.get("/api/v1/auth/me", headers=other.headers)).status_code == 200
    clock.advance(DAY)
    async with database.transaction() as session:
        await revocation.revoke(session, other.id)
    clock.advance(timedelta(minutes=1))
    await run(tasks.forget_revocations)
    assert await kept(Revocation.subject) == {other.id}


async def test_claims_go_after_a_year_unless_their_event_still_waits(world: World) -> None:
    async with database.transaction() as session:
        await emit(session, LampLit(), LampLit())
        delivered, waiting = await session.scalars(select(EventRecord.id).where(EventRecord.name == LampLit.name))
        message = await session.get_one(OutboxMessage, delivered)
        await session.delete(message)
        claims = [{"handler": "test.light", "event_id": event} for event in (delivered, waiting)]
        await session.execute(insert(HandledEvent), [claim | {"handled_at": clock.now()} for claim in claims])
    clock.advance(tasks.CLAIMS_KEPT)
    recent = new_id()
    async with database.transaction() as session:
        session.add(HandledEvent(handler="test.light", event_id=recent, handled_at=clock.now()))
    await run(tasks.forget_claims)
    assert await kept(HandledEvent.event_id) == {waiting, recent}
