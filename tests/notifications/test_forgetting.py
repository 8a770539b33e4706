"""Mail and feeds do not grow for ever."""

from datetime import timedelta

import pytest
from httpx import AsyncClient

from src.auth.events import EmailVerified, PasswordChanged
from src.core import clock, database
from src.notifications import tasks
from tests.factories import World
from tests.notifications.happenings import change, deliveries, happen, kinds_shown
from tests.notifications.mailbox import Mailbox


async def forget() -> int:
    """As the schedule does once a day: how often it was called until no more was waiting."""
    calls = 1
    while await _forget_some():
        calls += 1
    return calls


async def _forget_some() -> bool | None:
    async with database.transaction() as session:
        return await tasks.forget_old(session)


async def test_mail_and_what_was_read_is_kept_for_90_days_and_what_was_not_for_180(
    client: AsyncClient, world: World, mailbox: Mailbox
) -> None:
    person, kept = await world.person(), []
    await happen(PasswordChanged(user_id=person.id))
    assert (await client.post("/api/v1/notifications/read-all", headers=person.headers)).status_code == 204
    await happen(EmailVerified(user_id=person.id))
    for days in (89, 2, 88, 2):
        clock.advance(timedelta(days=days))
        await forget()
        kept.append((len(await deliveries()), await kinds_shown(person.id)))
    assert kept == [(2, ["password_changed", "welcome"]), (0, ["welcome"]), (0, ["welcome"]), (0, [])]


async def test_mail_of_a_kind_that_no_code_knows_any_more_does_not_wait_for_ever(
    world: World, mailbox: Mailbox
) -> None:
    await happen(EmailVerified(user_id=(await world.person()).id))
    [delivery] = await deliveries()
    await change(delivery, kind="of_yesterday", state="pending")
    clock.advance(timedelta(days=91))
    await forget()
    assert await deliveries() == []


async def test_many_are_forgotten_batch_by_batch(
    world: World, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "FORGOTTEN_AT_ONCE", 2)
    person = await world.person()
    await happen(*(PasswordChanged(user_id=person.id) for _ in range(5)))
    clock.advance(timedelta(days=181))
    assert await forget() == 3
    assert (await deliveries(), await kinds_shown(person.id)) == ([], [])
