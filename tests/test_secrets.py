"""Canaries in every input: none is in a log line, an event, a task, a metric, an audit row, or what others get."""

import logging as standard
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from httpx import AsyncClient, Response
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from src import relay
from src.core import broker, database, events, logging
from src.core.config import Settings, settings
from src.core.events import Event, emit, on
from src.core.security import Role
from tests.factories import Person, World, property_data, vehicle_data

API = "/api/v1"
PASSWORD = "canary-Pass-9x-sesame"
EMAIL, NAME, ABOUT = "canary.mail@example.com", "Canary Tesfaye", "canary about me"
PHONE, VIN = "911777333", "1HGCM82633A004352"
TITLE, DESCRIPTION, TITLE_NUMBER, REASON = "Canary Vitz", "canary description", "CANARY/77", "canary reason"
TOKEN = "canary.token.0123456789"
CANARIES = ("canary", PHONE, VIN.lower(), VIN[3:13].lower())

# Where facts are, and what waits to be done with them: ids alone.
FACTS = ("events", "outbox", "handled_events", "audit_log", "jobs", "revocations")
HEADERS = {
    "User-Agent": "canary-agent",
    "Referer": "https://canary.example/?token=canary",
    "Cookie": "session=canary-cookie",
    "X-Canary": "canary-header",
    "Idempotency-Key": "canary-key",
}


class DoorOpened(Event, name="test.door_opened"):
    """Something happened."""


