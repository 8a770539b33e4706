"""Whatever dies or comes twice, each row lands once and has one verdict."""

import asyncio

import httpx
import pytest
from sqlalchemy import delete, select, text

from src import relay
from src.core import clock, database, spooling
from src.core.events import EventRecord, HandledEvent, OutboxMessage
from src.imports.models import Import, ImportVerdict
from src.listings.models import Listing
from tests.factories import Person, World
from tests.imports.sent import CSV, URL, count, drain, in_parts, outcomes, read, send, sent
from tests.imports.sheets import car, sheet, stored
from tests.listings.stored import nothing_changes

pytestmark = pytest.mark.usefixtures("committed")
# Whoever writes the verdict on this line dies, with all that its transaction did.
DYING = """
CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END$$;
CREATE TRIGGER dying BEFORE INSERT ON import_verdicts FOR EACH ROW WHEN (NEW.line = 6) EXECUTE FUNCTION die();
"""
LIVING = "DROP TRIGGER dying ON import_verdicts; DROP FUNCTION die();"


@pytest.fixture(autouse=True)
def _subscribed() -> None:
    relay.subscribe_all()


async def execute(statements: str) -> None:
    async with database.transaction() as session:
        for statement in filter(str.strip, statements.split(";\n")):
            await session.execute(text(statement.removesuffix(";")))


async def test_a_connection_that_dies_within_a_part_costs_that_part_alone(
    client: httpx.AsyncClient, world: World
) -> None:
    owner = await world.person()
    asked = await sent(client, owner, in_parts(3))
    await execute(DYING)
    try:
        for _ in range(3):
            await relay.deliver_batch()
    finally:
        await execute(LIVING.replace("; ", ";\n"))
    stopped = await read(client, owner, asked["id"])
    assert (stopped["status"], stopped["rows_done"], len(stopped["verdicts"])) == ("running", 3, 3)
    assert await count(Listing) == 3
    await drain()
    found = await read(client, owner, asked["id"])
    assert (found["status"], outcomes(found)) == ("finished", {"published": 9})
    assert [row["line"] for row in found["verdicts"]] == list(range(2, 11))
    assert {row["listing_id"] for row in found["verdicts"]} == {
        str(row.id) for row in (await stored(owner.id)).values()
    }


@pytest.mark.parametrize("is_remembered", [True, False], ids=["claimed", "forgotten"])
async def test_events_that_come_again_do_nothing(client: httpx.AsyncClient, world: World, is_remembered: bool) -> None:
    owner = await world.person()
    asked = await sent(client, owner, in_parts(2))
    await drain()
    before = await read(client, owner, asked["id"])
    async with database.transaction() as session:
        ids = list(await session.scalars(select(EventRecord.id).where(EventRecord.name.like("import.%"))))
        session.add_all(OutboxMessage(event_id=event_id, next_attempt_at=clock.now()) for event_id in ids)
        if not is_remembered:
            await session.execute(delete(HandledEvent))
    events, listings = await count(EventRecord), await count(Listing)
    await drain()
    assert (len(ids), await count(EventRecord), await count(Listing)) == (3, events, listings)
    assert await read(client, owner, asked["id"]) == before


async def test_two_imports_of_the_same_rows_at_once_land_each_once(client: httpx.AsyncClient, world: World) -> None:
    owner = await world.person()
    asked = [await sent(client, owner, in_parts(4)) for _ in range(2)]
    await asyncio.gather(*(drain() for _ in range(4)))
    found = [await read(client, owner, one["id"], limit=100) for one in asked]
    assert [one["status"] for one in found] == ["finished"] * 2
    assert outcomes(found[0]) + outcomes(found[1]) == {"published": 12, "unchanged": 12}
    assert await count(Listing) == 12
    first, second = ({row["line"]: row["listing_id"] for row in one["verdicts"]} for one in found)
    assert first == second


async def test_requests_at_once_keep_to_the_limit(
    client: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As many processes as there are requests.
    monkeypatch.setattr(spooling, "MOST_AT_ONCE", 6)
    monkeypatch.setattr(spooling, "MOST_OF_ONE", 6)
    owner = await world.person()
    answers = await asyncio.gather(*(send(client, owner, sheet(car("1"))) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [409] * 3
    assert await count(Import) == 3


async def keyed(client: httpx.AsyncClient, owner: Person, content: bytes, **params: str) -> httpx.Response:
    return await send(client, owner, content, headers={"Idempotency-Key": "1"}, **params)


async def test_a_file_sent_again_with_its_key_is_one_import(client: httpx.AsyncClient, world: World) -> None:
    owner = await world.person()
    content = in_parts(4)
    first = await keyed(client, owner, content)
    await drain()
    async with nothing_changes():
        again = await keyed(client, owner, content)
        other_file = await keyed(client, owner, content[:-1])
        other_query = await keyed(client, owner, content, draft="true")
    assert (again.status_code, again.content, again.headers["Location"]) == (
        201,
        first.content,
        first.headers["Location"],
    )
    assert again.headers["Idempotency-Replayed"] == "true"
    assert [answer.json()["code"] for answer in (other_file, other_query)] == ["idempotency_key_reused"] * 2
    assert await count(Import) == 1


async def test_the_last_file_that_there_is_room_for_may_be_sent_again(client: httpx.AsyncClient, world: World) -> None:
    owner = await world.person()
    for _ in range(2):
        await sent(client, owner, sheet(car("1")))
    last, again = [await keyed(client, owner, sheet(car("2"))) for _ in range(2)]
    async with nothing_changes():
        another = await send(client, owner, sheet(car("2")), headers={"Idempotency-Key": "2"})
    assert (again.status_code, again.content, another.status_code) == (201, last.content, 409)


async def test_a_refused_file_does_not_use_up_its_key(client: httpx.AsyncClient, world: World) -> None:
    owner = await world.person()
    refused = await keyed(client, owner, b"title\n")
    taken = await keyed(client, owner, sheet(car("1")))
    assert (refused.status_code, taken.status_code) == (422, 201)


async def test_a_deadlock_does_not_ask_for_the_file_again(client: httpx.AsyncClient, world: World) -> None:
    owner = await world.person()
    await execute(DEADLOCKED)
    try:
        answer = await client.post(URL, content=in_parts(2), headers={**owner.headers, **CSV})
    finally:
        await execute(UNLOCKED.replace("; ", ";\n"))
    assert (answer.status_code, answer.json()["rows_total"]) == (201, 6)
    await drain()
    assert (await count(Import), await count(ImportVerdict)) == (1, 6)


# A sequence is not rolled back: only the first attempt fails.
DEADLOCKED = """
CREATE SEQUENCE attempts;
CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN IF nextval('attempts') = 1 THEN RAISE 'lost' USING ERRCODE = 'deadlock_detected'; END IF; RETURN NEW; END$$;
CREATE TRIGGER losing BEFORE INSERT ON import_parts FOR EACH ROW WHEN (NEW.number = 2) EXECUTE FUNCTION lose();
"""
UNLOCKED = "DROP TRIGGER losing ON import_parts; DROP FUNCTION lose(); DROP SEQUENCE attempts;"
