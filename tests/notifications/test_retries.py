"""Which mail is sent again, and which is not since it may have arrived (C09)."""

from datetime import timedelta

import pytest

from src.auth.events import EmailVerified, PasswordChanged
from src.core import clock
from src.core.database import new_id
from src.notifications import outgoing
from src.notifications.events import MailQueued
from tests import smtp
from tests.factories import World
from tests.notifications.happenings import change, deliveries, event_ids, happen, only_delivery, pass_time
from tests.notifications.mailbox import Mailbox


async def test_c09_ordinary_mail_that_may_have_arrived_is_not_sent_again(world: World, mailbox: Mailbox) -> None:
    person = await world.person()
    mailbox.server.scan = smtp.hang_up
    await happen(EmailVerified(user_id=person.id))
    delivery = await only_delivery()
    assert (delivery.state, delivery.last_error) == ("failed", "uncertain")
    await pass_time(timedelta(days=1))
    assert len(mailbox.mails) == 1


async def test_c09_security_mail_that_may_have_arrived_is_sent_again_as_the_same(
    world: World, mailbox: Mailbox
) -> None:
    person = await world.person()
    mailbox.server.scan = smtp.hang_up
    await happen(PasswordChanged(user_id=person.id))
    delivery = await only_delivery()
    assert (delivery.state, delivery.last_error) == ("pending", "uncertain")
    mailbox.server.scan = None
    await pass_time(timedelta(minutes=1))
    assert ((await only_delivery()).state, len(mailbox.mails)) == ("sent", 2)
    assert len({str(mail["Message-ID"]) for mail in mailbox.mails}) == 1


async def test_c09_ordinary_mail_that_took_too_long_altogether_is_not_sent_again(
    world: World, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await world.person()
    mailbox.server.scan = smtp.say_nothing
    monkeypatch.setattr(outgoing, "SECONDS", 0.5)
    await happen(EmailVerified(user_id=person.id))
    await pass_time(timedelta(days=1))
    assert ((await only_delivery()).last_error, len(mailbox.mails)) == ("uncertain", 1)


async def test_mail_that_is_queued_again_is_no_other_fact(world: World, mailbox: Mailbox) -> None:
    person = await world.person()
    mailbox.refuse("451 Come back later")
    await happen(EmailVerified(user_id=person.id))
    facts = await event_ids(MailQueued.name)
    for _ in range(3):
        await pass_time(timedelta(hours=1))
    mailbox.accept()
    await pass_time(timedelta(hours=1))
    assert ((await only_delivery()).attempts, len(mailbox.mails)) == (5, 1)
    assert (len(facts), await event_ids(MailQueued.name)) == (1, facts)


async def test_mail_that_an_earlier_release_queued_under_another_fact_is_sent_as_well(
    world: World, mailbox: Mailbox
) -> None:
    person = await world.person()
    mailbox.refuse("451 Come back later")
    await happen(EmailVerified(user_id=person.id))
    await change(await only_delivery(), id=new_id())
    mailbox.accept()
    await pass_time(timedelta(minutes=1))
    assert len(mailbox.mails) == 1


@pytest.mark.parametrize("state", ["pending", "sending"])
async def test_mail_of_a_kind_that_only_a_newer_release_knows_waits_and_holds_up_no_other(
    world: World, mailbox: Mailbox, state: str
) -> None:
    people = [await world.person() for _ in range(2)]
    mailbox.refuse("451 Come back later")
    await happen(*(EmailVerified(user_id=person.id) for person in people))
    mailbox.accept()
    unknown, _ = await deliveries()
    await change(unknown, kind="of_tomorrow", state=state, lease_until=clock.now())
    await pass_time(timedelta(minutes=1))
    await outgoing.send(unknown.id)
    assert [(each.state, each.attempts) for each in await deliveries()] == [(state, 1), ("sent", 2)]
    assert mailbox.recipients == [[people[1].email]]
