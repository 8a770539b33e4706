"""What mails carry: how long, how often and for which address it is good."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from src.auth import one_time_tokens
from src.auth.errors import InvalidOneTimeToken
from src.auth.models import OneTimeToken
from src.auth.one_time_tokens import Purpose
from src.core import clock, config, database
from src.users.errors import UserNotFound
from src.users.models import UserStatus
from tests.auth.mailed import mint
from tests.auth.stored import change_user
from tests.factories import World


async def use(token: str, purpose: Purpose = Purpose.RESET_PASSWORD) -> UUID | None:
    """Whose token it was, or None where it is refused."""
    try:
        async with database.transaction() as session:
            return await one_time_tokens.use(session, token, purpose)
    except InvalidOneTimeToken:
        return None


async def count() -> int:
    async with database.transaction() as session:
        return await session.scalar(select(func.count()).select_from(OneTimeToken)) or 0


@pytest.mark.parametrize("purpose", Purpose)
async def test_a_token_is_good_once_and_for_its_purpose_alone(world: World, purpose: Purpose) -> None:
    person = await world.person()
    token = await mint(person.id, purpose)
    [other] = set(Purpose) - {purpose}
    assert await use(token, other) is None
    assert [await use(token, purpose), await use(token, purpose)] == [person.id, None]


@pytest.mark.parametrize(
    ("purpose", "life"), [(Purpose.VERIFY_EMAIL, timedelta(hours=24)), (Purpose.RESET_PASSWORD, timedelta(minutes=30))]
)
async def test_A11_a_token_expires(world: World, purpose: Purpose, life: timedelta) -> None:
    prompt, tardy = await world.person(), await world.person()
    async with database.transaction() as session:
        minted = await one_time_tokens.mint(session, prompt.id, purpose)
    assert timedelta() <= clock.now() + life - minted.expires_at < timedelta(minutes=1)
    late = await mint(tardy.id, purpose)
    clock.advance(life - timedelta(minutes=1))
    assert await use(minted.token, purpose) == prompt.id
    clock.advance(timedelta(minutes=1))
    assert await use(late, purpose) is None


async def test_a_retried_mail_leaves_the_earlier_good_until_one_is_used(world: World) -> None:
    person, neighbour = await world.person(), await world.person()
    first, second, third = [await mint(person.id) for _ in range(3)]
    verification, foreign = await mint(person.id, Purpose.VERIFY_EMAIL), await mint(neighbour.id)
    assert await use(second) == person.id
    assert [await use(first), await use(third)] == [None, None]
    assert await use(verification, Purpose.VERIFY_EMAIL) == person.id
    assert await use(foreign) == neighbour.id


async def test_the_oldest_beyond_five_are_void(world: World) -> None:
    person, neighbour = await world.person(), await world.person()
    foreign = await mint(neighbour.id)
    tokens = [await mint(person.id) for _ in range(7)]
    assert await count() == 1 + one_time_tokens.MOST_KEPT
    assert [await use(token) for token in tokens[:2]] == [None, None]
    assert await use(tokens[2]) == person.id
    assert await use(foreign) == neighbour.id


async def test_a_token_for_an_address_that_changed_since_is_void(world: World) -> None:
    person = await world.person()
    token = await mint(person.id, Purpose.VERIFY_EMAIL)
    await change_user(person.id, email="new@example.com", email_key="new@example.com")
    assert await use(token, Purpose.VERIFY_EMAIL) is None
    assert await use(await mint(person.id, Purpose.VERIFY_EMAIL), Purpose.VERIFY_EMAIL) == person.id


async def test_who_has_left_is_given_no_token_and_what_they_had_is_void(world: World) -> None:
    person = await world.person()
    token = await mint(person.id)
    await change_user(person.id, status=UserStatus.DELETED)
    assert await use(token) is None
    for user_id in (person.id, uuid4()):
        with pytest.raises(UserNotFound):
            await mint(user_id)


async def test_A11_of_twenty_uses_at_once_one_succeeds(committed: None, world: World) -> None:
    person = await world.person()
    token = await mint(person.id)
    results = await asyncio.gather(*(use(token) for _ in range(20)))
    assert (results.count(person.id), results.count(None)) == (1, 19)


async def test_A11_of_different_tokens_used_at_once_one_succeeds(committed: None, world: World) -> None:
    person = await world.person()
    tokens = [await mint(person.id) for _ in range(5)]
    results = await asyncio.gather(*(use(token) for token in tokens * 4), mint(person.id), mint(person.id))
    assert (results.count(person.id), results.count(None)) == (1, 19)


async def test_lives_are_settings(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    person = await world.person()
    monkeypatch.setattr(config.settings().auth, "reset_minutes", 2)
    token = await mint(person.id)
    clock.advance(timedelta(minutes=2))
    assert await use(token) is None
