"""A file through the API: taken, landed, and told of row by row."""

from datetime import timedelta
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text, update

from src import relay
from src.core import clock, config, database, schedule
from src.core.security import Standing, issue_access_token, read_access_token
from src.imports import service
from src.imports.models import Import, ImportPart, ImportVerdict
from src.listings.models import Listing
from src.users.models import User, UserStatus
from tests.factories import World
from tests.imports.sent import CSV, URL, count, drain, in_parts, large, not_to_be_read, outcomes, read, send, sent
from tests.imports.sheets import car, home, sheet, stored
from tests.listings.stored import nothing_changes

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture(autouse=True)
def _subscribed() -> None:
    relay.subscribe_all()


async def test_a_file_lands_in_the_background(client: httpx.AsyncClient, world: World) -> None:
    owner = await world.person()
    content = sheet(car("1"), home("2"), car("3", city=""), car("4", price="much"), car("1"), car("5", Colour="red"))
    answer = await send(client, owner, content)
    asked = answer.json()
    assert (answer.status_code, answer.headers["Location"]) == (201, f"{URL}/{asked['id']}")
    assert (asked["status"], asked["rows_total"], asked["rows_done"], asked["progress"]) == ("queued", 6, 0, 0)
    assert (asked["started_at"], asked["finished_at"], asked["unknown_columns"]) == (None, None, ["colour"])
    await drain()
    found = await read(client, owner, asked["id"])
    assert (found["status"], found["rows_done"], found["progress"], found["failure"]) == ("finished", 6, 1, None)
    assert outcomes(found) == {"published": 3, "draft": 1, "failed": 1, "unchanged": 1}
    listings = {name: str(listing.id) for name, listing in (await stored(owner.id)).items()}
    assert [(row["line"], row["outcome"], row["listing_id"]) for row in found["verdicts"]] == [
        (2, "published", listings["1"]),
        (3, "published", listings["2"]),
        (4, "draft", listings["3"]),
        (5, "failed", None),
        (6, "unchanged", listings["1"]),
        (7, "published", listings["5"]),
    ]
    assert found["verdicts"][2]["problems"] == [{"field": "city", "reason": "is needed to publish"}]
    assert [problem["field"] for problem in found["verdicts"][3]["problems"]] == ["price"]
    assert (await client.get("/api/v1/listings")).json()["total"]["value"] == 3


async def test_defaults_and_drafts_are_asked_for_in_the_query(client: httpx.AsyncClient, world: World) -> None:
    owner = await world.person()
    params = {"draft": True, "default": ["city=Adama", "make=Isuzu=1"]}
    asked = await sent(client, owner, sheet(car("1", city="", make="")), **params)
    await drain()
    found = await read(client, owner, asked["id"])
    assert (found["is_draft"], outcomes(found), found["verdicts"][0]["problems"]) == (True, {"draft": 1}, [])
    assert (await stored(owner.id))["1"].city == "Adama"


async def test_it_lands_part_by_part_and_says_how_far_it_is(client: httpx.AsyncClient, world: World) -> None:
    owner = await world.person()
    asked = await sent(client, owner, in_parts(3))
    seen = []
    for _ in range(2):
        await relay.deliver_batch()
        found = await read(client, owner, asked["id"])
        seen.append((found["status"], found["rows_done"], len(found["verdicts"])))
    assert seen == [("running", 3, 3), ("running", 6, 6)]
    assert await count(ImportPart) == 1
    await drain()
    found = await read(client, owner, asked["id"])
    assert (found["status"], found["rows_done"], await count(ImportPart)) == ("finished", 9, 0)
    assert found["created_at"] <= found["started_at"] <= found["finished_at"]


