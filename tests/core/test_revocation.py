import time
from datetime import timedelta
from types import SimpleNamespace
from uuid import UUID

import pytest
from httpx import AsyncClient
from sqlalchemy import func, insert, select

from src.core import clock, database, revocation
from src.core.database import new_id
from src.core.revocation import Revocation
from tests.auth.stored import sessions_of
from tests.factories import Person, World


async def status_of(client: AsyncClient, person: Person) -> int:
    return (await client.get("/api/v1/auth/me", headers=person.headers)).status_code


async def not_before(subject: UUID) -> object:
    async with database.transaction() as session:
        return await session.scalar(select(Revocation.not_before).where(Revocation.subject == subject))


async def test_A08_what_another_process_revoked_is_refused_here_within_five_seconds(
    committed: None, client: AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert revocation.CACHE_SECONDS <= 5
    person = await world.person()
    assert await status_of(client, person) == 200
    [opened] = await sessions_of(person.id)
    async with database.transaction() as session:
        await session.execute(insert(Revocation).values(subject=opened.id, not_before=clock.now()))

    later = time.monotonic() + 5
    monkeypatch.setattr(revocation, "time", SimpleNamespace(monotonic=lambda: later))
    assert await status_of(client, person) == 401


async def test_revoking_a_user_voids_the_tokens_so_far_and_none_after(
    committed: None, client: AsyncClient, world: World
) -> None:
    person, stranger = await world.person(), await world.person()
    async with database.transaction() as session:
        await revocation.revoke(session, person.id)
    assert await status_of(client, person) == 401
    assert await status_of(client, stranger) == 200
    again = await world.sign_in(person.id, person.email)
    assert await status_of(client, again) == 200


async def test_a_revocation_counts_when_it_is_committed(committed: None, client: AsyncClient, world: World) -> None:
    person = await world.person()
    async with database.transaction() as session:
        await revocation.revoke(session, person.id)
        await session.rollback()
    assert await status_of(client, person) == 200
    async with database.transaction() as session:
        await revocation.revoke(session, person.id)
        async with session.begin_nested():
            await session.execute(select(1))
        assert await status_of(client, person) == 200
    assert await status_of(client, person) == 401


async def test_a_later_revocation_is_never_set_back(committed: None) -> None:
    subject = new_id()
    clock.advance(timedelta(minutes=5))
    async with database.transaction() as session:
        await revocation.revoke(session, subject)
    latest = await not_before(subject)
    clock.reset()
    async with database.transaction() as session:
        await revocation.revoke(session, subject)
    assert await not_before(subject) == latest


async def test_any_number_is_revoked_in_one_statement(committed: None) -> None:
    async with database.transaction() as session:
        await revocation.revoke(session, *(new_id() for _ in range(40_000)))
    async with database.transaction() as session:
        assert await session.scalar(select(func.count()).select_from(Revocation)) == 40_000


async def test_revoking_nobody_is_nothing(committed: None) -> None:
    async with database.transaction() as session:
        await revocation.revoke(session)
    async with database.transaction() as session:
        assert await session.scalar(select(func.count()).select_from(Revocation)) == 0
