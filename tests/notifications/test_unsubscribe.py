"""One click and a kind of mail stops (RFC 8058); no link does that by itself, and no answer says whose it was."""

import re
from uuid import uuid4

import pytest
from httpx import AsyncClient, Response

from src.auth.events import EmailVerified, PasswordChanged
from src.notifications import unsubscribe_tokens
from src.notifications.kinds import Kind
from tests.factories import World
from tests.listings import stored
from tests.notifications.happenings import happen
from tests.notifications.mailbox import Mailbox, text_of

HOST = "https://api.key2key.example"
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


def address(token: str) -> str:
    return f"/api/v1/notifications/unsubscribe?token={token}"


def link_of(mailbox: Mailbox) -> str:
    """The path that the mail program posts to."""
    shown = str(mailbox.last()["List-Unsubscribe"])
    found = re.fullmatch(rf"<{HOST}(/api/v1/notifications/unsubscribe\b[^>]+)>", shown)
    assert found is not None
    return found[1]


async def is_on(client: AsyncClient, headers: dict[str, str], kind: str) -> bool:
    answer = await client.get("/api/v1/notifications/preferences", headers=headers)
    [on] = [item["is_on"] for item in answer.json()["items"] if (item["kind"], item["channel"]) == (kind, "email")]
    return bool(on)


async def test_one_click_ends_the_kind_of_mail_that_it_came_with_and_no_other(
    client: AsyncClient, world: World, mailbox: Mailbox
) -> None:
    person, other = await world.person(), await world.person()
    await happen(EmailVerified(user_id=person.id))
    assert mailbox.last()["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert f"{HOST}{link_of(mailbox)}" in text_of(mailbox.last())
    for _ in range(2):
        answer = await client.post(link_of(mailbox), data=ONE_CLICK)
        assert answer.status_code == 200
    assert not await is_on(client, person.headers, "welcome")
    assert await is_on(client, person.headers, "listing_expired")
    assert await is_on(client, other.headers, "welcome")
    await happen(EmailVerified(user_id=person.id), EmailVerified(user_id=other.id))
    assert mailbox.recipients == [[person.email], [other.email]]


async def test_a_form_of_several_parts_is_read_as_well(client: AsyncClient, world: World) -> None:
    person = await world.person()
    token = unsubscribe_tokens.issue(person.id, Kind.WELCOME)
    files = {"List-Unsubscribe": (None, "One-Click")}
    answer = await client.post(address(token), files=files)
    assert answer.status_code == 200
    assert not await is_on(client, person.headers, "welcome")


async def test_following_the_link_changes_nothing(client: AsyncClient, world: World) -> None:
    person = await world.person()
    token = unsubscribe_tokens.issue(person.id, Kind.WELCOME)
    async with stored.nothing_changes():
        shown = await client.get(address(token))
        head = await client.head(address(token))
    assert (shown.status_code, head.status_code) == (200, 200)
    assert '<form method="post">' in shown.text
    assert await is_on(client, person.headers, "welcome")


async def test_the_access_log_does_not_hold_the_token(
    client: AsyncClient, world: World, mailbox: Mailbox, caplog: pytest.LogCaptureFixture
) -> None:
    person = await world.person()
    await happen(EmailVerified(user_id=person.id))
    link = link_of(mailbox)
    with caplog.at_level("INFO", logger="access"):
        assert (await client.get(link)).status_code == 200
        assert (await client.post(link, data=ONE_CLICK)).status_code == 200
    lines = [str(record.__dict__) for record in caplog.records if record.name == "access"]
    assert len(lines) == 2
    assert not [line for line in lines if re.split("[/=]", link)[-1] in line]


async def test_security_mail_has_no_way_out(client: AsyncClient, world: World, mailbox: Mailbox) -> None:
    person = await world.person()
    await happen(PasswordChanged(user_id=person.id))
    assert (mailbox.last()["List-Unsubscribe"], mailbox.last()["List-Unsubscribe-Post"]) == (None, None)
    assert "unsubscribe" not in text_of(mailbox.last()).lower() + text_of(mailbox.last(), "html").lower()
    async with stored.nothing_changes():
        token = unsubscribe_tokens.issue(person.id, Kind.PASSWORD_CHANGED)
        assert (await client.post(address(token), data=ONE_CLICK)).status_code == 200


async def test_a_good_token_and_a_bad_one_are_answered_alike(client: AsyncClient, world: World) -> None:
    person = await world.person()
    good = unsubscribe_tokens.issue(person.id, Kind.WELCOME)
    nobodys = unsubscribe_tokens.issue(uuid4(), Kind.WELCOME)
    swapped = good.partition(".")[0] + "." + nobodys.partition(".")[2]
    bad = [await client.post(address(token), data=ONE_CLICK) for token in ("x", nobodys, swapped, good[:-1], "a.b.c")]
    async with stored.nothing_changes():
        bad += [await client.post(address(token), data=ONE_CLICK) for token in ("%F0%9F%94%91", "null", "e30.e30")]
    assert await is_on(client, person.headers, "welcome")
    told = await client.post(address(good), data=ONE_CLICK)
    assert {essence(answer) for answer in bad} == {essence(told)}
    assert not await is_on(client, person.headers, "welcome")


def essence(answer: Response) -> tuple[int, str]:
    return answer.status_code, answer.text


@pytest.mark.parametrize(
    "form", [{}, {"List-Unsubscribe": "one click"}, {"list_unsubscribe": "One-Click"}, {"List-Unsubscribe": ""}]
)
async def test_what_is_not_one_click_is_refused(client: AsyncClient, world: World, form: dict[str, str]) -> None:
    person = await world.person()
    token = unsubscribe_tokens.issue(person.id, Kind.WELCOME)
    async with stored.nothing_changes():
        answer = await client.post(address(token), data=form)
    assert answer.status_code == 422
    assert "/List-Unsubscribe" in [error["pointer"] for error in answer.json()["errors"]]


async def test_a_token_as_long_as_a_book_and_another_type_of_body_are_refused(
    client: AsyncClient, world: World
) -> None:
    person = await world.person()
    token = unsubscribe_tokens.issue(person.id, Kind.WELCOME)
    async with stored.nothing_changes():
        assert (await client.post(address("x" * 5000), data=ONE_CLICK)).status_code == 422
        assert (await client.post(address(token), json=ONE_CLICK)).status_code == 415
    assert await is_on(client, person.headers, "welcome")