async def test_verdicts_are_leafed_through_and_asked_for_by_outcome(client: httpx.AsyncClient, world: World) -> None:
    owner = await world.person()
    asked = await sent(client, owner, sheet(*(car(str(n), price="" if n % 3 == 0 else "5") for n in range(1, 8))))
    await drain()
    page = await read(client, owner, asked["id"], limit=3)
    lines = [[row["line"] for row in page["verdicts"]]]
    while page["next_cursor"] is not None:
        page = await read(client, owner, asked["id"], limit=3, cursor=page["next_cursor"])
        lines.append([row["line"] for row in page["verdicts"]])
    assert lines == [[2, 3, 4], [5, 6, 7], [8]]
    failed = await read(client, owner, asked["id"], outcome="failed")
    assert [row["line"] for row in failed["verdicts"]] == [4, 7]
    either = await read(client, owner, asked["id"], outcome=["failed", "draft"], limit=1)
    assert [row["line"] for row in either["verdicts"]] == [4]
    foreign = {"outcome": "published", "cursor": either["next_cursor"]}
    answer = await client.get(f"{URL}/{asked['id']}", params=foreign, headers=owner.headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_cursor")


async def test_ones_own_imports_are_listed_newest_first(client: httpx.AsyncClient, world: World) -> None:
    owner, stranger = await world.person(), await world.person()
    ids = [(await sent(client, owner, sheet(car(str(number)))))["id"] for number in range(3)]
    first = (await client.get(URL, params={"limit": 2}, headers=owner.headers)).json()
    assert [item["id"] for item in first["items"]] == ids[:0:-1]
    params = {"limit": 2, "cursor": first["next_cursor"]}
    second = (await client.get(URL, params=params, headers=owner.headers)).json()
    assert ([item["id"] for item in second["items"]], second["next_cursor"]) == (ids[:1], None)
    assert (await client.get(URL, headers=stranger.headers)).json()["items"] == []
    assert (await client.get(URL, params=params, headers=stranger.headers)).json()["code"] == "bad_cursor"


async def test_an_import_is_its_owners_alone(client: httpx.AsyncClient, world: World) -> None:
    owner, stranger = await world.person(), await world.person()
    asked = await sent(client, owner, sheet(car("1")))
    missing = await client.get(f"{URL}/{uuid4()}", headers=owner.headers)
    theirs = await client.get(f"{URL}/{asked['id']}", headers=stranger.headers)
    for answer in (missing, theirs):
        assert (answer.status_code, answer.json()["code"]) == (404, "import_not_found")
    assert [(await client.get(url)).status_code for url in (URL, f"{URL}/{asked['id']}")] == [401, 401]


async def test_who_may_not_list_is_refused_before_the_file_is_read(client: httpx.AsyncClient, world: World) -> None:
    person = await world.person()
    actor = read_access_token(person.access_token)
    token, _ = issue_access_token(person.id, actor.session_id, actor.role, Standing.SUSPENDED)
    async with nothing_changes():
        anonymous = await client.post(URL, content=not_to_be_read(), headers=CSV)
        suspended = await client.post(URL, content=not_to_be_read(), headers=CSV | {"Authorization": f"Bearer {token}"})
        wrong_query = await send(client, person, not_to_be_read(), default="city")
    assert (anonymous.status_code, anonymous.json()["code"]) == (401, "unauthorized")
    assert (suspended.status_code, suspended.json()["code"]) == (403, "account_suspended")
    assert (wrong_query.status_code, wrong_query.json()["errors"][0]["pointer"]) == (422, "/default/0")


async def test_an_owner_whose_address_is_not_verified_gets_drafts(
    client: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config.settings().auth, "require_verified", True)
    owner = await world.person()
    asked = await sent(client, owner, sheet(car("1")))
    await drain()
    found = await read(client, owner, asked["id"])
    assert (outcomes(found), found["verdicts"][0]["problems"][0]["field"]) == ({"draft": 1}, "row")


async def test_an_import_fails_when_its_owner_may_list_no_more(client: httpx.AsyncClient, world: World) -> None:
    owner = await world.person()
    asked = await sent(client, owner, in_parts(2))
    await relay.deliver_batch()
    async with database.transaction() as session:
        await session.execute(update(User).where(User.id == owner.id).values(status=UserStatus.SUSPENDED))
    await drain()
    found = await read(client, owner, asked["id"])
    assert (found["status"], found["failure"]) == ("failed", "The account is suspended")
    assert (found["rows_done"], await count(Listing), await count(ImportPart)) == (3, 3, 0)


async def test_what_the_database_refuses_costs_only_its_row(client: httpx.AsyncClient, world: World) -> None:
    owner = await world.person()
    rows = [large(str(number), title="Title number 5" if number == 5 else "Another title") for number in range(6)]
    asked = await sent(client, owner, sheet(*rows))
    async with database.transaction() as session:
        await session.execute(text("ALTER TABLE listings ADD CONSTRAINT no_5 CHECK (title NOT LIKE '%5') NOT VALID"))
    try:
        await drain()
    finally:
        async with database.transaction() as session:
            await session.execute(text("ALTER TABLE listings DROP CONSTRAINT no_5"))
    found = await read(client, owner, asked["id"], outcome="failed")
    assert (outcomes(found), [row["line"] for row in found["verdicts"]]) == ({"published": 5, "failed": 1}, [7])


async def test_an_import_that_does_not_get_on_for_a_day_is_given_up(client: httpx.AsyncClient, world: World) -> None:
    owner = await world.person()
    asked = await sent(client, owner, in_parts(2))
    clock.advance(timedelta(hours=23))
    await relay.deliver_batch()
    clock.advance(timedelta(hours=23))
    await schedule.tick()
    assert await count(ImportPart) == 1
    clock.advance(timedelta(hours=1))
    await schedule.tick()
    owner = await world.sign_in(owner.id, owner.email)
    found = await read(client, owner, asked["id"])
    assert (found["status"], found["failure"], found["rows_done"]) == ("failed", "It could not go on", 3)
    assert await count(ImportPart) == 0
    await drain()
    assert await read(client, owner, asked["id"]) == found


async def test_imports_are_forgotten_after_90_days(client: httpx.AsyncClient, world: World) -> None:
    owner = await world.person()
    old = await sent(client, owner, sheet(car("1"), car("2")))
    await drain()
    clock.advance(service.KEPT - timedelta(minutes=1))
    owner = await world.sign_in(owner.id, owner.email)
    recent = await sent(client, owner, sheet(car("3")))
    await drain()
    waiting = await sent(client, owner, sheet(car("4")))
    await schedule.tick()
    assert await count(Import) == 3
    clock.advance(timedelta(minutes=2))
    await schedule.tick()
    clock.advance(timedelta(hours=1))
    await schedule.tick()
    owner = await world.sign_in(owner.id, owner.email)
    left = (await client.get(URL, headers=owner.headers)).json()["items"]
    assert [item["id"] for item in left] == [waiting["id"], recent["id"]]
    assert (await count(ImportVerdict), await count(Listing)) == (1, 3)
    assert (await client.get(f"{URL}/{old['id']}", headers=owner.headers)).status_code == 404
