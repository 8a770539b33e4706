"""The hourly jobs: what nobody can use any more goes, and nothing else."""

from datetime import timedelta

from sqlalchemy import func, select

from src.auth import tasks
from src.auth.models import AuthSession, OneTimeToken
from src.auth.one_time_tokens import Purpose
from src.core import clock, database
from tests.auth.mailed import mint
from tests.auth.stored import sessions_of
from tests.factories import World


async def count(table: type[OneTimeToken | AuthSession]) -> int:
    async with database.transaction() as session:
        return await session.scalar(select(func.count()).select_from(table)) or 0


async def test_expired_tokens_go(world: World) -> None:
    person = await world.person()
    for purpose in Purpose:
        await mint(person.id, purpose)
    left = []
    for hours in (0, 1, 23):
        clock.advance(timedelta(hours=hours))
        async with database.transaction() as session:
            has_more = await tasks.remove_expired_tokens(session)
        left.append((has_more, await count(OneTimeToken)))
    assert left == [(False, 2), (False, 1), (False, 0)]


async def test_sessions_go_a_month_after_they_expired(world: World) -> None:
    person = await world.person()
    left = []
    for days in (7, 29):
        clock.advance(timedelta(days=days))
        async with database.transaction() as session:
            await tasks.remove_old_sessions(session)
        left.append(await count(AuthSession))
    recent = await world.sign_in(person.id, person.email)
    clock.advance(timedelta(days=1))
    async with database.transaction() as session:
        assert not await tasks.remove_old_sessions(session)
    assert left == [1, 1]
    assert len(await sessions_of(recent.id)) == 1


async def test_a_batch_is_bounded_and_says_that_there_is_more(world: World) -> None:
    now = clock.now()
    person = await world.person()
    rows = [
        OneTimeToken(
            user_id=person.id,
            purpose=Purpose.VERIFY_EMAIL,
            token_hash=str(number).encode(),
            email_key=person.email,
            created_at=now,
            expires_at=now,
        )
        for number in range(tasks.BATCH + 1)
    ]
    runs = []
    async with database.transaction() as session:
        session.add_all(rows)
        await session.flush()
        runs = [await tasks.remove_expired_tokens(session) for _ in range(2)]
    assert runs == [True, False]
    assert await count(OneTimeToken) == 0
