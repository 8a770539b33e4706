"""Who is told what: from what happened, over HTTP where it happens there, to the feed and the mail server."""

from datetime import timedelta
from email.message import EmailMessage
from typing import Any
from uuid import UUID, uuid4

import pytest
from httpx import AsyncClient
from sqlalchemy import delete, update

from src.auth.events import EmailVerified, PasswordChanged, PasswordResetRequested, VerificationRequested
from src.core import clock, database, events
from src.core.events import Event
from src.core.security import Role
from src.listings import actions
from src.listings.events import ListingExpiring
from src.listings.models import Listing
from src.notifications.kinds import TRAITS
from src.notifications.models import Channel
from src.notifications.rendering import locales, templates
from src.users.models import User, UserStatus
from tests.factories import PASSWORD, Person, World
from tests.listings.journeys import Journey
from tests.notifications.happenings import deliveries, event_ids, happen, kinds_shown, settle
from tests.notifications.mailbox import Mailbox, text_of

API = "/api/v1"
OLD_PHONE, NEW_PHONE = "Key2Key/1.0 (Android 9)", "Key2Key/2.0 (Android 16)"


async def sign_in(client: AsyncClient, person: Person, user_agent: str) -> None:
    form = {"username": person.email, "password": person.password}
    answer = await client.post(f"{API}/auth/login", data=form, headers={"User-Agent": user_agent})
    assert answer.status_code == 200
    await settle()


async def set_user(user_id: UUID, **values: Any) -> None:
    async with database.transaction() as session:
        await session.execute(update(User).where(User.id == user_id).values(values))


async def set_listing(listing_id: str, **values: Any) -> None:
    async with database.transaction() as session:
        await session.execute(update(Listing).where(Listing.id == UUID(listing_id)).values(values))


def test_every_kind_has_its_traits_and_a_mail_in_every_language() -> None:
    assert set(TRAITS) == set(templates())
    assert all(Channel.EMAIL in traits.channels for traits in TRAITS.values())
    assert {"am", "en"} <= set(locales())


def link_in(mail: EmailMessage, page: str) -> str:
    """The token of the link to a page of the client app."""
    start = f"https://key2key.example/{page}?token="
    [link] = [word for word in text_of(mail).split() if word.startswith(start)]
    return link.removeprefix(start)


async def test_from_registration_to_a_new_password_each_mail_leads_to_the_next(
    client: AsyncClient, mailbox: Mailbox
) -> None:
    account = {"full_name": "Abel", "email": "abel@example.com", "password": PASSWORD}
    steps = (
        ("register", account),
        ("verify-email", {"token": "verify-email"}),
        ("forgot-password", {"email": "abel@example.com"}),
        ("reset-password", {"token": "reset-password", "new_password": "striped-hyena-42"}),
    )
    for path, body in steps:
        token = {"token": link_in(mailbox.last(), body["token"])} if "token" in body else {}
        answer = await client.post(f"{API}/auth/{path}", json=body | token)
        assert answer.is_success, answer.text
        await settle()
    kinds = [delivery.kind for delivery in await deliveries()]
    assert kinds == ["verify_email", "welcome", "password_reset", "password_changed"]
    assert mailbox.recipients == [["abel@example.com"]] * 4


async def test_the_mail_to_verify_an_address_has_a_link_that_verifies_it(
    client: AsyncClient, world: World, mailbox: Mailbox
) -> None:
    person = await world.person()
    await happen(VerificationRequested(user_id=person.id))
    token = link_in(mailbox.last(), "verify-email")
    assert mailbox.recipients == [[person.email]]
    answer = await client.post(f"{API}/auth/verify-email", json={"token": token})
    assert answer.status_code == 204
    assert await kinds_shown(person.id) == []


async def test_no_verification_is_asked_for_twice(world: World, mailbox: Mailbox) -> None:
    person = await world.person(email_verified_at=clock.now())
    await happen(VerificationRequested(user_id=person.id))
    assert (await deliveries(), mailbox.mails) == ([], [])


async def test_the_token_stands_in_the_mail_and_nowhere_else(
    world: World, mailbox: Mailbox, capsys: pytest.CaptureFixture[str]
) -> None:
    person = await world.person()
    await happen(PasswordResetRequested(user_id=person.id))
    token = link_in(mailbox.last(), "reset-password")
    rows = await stored_text()
    assert len(token) > 30
    assert token not in rows
    assert token not in "".join(capsys.readouterr())


async def stored_text() -> str:
    """Every row of every table of ours that tells of mail."""
    said = ""
    async with database.transaction() as session:
        for name in ("events", "outbox", "deliveries", "notifications", "one_time_tokens"):
            table = database.Base.metadata.tables[name]
            said += str((await session.execute(table.select())).all())
    return said


@pytest.mark.parametrize(("role", "kind"), [(Role.USER, "welcome"), (Role.BROKER, "welcome_broker")])
async def test_who_has_verified_their_address_is_welcome(world: World, mailbox: Mailbox, role: Role, kind: str) -> None:
    person = await world.person(role)
    await happen(EmailVerified(user_id=person.id))
    assert await kinds_shown(person.id) == [kind]
    assert len(mailbox.mails) == 1


