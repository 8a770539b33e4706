"""Files that are refused whole: the answer says why, and nothing is kept."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from src import relay
from src.core import config
from tests.factories import World
from tests.imports.sent import URL, drain, not_to_be_read, outcomes, read, send, sent
from tests.imports.sheets import car, sheet, written
from tests.listings.stored import nothing_changes

pytestmark = pytest.mark.usefixtures("committed")
GOOD = sheet(car("1"))


@pytest.fixture(autouse=True)
def _subscribed() -> None:
    relay.subscribe_all()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "The file is empty"),
        (b"\xef\xbb\xbf\r\n", "The file is empty"),
        (written([list(car(""))]), "no rows"),
        (b"title,price\nToyota,5\n", "The header lacks external_id, kind, purpose, currency"),
        (written([[*car("1"), "Price"], [*car("1").values(), "5"]]), "price more than once"),
        (written([[*car("1"), *map(str, range(200))], ["1"]]), "more than 200 columns"),
        (b'"external_id,kind\n1,2\n', "The header, in line 1, has a quote that is not closed"),
        (GOOD.replace(b"Toyota Vitz", b"Toyota\nV\xeftz"), "line 3 is the first"),
        (GOOD + "ቪትዝ".encode()[:-1], "not UTF-8: line 3"),
        (GOOD.decode().encode("utf-16"), "not UTF-8: line 1"),
        (b"\0" * 1000, "The header lacks"),
        (b"x" * 200_000, "The header, in line 1, is longer than 128 KiB"),
        (GOOD + b"\n".join([b"short"] * 100_000), "more than 100,000 rows"),
        (GOOD + b'" "\n' * 100_001, "more than 100,000 blank rows"),
    ],
    ids=lambda value: str(value)[:20],
)
async def test_a_file_that_cannot_be_imported_is_refused_whole(
    client: httpx.AsyncClient, world: World, content: bytes, said: str
) -> None:
    owner = await world.person()
    async with nothing_changes():
        answer = await send(client, owner, content)
    assert (answer.status_code, answer.json()["code"]) == (422, "sheet_refused")
    [fault] = answer.json()["errors"]
    assert said in fault["detail"]


async def test_a_hundred_thousand_rows_are_taken(client: httpx.AsyncClient, world: World) -> None:
    owner = await world.person()
    asked = await sent(client, owner, GOOD + b"\n".join([b"short"] * 99_999))
    assert asked["rows_total"] == 100_000


@pytest.mark.parametrize(
    ("params", "pointer"),
    [
        ({"default": "colour=red"}, "/default"),
        ({"default": ["city=Adama", "city"]}, "/default/1"),
        ({"default": "city="}, "/default/0"),
        ({"default": "city=" + "x" * 2000}, "/default/0"),
        ({"draft": "perhaps"}, "/draft"),
        ({"publish": "true"}, "/publish"),
    ],
)
async def test_a_parameter_that_will_not_do_is_named(
    client: httpx.AsyncClient, world: World, params: dict[str, Any], pointer: str
) -> None:
    owner = await world.person()
    async with nothing_changes():
        answer = await send(client, owner, GOOD, **params)
    assert answer.status_code == 422
    assert [(fault["in"], fault["pointer"]) for fault in answer.json()["errors"]] == [("query", pointer)]


@pytest.mark.parametrize("media_type", ["application/json", "multipart/form-data; boundary=x", "text/csvx", ""])
async def test_only_csv_is_read(client: httpx.AsyncClient, world: World, media_type: str) -> None:
    owner = await world.person()
    async with nothing_changes():
        answer = await send(client, owner, GOOD, headers={"Content-Type": media_type})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


async def test_it_may_say_what_it_is_in_more_words(client: httpx.AsyncClient, world: World) -> None:
    owner = await world.person()
    answer = await send(client, owner, GOOD, headers={"Content-Type": "Text/CSV; charset=utf-8; header=present"})
    assert answer.status_code == 201


async def test_a_file_may_be_larger_than_other_bodies_and_not_endless(client: httpx.AsyncClient, world: World) -> None:
    owner = await world.person()
    limit = config.settings().imports.body_limit_bytes

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"\n" * 2**20

    async with nothing_changes():
        told = await send(client, owner, GOOD, headers={"Content-Length": str(limit + 1)})
        untold = await send(client, owner, endless())
        elsewhere = await client.post("/api/v1/vehicles", content=b" " * (2**20 + 1), headers=owner.headers)
    for answer in (told, untold, elsewhere):
        assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")
    large = await send(client, owner, GOOD + b"\n" * 2**20 + b",\r\n" * 2**20)
    assert large.status_code == 201


async def test_a_client_that_goes_away_leaves_nothing(client: httpx.AsyncClient, world: World) -> None:
    owner, application = await world.person(), client._transport.app  # type: ignore[attr-defined]
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": GOOD, "more_body": True},
        {"type": "http.disconnect"},
    ]
    headers = [(b"authorization", owner.headers["Authorization"].encode()), (b"content-type", b"text/csv")]
    scope = {"type": "http", "method": "POST", "path": URL, "raw_path": URL.encode(), "query_string": b""}
    answers = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def answer(message: dict[str, Any]) -> None:
        answers.append(message.get("status"))

    async with nothing_changes():
        await application(scope | {"headers": headers, "client": ("127.0.0.1", 1)}, receive, answer)
    assert answers[0] == 400


async def test_a_cell_that_cannot_be_stored_costs_its_row(client: httpx.AsyncClient, world: World) -> None:
    owner = await world.person()
    rows = [car("1", title="Toyota\0Vitz"), car("2", landmark="x" * 200_000), car("3"), car("4", title="\ufffe abc")]
    asked = await sent(client, owner, sheet(*rows))
    await drain()
    found = await read(client, owner, asked["id"], outcome="failed")
    assert outcomes(found) == {"published": 1, "failed": 3}
    faults = {row["line"]: [problem["field"] for problem in row["problems"]] for row in found["verdicts"]}
    assert faults == {2: ["title"], 3: ["row"], 5: ["title"]}


async def test_files_are_counted(client: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config.settings().imports, "limit", "1/hour")
    owner, other = await world.person(), await world.person()
    answers = [await send(client, person, GOOD) for person in (owner, owner, other)]
    assert [answer.status_code for answer in answers] == [201, 429, 201]


async def test_three_imports_may_be_under_way(client: httpx.AsyncClient, world: World) -> None:
    owner, other = await world.person(), await world.person()
    for _ in range(3):
        await sent(client, owner, GOOD)
    async with nothing_changes():
        answer = await send(client, owner, not_to_be_read())
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_imports")
    await sent(client, other, GOOD)
    await drain()
    await sent(client, owner, GOOD)