class Written:
    """Everything that the application wrote: log records of all levels, standard output and standard error."""

    def __init__(self, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
        self._caplog, self._capfd = caplog, capfd

    def read(self) -> str:
        """The test's own HTTP client left out."""
        ours = [record for record in self._caplog.records if not record.name.startswith(("httpx", "httpcore"))]
        return "\n".join([*(f"{one.getMessage()} {one.__dict__}" for one in ours), self.read_printed()])

    def read_printed(self) -> str:
        """What came out in the end."""
        return "\n".join(self._capfd.readouterr())


@pytest.fixture
def written(
    application: FastAPI, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> Iterator[Written]:
    # The application first: making it sets how much is logged.
    # Of the test's own HTTP client nothing.
    with caplog.at_level(standard.WARNING, logger="httpx"), caplog.at_level(standard.DEBUG):
        yield Written(caplog, capfd)


def found(told: str) -> list[str]:
    """Each canary that is in it, with what is around it."""
    told = told.lower()
    return [told[max(0, told.find(one) - 80) :][:200] for one in CANARIES if one in told]


async def stored(*tables: str) -> str:
    async with database.transaction() as session:
        rows = [list(await session.scalars(text(f"SELECT {name}::text FROM {name}"))) for name in tables]  # noqa: S608
    return str(rows)


async def registered(client: AsyncClient) -> Person:
    """Somebody whose every detail is a canary."""
    account = {"full_name": NAME, "email": EMAIL, "password": PASSWORD}
    made = await client.post(f"{API}/auth/register", json=account, headers=HEADERS)
    assert made.status_code == 201, made.text
    answer = await client.post(f"{API}/auth/login", data={"username": EMAIL, "password": PASSWORD}, headers=HEADERS)
    tokens = answer.json()
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    await client.patch(f"{API}/users/me", json={"phone": f"+251{PHONE}", "about": ABOUT}, headers=HEADERS | bearer)
    return Person(made.json()["id"], EMAIL, PASSWORD, bearer, tokens["refresh_token"])


async def lived(client: AsyncClient, world: World) -> tuple[Person, list[dict[str, Any]]]:
    """That person sells a car and lets a flat, and all that is said about them are canaries."""
    person, moderator = await registered(client), await world.person(Role.MODERATOR)
    vehicle = vehicle_data()["vehicle"] | {"vin": VIN, "make": "Honda", "model": "Accord", "model_year": 2003}
    flat = property_data()["property"] | {"title_number": TITLE_NUMBER}
    said = {"title": TITLE, "description": DESCRIPTION}
    listings = [
        await world.published(person, vehicle_data(**said, vehicle=vehicle)),
        await world.published(person, property_data(**said, property=flat)),
    ]
    await client.post(f"{API}/vehicles/vin", json={"vin": VIN}, headers=person.headers)
    headers = {**person.headers, "If-Match": "*"}
    await client.patch(f"{API}/vehicles/{listings[0]['id']}", json={"title": f"{TITLE} 2"}, headers=headers)
    await world.act(moderator, listings[0], "suspend", reason=REASON)
    return person, listings


def shaped(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, str]:
    """A canary for each member that a body of this schema may have, and one that it may not have."""
    schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    return dict.fromkeys([*schema.get("properties", {}), "canary-member"], "canary-value")


async def bothered(client: AsyncClient, document: dict[str, Any], headers: dict[str, str]) -> list[Response]:
    """Every operation, asked wrongly in several ways, with canaries wherever something can stand."""
    answers = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            address = path.replace("{listing_id}", str(uuid4())).replace("{make}", "x")
            address = f"{address.replace('{', '').replace('}', '')}?q=canary-query&token={TOKEN}&canary=1"
            contents = operation.get("requestBody", {}).get("content", {})
            bodies: list[dict[str, Any]] = [{}, {"content": b'{"canary": "canary-cut', "headers": {}}]
            bodies += [{"json": shaped(document, content["schema"])} for content in contents.values()]
            bodies += [{"data": shaped(document, content["schema"])} for content in contents.values()]
            for body in bodies:
                own = {**HEADERS, **headers, **({"Content-Type": "application/json"} if "content" in body else {})}
                answers.append(await client.request(method, address, **{**body, "headers": own}))
    return answers


@pytest.mark.parametrize("authorization", [None, f"Bearer {TOKEN}", "Basic canary", "somebody"])
async def test_O08_refused_input_is_in_no_log_line(
    app: FastAPI, client: AsyncClient, world: World, written: Written, authorization: str | None
) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    if authorization == "somebody":
        headers = (await world.person()).headers
    answers = await bothered(client, app.openapi(), headers)
    log = written.read()
    assert len(answers) > 100
    assert {answer.status_code // 100 for answer in answers} <= {2, 4}
    assert log.count(f"{API}/") >= len(answers) // 2, "the access log is what is read here"
    assert found(log) == []


async def test_O08_what_people_say_is_in_no_log_line_event_task_audit_row_or_metric(
    client: AsyncClient, world: World, written: Written
) -> None:
    await lived(client, world)
    metrics = (await client.get("/metrics")).text
    facts, log = await stored(*FACTS), written.read()
    assert "listing.published" in facts
    assert "listing.suspend" in facts
    assert f"{API}/auth/login" in log
    assert (found(facts), found(log), found(metrics)) == ([], [], [])


async def test_O08_a_task_holds_ids_alone(client: AsyncClient, world: World) -> None:
    await lived(client, world)
    tasks: list[broker.Task] = []

    class Collecting(broker.Publisher):
        def __init__(self) -> None:
            pass

        async def publish(self, some: Any) -> None:
            tasks.extend(some)

    relay.subscribe_all()
    await relay.publish_batch(Collecting())
    messages = [task.message() for task in tasks]
    assert len(messages) >= 2
    assert found("".join(f"{message.body!r} {message.headers}" for message in messages)) == []


@pytest.fixture
async def forgetting(engine: AsyncEngine) -> AsyncIterator[None]:
    """Ask for this first: connections that have seen tables altered do not stay for the next test."""
    yield
    await engine.dispose()


@pytest.mark.parametrize(
    "trouble",
    [
        "ALTER TABLE users RENAME COLUMN about TO something",
        "ALTER TABLE users ADD CONSTRAINT ck_users_about CHECK (about IS NULL)",
        "ALTER TABLE users DROP COLUMN phone; ALTER TABLE users ADD COLUMN phone integer",
        """CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'odd'; END$$;
           CREATE TRIGGER fail BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION fail()""",
        "ALTER TABLE events RENAME TO elsewhere",
    ],
)
async def test_O08_a_failing_write_tells_neither_its_statement_nor_its_values(
    forgetting: None, client: AsyncClient, world: World, written: Written, trouble: str
) -> None:
    person = await world.person()
    async with database.transaction() as session:
        raw = (await (await session.connection()).get_raw_connection()).driver_connection
        assert raw is not None
        await raw.execute(trouble)
    change = {"about": ABOUT, "phone": f"+251{PHONE}", "full_name": NAME}
    answer = await client.patch(f"{API}/users/me", json=change, headers=person.headers)
    log = written.read()
    assert answer.status_code >= 400
    assert (found(log), found(answer.text)) == ([], [])
    assert not [word for word in ("UPDATE", "users", "odd", "column") if word in answer.text.replace("/users/me", "")]


@pytest.mark.parametrize("style", ["human", "json"])
@pytest.mark.parametrize(
    "values",
    [
        {"email": ABOUT, "number": 1},  # refused by PostgreSQL, which quotes the row
        {"email": f"{ABOUT}\n\nand\ncanary", "number": 1},
        {"email": "fine", "number": ABOUT},  # refused by asyncpg, which quotes the value
    ],
)
async def test_O08_a_handler_that_fails_at_the_database_does_not_tell_the_values(
    committed: None, written: Written, monkeypatch: pytest.MonkeyPatch, style: str, values: dict[str, Any]
) -> None:
    monkeypatch.setattr(events, "_handlers", {})

    @on(DoorOpened)
    async def fail(session: AsyncSession, event: DoorOpened) -> None:
        await session.execute(text("CREATE TEMP TABLE doors (email text UNIQUE, number int) ON COMMIT DROP"))
        statement = text("INSERT INTO doors VALUES (:email, CAST(:number AS int))")
        for _ in range(2):
            await session.execute(statement, values)

    async with database.transaction() as session:
        await emit(session, DoorOpened())
    logging.configure(Settings(log={"format": style}))
    await relay.deliver_batch()
    logging.configure(settings())
    printed = written.read_printed()
    assert "handler_failed" in printed
    assert "(left out)" in printed
    assert found(printed) == []


async def test_O08_others_are_not_told(client: AsyncClient, world: World) -> None:
    _, listings = await lived(client, world)
    stranger = await world.person()
    account = {"full_name": "Abel", "email": EMAIL.upper(), "password": "brown-hyena-41-tej"}
    answers = [
        await client.post(f"{API}/auth/register", json=account),
        await client.post(f"{API}/auth/login", data={"username": EMAIL, "password": "brown-hyena-41-tej"}),
        *[
            await client.request(method, f"{API}/{kind}/{listing['id']}", json={}, headers=stranger.headers)
            for listing in listings
            for kind in ("vehicles", "properties", "listings")
            for method in ("PATCH", "DELETE", "PUT")
        ],
        *[
            await client.post(f"{API}/listings/{listing['id']}/{action}", headers=stranger.headers)
            for listing in listings
            for action in ("submit", "close", "withdraw", "restore")
        ],
    ]
    assert {answer.status_code // 100 for answer in answers} == {4}
    # Her own address comes back to nobody but who sent it.
    assert found("".join(answer.text for answer in answers)) == []


async def test_O08_passwords_and_tokens_are_not_at_rest(client: AsyncClient, world: World) -> None:
    person, _ = await lived(client, world)
    await client.post(f"{API}/auth/refresh", json={"refresh_token": person.refresh_token})
    everything = await stored(
        *(table.name for table in database.Base.metadata.sorted_tables if "cit" not in table.name)
    )
    signatures = [token.rpartition(".")[2] for token in (person.access_token, person.refresh_token)]
    assert EMAIL in everything, "what is read here"
    assert [secret for secret in (PASSWORD, *signatures) if secret in everything] == []