async def test_mail_is_in_the_language_of_the_user(world: World, mailbox: Mailbox) -> None:
    person = await world.person(language="am")
    await happen(PasswordChanged(user_id=person.id))
    subject = str(mailbox.last()["Subject"])
    assert any("\u1200" <= character <= "\u137f" for character in subject)


async def test_a_first_sign_in_and_a_known_device_are_no_news(
    client: AsyncClient, world: World, mailbox: Mailbox
) -> None:
    person = await world.person()
    async with database.transaction() as session:
        await session.execute(delete(database.Base.metadata.tables["sessions"]))
    await sign_in(client, person, OLD_PHONE)
    await sign_in(client, person, OLD_PHONE)
    assert (await kinds_shown(person.id), mailbox.mails) == ([], [])
    await sign_in(client, person, NEW_PHONE)
    assert await kinds_shown(person.id) == ["new_sign_in"]
    assert NEW_PHONE in text_of(mailbox.last())
    await sign_in(client, person, NEW_PHONE)
    assert len(mailbox.mails) == 1


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        ("approve", "listing_approved"),
        ("request-changes", "listing_changes_requested"),
        ("reject", "listing_rejected"),
    ],
)
async def test_owners_hear_what_a_moderator_decided(
    manual_review: None, journey: Journey, mailbox: Mailbox, action: str, kind: str
) -> None:
    listing_id = await journey.start("pending_review")
    assert (await journey.take(action, listing_id)).is_done
    await settle()
    assert await kinds_shown(journey.owner.id) == [kind]
    assert await kinds_shown(journey.first.id) == []
    text = text_of(mailbox.last())
    assert f"https://key2key.example/listings/{listing_id}" in text
    assert ("As agreed." in text) == (action != "approve")


async def test_what_is_published_unseen_is_no_approval(world: World, mailbox: Mailbox) -> None:
    owner = await world.person()
    await world.published(owner)
    await settle()
    assert (await kinds_shown(owner.id), mailbox.mails) == ([], [])


async def test_owners_are_warned_before_a_listing_expires(world: World, mailbox: Mailbox) -> None:
    owner = await world.person()
    listing = await world.published(owner)
    await set_listing(listing["id"], expires_at=clock.now() + timedelta(days=6, hours=23))
    await happen(ListingExpiring(listing_id=UUID(listing["id"]), owner_id=owner.id, days=7))
    assert await kinds_shown(owner.id) == ["listing_expiring"]
    assert "7 days" in str(mailbox.last()["Subject"])


async def test_what_was_renewed_or_is_gone_meanwhile_is_not_warned_of(world: World, mailbox: Mailbox) -> None:
    owner = await world.person()
    listing = await world.published(owner)
    for listing_id in (UUID(listing["id"]), uuid4()):
        await happen(ListingExpiring(listing_id=listing_id, owner_id=owner.id, days=7))
    assert (await kinds_shown(owner.id), mailbox.mails) == ([], [])


async def test_owners_hear_that_a_listing_has_expired(world: World, mailbox: Mailbox) -> None:
    owner = await world.person()
    listing = await world.published(owner)
    async with database.transaction() as session:
        await actions.expire(session, await session.get_one(Listing, UUID(listing["id"])))
    await settle()
    assert await kinds_shown(owner.id) == ["listing_expired"]
    assert listing["title"] in str(mailbox.last()["Subject"])


async def test_the_suspended_get_security_mail_alone_and_the_deleted_none(world: World, mailbox: Mailbox) -> None:
    suspended, deleted = await world.person(status=UserStatus.SUSPENDED), await world.person(status=UserStatus.DELETED)
    for person in (suspended, deleted):
        await happen(PasswordChanged(user_id=person.id), EmailVerified(user_id=person.id))
    assert await kinds_shown(suspended.id) == ["password_changed"]
    assert await kinds_shown(deleted.id) == []
    assert mailbox.recipients == [[suspended.email]]


@pytest.mark.parametrize(("channel", "told"), [("email", (["welcome"], 0)), ("in_app", ([], 1))])
async def test_what_was_switched_off_does_not_come(
    client: AsyncClient, world: World, mailbox: Mailbox, channel: str, told: tuple[list[str], int]
) -> None:
    person = await world.person()
    body = {"items": [{"kind": "welcome", "channel": channel, "is_on": False}]}
    answer = await client.put(f"{API}/notifications/preferences", json=body, headers=person.headers)
    assert answer.status_code == 200
    await happen(EmailVerified(user_id=person.id))
    assert (await kinds_shown(person.id), len(mailbox.mails)) == told


async def test_an_event_that_is_delivered_twice_is_told_once(world: World, mailbox: Mailbox) -> None:
    person = await world.person()
    await happen(EmailVerified(user_id=person.id))
    [event_id] = await event_ids(EmailVerified.name)
    async with database.transaction() as session:
        # As if the claim had been cleaned up, or the handler given another name.
        await session.execute(delete(events.HandledEvent))
    await handled_again(EmailVerified, event_id)
    await settle()
    assert (await kinds_shown(person.id), len(await deliveries()), len(mailbox.mails)) == (["welcome"], 1, 1)


async def handled_again(fact: type[Event], event_id: UUID) -> None:
    for handler in events.handlers_of(fact.name):
        assert await events.handle(handler, event_id)
