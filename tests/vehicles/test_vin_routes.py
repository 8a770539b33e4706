"""The verdict on a VIN over HTTP: asked for, and kept with a vehicle for its owner and moderators."""

import logging
from typing import Any

import pytest
from httpx import AsyncClient, Response
from sqlalchemy import select

from src.core import config, database
from src.core.events import EventRecord
from src.core.security import Role
from src.users.models import UserStatus
from tests.factories import Person, World, vehicle_data
from tests.listings import stored

API = "/api/v1/vehicles"
VIN = "JTDKB20U093123456"


def car(**overrides: Any) -> dict[str, Any]:
    return vehicle_data(vehicle=vehicle_data()["vehicle"] | {"vin": VIN} | overrides)


async def ask(client: AsyncClient, person: Person | None, **body: Any) -> Response:
    return await client.post(f"{API}/vin", json=body, headers=person.headers if person else {})


def codes(verdict: dict[str, Any]) -> list[str]:
    return [doubt["code"] for doubt in verdict["warnings"]]


async def test_whoever_is_signed_in_may_ask_and_nothing_is_stored(client: AsyncClient, world: World) -> None:
    person, suspended = await world.person(), await world.person(status=UserStatus.SUSPENDED)
    async with stored.nothing_changes():
        answer = await ask(client, person, vin=" 1m8gdm9axkp042788 ", make="Toyota", model_year=1990)
        assert (await ask(client, suspended, vin=VIN)).status_code == 200
        refused = await ask(client, None, vin=VIN)
    assert refused.status_code == 401
    verdict = answer.json()
    assert (answer.status_code, codes(verdict)) == (200, ["model_year_differs", "make_differs"])
    assert verdict | {"warnings": []} == {
        "format": "vin",
        "wmi": "1M8",
        "maker": "Motor Coach Industries",
        "country": "US",
        "check_digit": "ok",
        "model_years": [1989],
        "warnings": [],
    }


@pytest.mark.parametrize(
    ("body", "pointer", "said"),
    [
        ({}, "/vin", "Field required"),
        ({"vin": ""}, "/vin", "at least 4"),
        ({"vin": "1M8GDM9AXKPO42788"}, "/vin", "character 12 is 'O'"),
        ({"vin": VIN + "1"}, "/vin", "at most 17"),
        ({"vin": VIN[:-1]}, "/vin", "a VIN has 17 characters"),
        ({"vin": VIN[:-1], "model_year": 1981}, "/vin", "a model_year before 1981"),
        ({"vin": 1}, "/vin", "string"),
        ({"vin": VIN, "model_year": 1884}, "/model_year", "1885"),
        ({"vin": VIN, "colour": "red"}, "/colour", "Extra"),
    ],
)
async def test_what_cannot_be_a_vin_is_refused_by_name(
    client: AsyncClient, world: World, body: dict[str, Any], pointer: str, said: str
) -> None:
    answer = await ask(client, await world.person(), **body)
    [error] = answer.json()["errors"]
    assert (answer.status_code, error["pointer"]) == (422, pointer)
    assert said in error["detail"]


async def test_asking_too_often_is_refused_for_that_user(
    client: AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config.settings().vehicles, "vin_limit", "2/minute")
    eager, other = await world.person(), await world.person()
    answers = [await ask(client, eager, vin=VIN) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
    assert (await ask(client, other, vin=VIN)).status_code == 200


async def test_a_doubtful_vin_is_saved_with_its_verdict(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    draft = await world.draft(owner, car(make="Honda", model_year=2012))
    assert draft["vehicle"]["vin"] == VIN
    verdict = draft["vehicle"]["vin_verdict"]
    assert (verdict["maker"], codes(verdict)) == ("Toyota", ["model_year_doubtful", "make_differs"])
    asked = await ask(client, owner, vin=VIN, make="Honda", model_year=2012)
    assert asked.json() == verdict
    assert (await world.act(owner, draft, "submit"))["status"] == "published"


async def test_the_verdict_follows_every_edit_of_what_it_judges(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    draft = await world.draft(owner, car(vin=None))
    assert draft["vehicle"]["vin_verdict"] is None
    steps: list[tuple[dict[str, Any], list[str] | None]] = [
        ({"vin": VIN}, ["model_year_doubtful"]),
        ({"model_year": 2009}, []),
        ({"make": "Honda"}, ["make_differs"]),
        ({"color": "red"}, ["make_differs"]),
        ({"vin": None}, None),
    ]
    for change, expected in steps:
        headers = {**owner.headers, "If-Match": "*"}
        answer = await client.patch(f"{API}/{draft['id']}", json={"vehicle": change}, headers=headers)
        verdict = answer.json()["vehicle"]["vin_verdict"]
        assert (verdict and codes(verdict)) == expected, change


async def test_Z04_the_verdict_is_for_the_owner_and_moderators(client: AsyncClient, world: World) -> None:
    owner, stranger = await world.person(), await world.person()
    moderator = await world.person(Role.MODERATOR)
    listing = await world.published(owner, car())
    for person in (None, stranger, owner, moderator):
        headers = person.headers if person else {}
        for path in (API, "/api/v1/listings"):
            read = (await client.get(f"{path}/{listing['id']}", headers=headers)).json()["vehicle"]
            is_private = person in (owner, moderator)
            assert (read["vin_verdict"] is not None) == is_private
            assert (read["vin"] == VIN) == is_private
        found = (await client.get(API, headers=headers)).json()["items"]
        assert [item["vehicle"]["vin_verdict"] for item in found] == [None]


async def test_a_vehicle_from_before_the_standard_keeps_its_chassis_number(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    old = {"vin": "1187654", "make": "Volkswagen", "model_year": 1968}
    listing = await world.published(owner, car(**old))
    assert (listing["vehicle"]["vin"], listing["vehicle"]["vin_verdict"]["format"]) == ("1187654", "chassis_number")
    public = (await client.get(f"{API}/{listing['id']}")).json()["vehicle"]["vin"]
    assert public == "**********"
    url, headers = f"{API}/{listing['id']}", {**owner.headers, "If-Match": "*"}
    async with stored.nothing_changes():
        alone = await client.patch(url, json={"vehicle": {"vin": "118765"}}, headers=headers)
        saved = await client.post(API, json=car(vin="1187654", model_year=2012), headers=owner.headers)
    for answer in (alone, saved):
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/vehicle/vin")
    younger = await client.patch(url, json={"vehicle": {"model_year": 1990}}, headers=headers)
    assert codes(younger.json()["vehicle"]["vin_verdict"]) == ["too_short"]


async def test_O08_a_vin_is_in_no_event_and_in_no_log(
    client: AsyncClient, world: World, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    owner = await world.person()
    draft = await world.draft(owner, car())
    await client.patch(
        f"{API}/{draft['id']}", json={"vehicle": {"model_year": 2009}}, headers={**owner.headers, "If-Match": "*"}
    )
    await ask(client, owner, vin=VIN)
    await ask(client, owner, vin=VIN.replace("0", "O"))
    async with database.transaction() as session:
        events = [str(data) for data in await session.scalars(select(EventRecord.data))]
    written = capsys.readouterr()
    assert len(events) == 2
    for text in (*events, caplog.text, written.out, written.err):
        assert VIN not in text
        assert VIN[-6:] not in text
