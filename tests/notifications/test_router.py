"""The feed and the preferences, as their owner and as others see them."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from httpx import AsyncClient

from src.core import clock, database
from src.core.database import new_id
from src.notifications.kinds import TRAITS
from src.notifications.models import Notification
from src.users.models import UserStatus
from tests.factories import Person, World
from tests.listings import stored

FEED = "/api/v1/notifications"
PREFERENCES = f"{FEED}/preferences"


async def told(person: Person, number: int = 1) -> list[str]:
    """That many entries in somebody's feed; their ids, the oldest first."""
    data = {"listing_id": str(uuid4()), "days": 7}
    rows = [
        Notification(
            id=new_id(),
            user_id=person.id,
            event_id=uuid4(),
            kind="listing_expiring",
            data=data,
            created_at=clock.now(),
        )
        for _ in range(number)
    ]
    async with database.transaction() as session:
        session.add_all(rows)
    return [str(row.id) for row in rows]


async def feed(client: AsyncClient, person: Person, **query: Any) -> dict[str, Any]:
    answer = await client.get(FEED, params=query, headers=person.headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ids(page: dict[str, Any]) -> list[str]:
    return [item["id"] for item in page["items"]]


async def test_the_feed_is_ones_own_newest_first_and_counts_what_is_unread(client: AsyncClient, world: World) -> None:
    person, other = await world.person(), await world.person()
    mine = await told(person, 3)
    await told(other, 2)
    page = await feed(client, person)
    assert (ids(page), page["unread"], page["next_cursor"]) == (mine[::-1], {"value": 3, "capped": False}, None)
    assert page["items"][0].keys() == {"id", "kind", "data", "created_at", "read_at"}
    assert page["items"][0]["data"]["days"] == 7


async def test_pages_neither_repeat_nor_miss_what_is_told_meanwhile(client: AsyncClient, world: World) -> None:
    person = await world.person()
    mine = await told(person, 5)
    first = await feed(client, person, limit=2)
    await told(person)
    second = await feed(client, person, limit=2, cursor=first["next_cursor"])
    third = await feed(client, person, limit=2, cursor=second["next_cursor"])
    assert ids(first) + ids(second) + ids(third) == mine[::-1]
    assert third["next_cursor"] is None


async def test_the_feed_is_filtered_by_what_is_unread(client: AsyncClient, world: World) -> None:
    person = await world.person()
    first, second = await told(person, 2)
    read = await client.post(f"{FEED}/{first}/read", headers=person.headers)
    assert read.status_code == 200
    assert ids(await feed(client, person, unread="true")) == [second]
    assert ids(await feed(client, person, unread="false")) == [first]
    assert (await feed(client, person))["unread"]["value"] == 1


async def test_the_unread_count_is_capped(client: AsyncClient, world: World) -> None:
    person = await world.person()
    await told(person, 1001)
    assert (await feed(client, person, limit=1))["unread"] == {"value": 1000, "capped": True}


async def test_reading_twice_keeps_the_time_of_the_first(client: AsyncClient, world: World) -> None:
    person = await world.person()
    [entry] = await told(person)
    first = await client.post(f"{FEED}/{entry}/read", headers=person.headers)
    clock.advance(timedelta(minutes=5))
    second = await client.post(f"{FEED}/{entry}/read", headers=person.headers)
    assert first.json()["read_at"] is not None
    assert second.json() == first.json()


async def test_reading_all_reads_ones_own_alone(client: AsyncClient, world: World) -> None:
    person, other = await world.person(), await world.person()
    await told(person, 3)
    await told(other)
    assert (await client.post(f"{FEED}/read-all", headers=person.headers)).status_code == 204
    assert (await feed(client, person))["unread"]["value"] == 0
    assert (await feed(client, other))["unread"]["value"] == 1


async def test_what_is_somebody_elses_is_like_nothing_at_all(client: AsyncClient, world: World) -> None:
    person, other = await world.person(), await world.person()
    [entry] = await told(other)
    async with stored.nothing_changes():
        for notification_id in (entry, str(uuid4())):
            answer = await client.post(f"{FEED}/{notification_id}/read", headers=person.headers)
            assert (answer.status_code, answer.json()["code"]) == (404, "notification_not_found")
    assert (await feed(client, other))["unread"]["value"] == 1


async def test_a_cursor_of_somebody_else_or_of_another_filter_is_refused(client: AsyncClient, world: World) -> None:
    person, other = await world.person(), await world.person()
    await told(person, 2)
    cursor = (await feed(client, person, limit=1))["next_cursor"]
    for headers, query in ((other.headers, {}), (person.headers, {"unread": "true"})):
        answer = await client.get(FEED, params={"cursor": cursor, **query}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "bad_cursor")


@pytest.mark.parametrize("query", [{"limit": 0}, {"unread": "perhaps"}, {"cursor": "x" * 1001}, {"kind": "welcome"}])
async def test_bad_parameters_are_named(client: AsyncClient, world: World, query: dict[str, Any]) -> None:
    person = await world.person()
    answer = await client.get(FEED, params=query, headers=person.headers)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [f"/{name}" for name in query]


async def test_nobody_reads_or_writes_without_signing_in(client: AsyncClient, world: World) -> None:
    person = await world.person()
    [entry] = await told(person)
    choice = {"items": [{"kind": "welcome", "channel": "email", "is_on": False}]}
    async with stored.nothing_changes():
        for method, path, body in (
            ("GET", FEED, None),
            ("GET", PREFERENCES, None),
            ("PUT", PREFERENCES, choice),
            ("POST", f"{FEED}/read-all", None),
            ("POST", f"{FEED}/{entry}/read", None),
        ):
            assert (await client.request(method, path, json=body)).status_code == 401, path


async def test_the_suspended_read_their_feed_and_switch_mail_off(client: AsyncClient, world: World) -> None:
    person = await world.person(status=UserStatus.SUSPENDED)
    [entry] = await told(person)
    assert ids(await feed(client, person)) == [entry]
    assert (await client.post(f"{FEED}/{entry}/read", headers=person.headers)).status_code == 200
    body = {"items": [{"kind": "listing_expired", "channel": "email", "is_on": False}]}
    assert (await client.put(PREFERENCES, json=body, headers=person.headers)).status_code == 200


async def preferences(client: AsyncClient, person: Person) -> dict[tuple[str, str], dict[str, Any]]:
    answer = await client.get(PREFERENCES, headers=person.headers)
    assert answer.status_code == 200
    return {(item["kind"], item["channel"]): item for item in answer.json()["items"]}


async def choose(client: AsyncClient, person: Person, *items: tuple[str, str, bool]) -> Any:
    body = {"items": [{"kind": kind, "channel": channel, "is_on": is_on} for kind, channel, is_on in items]}
    return await client.put(PREFERENCES, json=body, headers=person.headers)


async def test_everything_is_on_until_it_is_switched_off_and_security_stays(client: AsyncClient, world: World) -> None:
    person = await world.person()
    shown = await preferences(client, person)
    assert {kind for kind, _ in shown} == set(TRAITS)
    assert all(item["is_on"] for item in shown.values())
    assert {kind for (kind, _), item in shown.items() if not item["is_switchable"]} == {
        "verify_email",
        "password_reset",
        "password_changed",
        "new_sign_in",
    }


async def test_what_is_chosen_stays_and_the_rest_is_left_alone(client: AsyncClient, world: World) -> None:
    person, other = await world.person(), await world.person()
    before = await preferences(client, person)
    off = ("listing_expiring", "email")
    answer = await choose(client, person, (*off, True), (*off, False), ("welcome", "in_app", False))
    assert answer.status_code == 200
    await choose(client, person, ("welcome", "in_app", True))
    after = await preferences(client, person)
    assert [key for key in before if before[key] != after[key]] == [off]
    assert await preferences(client, other) == before


@pytest.mark.parametrize(
    ("kind", "channel", "refusal"),
    [
        ("lottery_won", "email", ("/items/1/kind", "unknown_kind")),
        ("new_sign_in", "email", ("/items/1/kind", "not_switchable")),
        ("welcome", "web_push", ("/items/1/channel", "unknown_channel")),
        ("welcome", "pigeon", ("/items/1/channel", "enum")),
        ("No Slug", "email", ("/items/1/kind", "string_pattern_mismatch")),
    ],
)
async def test_what_cannot_be_chosen_is_named_and_nothing_of_it_is_kept(
    client: AsyncClient, world: World, kind: str, channel: str, refusal: tuple[str, str]
) -> None:
    person = await world.person()
    async with stored.nothing_changes():
        answer = await choose(client, person, ("welcome", "email", False), (kind, channel, False))
    assert answer.status_code == 422
    assert [(error["pointer"], error["code"]) for error in answer.json()["errors"]] == [refusal]
    if refusal[1] == "unknown_kind":
        assert kind in answer.json()["detail"]


@pytest.mark.parametrize("body", [{}, {"items": None}, {"items": [{"kind": "welcome"}]}, {"items": [], "user_id": "x"}])
async def test_a_choice_that_is_none_is_refused(client: AsyncClient, world: World, body: dict[str, Any]) -> None:
    person = await world.person()
    async with stored.nothing_changes():
        assert (await client.put(PREFERENCES, json=body, headers=person.headers)).status_code == 422


async def test_choices_at_the_same_time_do_not_wait_for_each_other_for_ever(
    committed: None, client: AsyncClient, world: World
) -> None:
    person = await world.person()
    kinds = [kind for kind, traits in TRAITS.items() if traits.is_switchable]
    one, other = [(kind, "email", False) for kind in kinds], [(kind, "email", True) for kind in reversed(kinds)]
    answers = await asyncio.gather(*(choose(client, person, *items) for items in (one, other) * 5))
    assert [answer.status_code for answer in answers] == [200] * 10
    after = await preferences(client, person)
    assert len({after[kind, "email"]["is_on"] for kind in kinds}) == 1
