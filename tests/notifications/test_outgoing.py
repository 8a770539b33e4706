"""What a mail server receives, whatever fails between the event and it (C09)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from httpx import AsyncClient
from sqlalchemy import delete, text

from src import relay
from src.auth.events import EmailVerified, PasswordChanged
from src.core import clock, config, database, events
from src.core.events import Event, emit
from src.core.security import Role
from src.listings.models import ListingStatus
from src.notifications import outgoing
from src.notifications.deliveries import LEASE, MOST_ATTEMPTS
from src.notifications.events import MailQueued
from src.notifications.models import Delivery
from src.users.models import User, UserStatus
from tests.factories import Person, World, vehicle_data
from tests.listings.journeys import Journey
from tests.notifications.happenings import (
    change,
    deliveries,
    event_ids,
    happen,
    look_again,
    only_delivery,
    pass_time,
    settle,
)
from tests.notifications.mailbox import Mailbox, text_of

BUSY, REFUSED = "451 Come back later", "554 Never"


async def queued(fact: Event) -> Delivery:
    """A mail that waits to be sent, since nobody has handled `mail.queued` yet."""
    async with database.transaction() as session:
        await emit(session, fact)
    await relay.deliver_batch()
    return await only_delivery()


async def test_a_mail_that_the_server_took_is_sent(world: World, mailbox: Mailbox) -> None:
    person = await world.person()
    await happen(EmailVerified(user_id=person.id))
    delivery = await only_delivery()
    assert (delivery.state, delivery.attempts, delivery.last_error) == ("sent", 1, None)
    assert delivery.sent_at is not None
    assert mailbox.recipients == [[person.email]]
    assert mailbox.last()["Message-ID"] == f"<{delivery.id}@api.key2key.example>"


async def test_c09_many_senders_at_once_send_one_mail(world: World, mailbox: Mailbox) -> None:
    person = await world.person()
    delivery = await queued(PasswordChanged(user_id=person.id))
    await asyncio.gather(*(outgoing.send(delivery.id) for _ in range(8)))
    await settle()
    assert len(mailbox.mails) == 1
    assert (await only_delivery()).attempts == 1


async def test_c09_an_event_that_is_delivered_again_and_again_is_one_mail(world: World, mailbox: Mailbox) -> None:
    person = await world.person()
    await happen(EmailVerified(user_id=person.id))
    facts = [*await event_ids(EmailVerified.name), *await event_ids(MailQueued.name)]
    assert len(facts) == 2
    async with database.transaction() as session:
        await session.execute(delete(events.HandledEvent))
    handlers = [*events.handlers_of(EmailVerified.name), *events.handlers_of(MailQueued.name)]
    await asyncio.gather(
        *(events.handle(handler, fact) for handler, fact in zip(handlers, facts, strict=True) for _ in range(5))
    )
    await settle()
    assert len(mailbox.mails) == 1
    assert len(await deliveries()) == 1


async def test_c09_a_server_that_is_busy_gets_it_later_and_not_before(world: World, mailbox: Mailbox) -> None:
    person, attempts = await world.person(), []
    mailbox.refuse(BUSY)
    await happen(EmailVerified(user_id=person.id))
    delivery = await only_delivery()
    assert (delivery.state, delivery.last_error) == ("pending", "the server answered 451")
    await outgoing.send(delivery.id)
    for seconds in (55, 10, 115):
        await pass_time(timedelta(seconds=seconds))
        attempts.append((await only_delivery()).attempts)
    assert (attempts, mailbox.mails) == ([1, 2, 2], [])
    mailbox.accept()
    await pass_time(timedelta(seconds=10))
    assert (len(mailbox.mails), (await only_delivery()).state) == (1, "sent")


async def test_c09_a_server_that_is_busy_for_a_day_is_given_up(world: World, mailbox: Mailbox) -> None:
    person, waits = await world.person(), []
    mailbox.refuse(BUSY)
    await happen(EmailVerified(user_id=person.id))
    while (delivery := await only_delivery()).state == "pending":
        waits.append(round((delivery.next_attempt_at - clock.now()) / timedelta(minutes=1)))
        await pass_time(delivery.next_attempt_at - clock.now())
    assert waits[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert timedelta(hours=20) < timedelta(minutes=sum(waits)) < timedelta(hours=26)
    assert (delivery.state, delivery.attempts, mailbox.mails) == ("failed", MOST_ATTEMPTS, [])


async def test_c09_what_the_server_refuses_is_not_sent_again(world: World, mailbox: Mailbox) -> None:
    person = await world.person()
    mailbox.refuse(REFUSED)
    await happen(PasswordChanged(user_id=person.id))
    mailbox.accept()
    await pass_time(timedelta(days=1))
    delivery = await only_delivery()
    assert (delivery.state, delivery.attempts, delivery.last_error) == ("failed", 1, "the server answered 554")
    assert mailbox.mails == []


class Silent:
    """A server that takes connections and says nothing until it hangs up."""

    def __init__(self) -> None:
        self.called, self.hang_up = asyncio.Event(), asyncio.Event()

    async def serve(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.called.set()
        await self.hang_up.wait()
        writer.close()


@asynccontextmanager
async def silent_server(monkeypatch: pytest.MonkeyPatch, seconds: float) -> AsyncIterator[Silent]:
    silent = Silent()
    async with await asyncio.start_server(silent.serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        smtp = config.SmtpSettings(host="127.0.0.1", port=port, security="none", timeout=seconds)
        with monkeypatch.context() as patched:
            patched.setattr(config.settings(), "smtp", smtp)
            yield silent
        silent.hang_up.set()


async def test_c09_a_server_that_says_nothing_holds_up_nothing(
    client: AsyncClient, world: World, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await world.person()
    delivery = await queued(PasswordChanged(user_id=person.id))
    in_transaction = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND state LIKE 'idle in transaction%'"
    )
    async with silent_server(monkeypatch, seconds=30) as silent:
        sending = asyncio.create_task(outgoing.send(delivery.id))
        await asyncio.wait_for(silent.called.wait(), 10)
        async with database.transaction() as session:
            assert await session.scalar(in_transaction) == 0
            assert await session.get_one(Delivery, delivery.id, with_for_update={"nowait": True})
        answer = await client.get("/api/v1/notifications", headers=person.headers)
        assert [item["kind"] for item in answer.json()["items"]] == ["password_changed"]
        silent.hang_up.set()
        await sending
    assert (await only_delivery()).state == "pending"
    await pass_time(timedelta(minutes=1))
    assert len(mailbox.mails) == 1


async def test_c09_a_server_that_takes_too_long_gets_it_later(
    world: World, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await world.person()
    async with silent_server(monkeypatch, seconds=0.1):
        await happen(EmailVerified(user_id=person.id))
    delivery = await only_delivery()
    assert (delivery.state, delivery.attempts) == ("pending", 1)
    await pass_time(timedelta(minutes=1))
    assert len(mailbox.mails) == 1


async def lose_sender(delivery: Delivery) -> None:
    """As if it had died after the server took the mail, and before it noted that."""
    await change(delivery, state="sending", sent_at=None, lease_until=clock.now() + LEASE)


async def test_a_sender_that_died_sends_ordinary_mail_once_at_most(world: World, mailbox: Mailbox) -> None:
    person = await world.person()
    await happen(EmailVerified(user_id=person.id))
    await lose_sender(await only_delivery())
    await look_again()
    assert (await only_delivery()).state == "sending"
    await pass_time(LEASE)
    await pass_time(timedelta(days=1))
    delivery = await only_delivery()
    assert (delivery.state, delivery.last_error, len(mailbox.mails)) == ("failed", "sender_lost", 1)


async def test_a_sender_that_died_sends_security_mail_once_at_least(world: World, mailbox: Mailbox) -> None:
    person = await world.person()
    await happen(PasswordChanged(user_id=person.id))
    await lose_sender(await only_delivery())
    await look_again()
    assert len(mailbox.mails) == 1
    await pass_time(LEASE)
    delivery = await only_delivery()
    assert (delivery.state, len(mailbox.mails)) == ("sent", 2)
    assert len({str(mail["Message-ID"]) for mail in mailbox.mails}) == 1


async def test_a_sender_that_took_too_long_does_not_undo_what_another_did(
    world: World, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await world.person()
    delivery = await queued(PasswordChanged(user_id=person.id))
    async with silent_server(monkeypatch, seconds=30) as silent:
        slow = asyncio.create_task(outgoing.send(delivery.id))
        await asyncio.wait_for(silent.called.wait(), 10)
        config.settings().smtp = config.settings().smtp.model_copy(update={"port": mailbox.server.port})
        await pass_time(LEASE)
        assert (await only_delivery()).state == "sent"
        silent.hang_up.set()
        await slow
    await pass_time(timedelta(hours=1))
    assert ((await only_delivery()).state, len(mailbox.mails)) == ("sent", 1)


async def test_what_was_queued_and_never_taken_is_queued_again(world: World, mailbox: Mailbox) -> None:
    person = await world.person()
    await queued(EmailVerified(user_id=person.id))
    async with database.transaction() as session:
        await session.execute(delete(events.OutboxMessage))
    await look_again()
    assert mailbox.mails == []
    await pass_time(LEASE)
    assert len(mailbox.mails) == 1


async def test_a_taker_whose_clock_is_a_little_behind_sends_at_once(world: World, mailbox: Mailbox) -> None:
    person = await world.person()
    await queued(EmailVerified(user_id=person.id))
    clock.advance(timedelta(seconds=-3))
    await outgoing.send((await only_delivery()).id)
    assert len(mailbox.mails) == 1


async def set_user(person: Person, **values: Any) -> None:
    async with database.transaction() as session:
        user = await session.get_one(User, person.id)
        for name, value in values.items():
            setattr(user, name, value)


async def test_what_is_not_wanted_any_more_when_its_turn_comes_is_skipped(
    client: AsyncClient, world: World, mailbox: Mailbox
) -> None:
    person = await world.person()
    await queued(EmailVerified(user_id=person.id))
    body = {"items": [{"kind": "welcome", "channel": "email", "is_on": False}]}
    answer = await client.put("/api/v1/notifications/preferences", json=body, headers=person.headers)
    await settle()
    assert (answer.status_code, (await only_delivery()).state, mailbox.mails) == (200, "skipped", [])


@pytest.mark.parametrize("fact", [EmailVerified, PasswordChanged])
async def test_who_has_left_when_its_turn_comes_gets_none(world: World, mailbox: Mailbox, fact: Any) -> None:
    person = await world.person()
    await queued(fact(user_id=person.id))
    await set_user(person, status=UserStatus.DELETED)
    await settle()
    assert ((await only_delivery()).state, mailbox.mails) == ("skipped", [])


async def test_what_is_not_so_any_more_when_its_turn_comes_is_skipped(
    manual_review: None, journey: Journey, mailbox: Mailbox
) -> None:
    mailbox.refuse(BUSY)
    listing_id = await journey.start("published")
    await settle()
    mailbox.accept()
    assert (await journey.take("withdraw", listing_id)).is_done
    assert (await journey.seen(listing_id))["status"] == ListingStatus.WITHDRAWN
    await pass_time(timedelta(minutes=1))
    assert ((await only_delivery()).state, mailbox.mails) == ("skipped", [])


@pytest.mark.parametrize(
    "evil",
    [
        "Hana\r\nBcc: everyone@example.com",
        "Hana\nBcc: everyone@example.com\n\nBuy now",
        "Hana <everyone@example.com>, ",
        "=?utf-8?q?Hana=0D=0ABcc:_everyone@example.com?=",
        "Hana\u2028Bcc: everyone@example.com",
    ],
)
async def test_c09_no_name_and_no_title_makes_a_header(
    manual_review: None, journey: Journey, mailbox: Mailbox, evil: str
) -> None:
    await set_user(journey.owner, full_name=evil)
    listing_id = await journey.start("pending_review")
    async with database.transaction() as session:
        await session.execute(text("UPDATE listings SET title = :title"), {"title": evil})
    assert (await journey.take("approve", listing_id)).is_done
    await settle()
    mail = mailbox.last()
    assert mailbox.recipients == [[journey.owner.email]]
    assert [address.addr_spec for address in mail["To"].addresses] == [journey.owner.email]
    assert (mail["Bcc"], mail["Cc"]) == (None, None)
    assert "\n" not in str(mail["Subject"])
    assert {name.lower() for name in mail.keys()} <= {  # noqa: SIM118 - a message is no dictionary
        "from", "to", "subject", "date", "message-id", "auto-submitted", "list-unsubscribe", "list-unsubscribe-post",
        "mime-version", "content-type",
    }  # fmt: skip


async def test_c09_the_longest_of_everything_makes_a_mail_of_bounded_size(
    manual_review: None, world: World, client: AsyncClient, mailbox: Mailbox
) -> None:
    owner = await world.person(full_name="አ" * 120)
    moderator = await world.person(Role.MODERATOR)
    listing = await world.published(owner, vehicle_data(title="አ" * 120))
    await world.act(moderator, listing, "reject", reason="ሐ" * 2000)
    await settle()
    text_ = text_of(mailbox.last())
    assert "ሐ" * 2000 in text_
    assert len(mailbox.last().as_bytes()) < 64_000
    form = {"username": owner.email, "password": owner.password}
    await client.post("/api/v1/auth/login", data=form, headers={"User-Agent": "Q" * 5000})
    await settle()
    assert 0 < text_of(mailbox.last()).count("Q") <= 120
