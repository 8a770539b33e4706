"""Every failure is a problem document of one shape, and tells nothing of how we are made."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from fastapi.exceptions import HTTPException
from httpx import ASGITransport, AsyncClient, Response
from redis.exceptions import ConnectionError as RedisDown
from sqlalchemy import text
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from src.core import config
from src.core.dependencies import SessionDep
from src.core.errors import TooManyRequests
from src.core.strict import Router
from src.main import create_app
from tests.factories import PASSWORD, Person, World, property_data, vehicle_data

MEMBERS = {"type", "title", "status", "detail", "instance", "code", "request_id", "errors"}
SECRET = "hunter2-leaked"
OURS = ("Traceback", "sqlalchemy", "asyncpg", "INSERT", "UPDATE", "SELECT", "violates", "constraint", SECRET, ".py")

FAILURES: dict[str, Exception] = {
    "bug": RuntimeError(SECRET),
    "lookup": KeyError(SECRET),
    "recursion": RecursionError(SECRET),
    "http-400": HTTPException(400, "unreadable"),
    "http-401": HTTPException(401, headers={"WWW-Authenticate": "Bearer"}),
    "http-403": HTTPException(403, SECRET),
    "http-406": HTTPException(406, "unacceptable"),
    "http-413": HTTPException(413, SECRET),
    "http-415": HTTPException(415, SECRET),
    "http-418": HTTPException(418, "teapot"),
    "http-429": HTTPException(429, SECRET, headers={"Retry-After": "7"}),
    "http-500": HTTPException(500, SECRET),
    "http-502": HTTPException(502, SECRET),
    "http-503": HTTPException(503, SECRET),
    "too-many": TooManyRequests(headers={"Retry-After": "7"}),
    "redis": RedisDown(SECRET),
    "pool": PoolTimeoutError(SECRET),
    "network": ConnectionRefusedError(SECRET),
    "slow": TimeoutError(SECRET),
    "starting": asyncpg.CannotConnectNowError(SECRET),
    "closed": asyncpg.InterfaceError(SECRET),
    "farewell": asyncpg.InternalClientError(SECRET),
}
STATUSES = {
    "bug": 500, "lookup": 500, "recursion": 500, "http-400": 422, "http-401": 401, "http-403": 403, "http-406": 422,
    "http-413": 413, "http-415": 415, "http-418": 422, "http-429": 429, "http-500": 500, "http-502": 500,
    "http-503": 503, "too-many": 429, "redis": 503, "pool": 503, "network": 503, "slow": 503,
    "starting": 503, "closed": 503, "farewell": 503,
}  # fmt: skip


async def _fail(name: str) -> None:
    raise FAILURES[name]


async def _execute(session: SessionDep, statement: str) -> None:
    await session.execute(text(statement))


@pytest.fixture
async def failing(storage: None) -> AsyncIterator[AsyncClient]:
    """A client of an application with routes that fail as they are told to."""
    router = Router()
    router.add_api_route("/fail/{name}", _fail, status_code=204)
    router.add_api_route("/execute", _execute, status_code=204)
    made = create_app(config.Settings(debug=True, cors={"origins": ["https://key2key.example"]}))
    made.include_router(router)
    async with AsyncClient(transport=ASGITransport(made), base_url="http://test") as client:
        yield client


def problem_of(answer: Response, status: int) -> dict[str, Any]:
    """The problem document, once its shape is checked."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem.keys() == MEMBERS
    assert problem["status"] == status
    assert problem["request_id"] == answer.headers["X-Request-ID"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert problem["type"] == "urn:key2key:problem:" + problem["code"].replace("_", "-")
    assert not [word for word in OURS if word in answer.text]
    return problem


@pytest.mark.parametrize("name", FAILURES)
async def test_I15_every_failure_is_a_problem_that_tells_nothing(failing: AsyncClient, name: str) -> None:
    problem = problem_of(await failing.get(f"/fail/{name}"), STATUSES[name])
    assert problem["instance"] == f"/fail/{name}"


async def test_I15_a_bug_is_answered_with_id_and_headers_even_across_origins(failing: AsyncClient) -> None:
    headers = {"Origin": "https://key2key.example", "X-Request-ID": "trace-me-please"}
    answer = await failing.get("/fail/bug", headers=headers)
    problem = problem_of(answer, 500)
    assert problem["detail"] == problem["title"] == "Something went wrong on our side"
    assert problem["request_id"] == "trace-me-please"
    assert answer.headers["Access-Control-Allow-Origin"] == "https://key2key.example"


async def test_I15_headers_of_a_failure_are_kept(failing: AsyncClient) -> None:
    assert (await failing.get("/fail/http-401")).headers["WWW-Authenticate"] == "Bearer"
    assert (await failing.get("/fail/http-429")).headers["Retry-After"] == "7"
    assert (await failing.get("/fail/too-many")).headers["Retry-After"] == "7"
    assert (await failing.get("/fail/redis")).headers["Retry-After"] == "2"


async def test_I15_an_unknown_path_is_a_problem(client: AsyncClient) -> None:
    for path in ("/", "/api/v1", "/api/v2/listings", "/favicon.ico", "/docs/assets/nothing.js", "/%00%0d%0aX-Evil:1"):
        problem = problem_of(await client.get(path), 404)
        assert (problem["code"], problem["instance"]) == ("not_found", path)


async def test_I15_an_unknown_method_is_told_every_known_one(client: AsyncClient) -> None:
    listing = "/api/v1/vehicles/01a1fc10-b727-7426-85ce-320caeac1522"
    allowed = {
        "/api/v1/vehicles": "GET, POST, HEAD",
        listing: "GET, PATCH, DELETE, HEAD",
        "/api/v1/users/me": "GET, PATCH, HEAD",
        "/api/v1/auth/login": "POST",
        "/health/live": "GET, HEAD",
        "/docs": "GET, HEAD",
        "/docs/assets/swagger-ui.css": "GET, HEAD",
    }
    for path, methods in allowed.items():
        for method in ("PUT", "TRACE", "OPTIONS", "CONNECT", "QUERY"):
            answer = await client.request(method, path)
            assert problem_of(answer, 405)["code"] == "method_not_allowed"
            assert answer.headers["Allow"] == methods


async def test_I15_any_accept_header_gets_json(client: AsyncClient) -> None:
    for accept in ("text/html", "image/*", "application/xml;q=1", "", "nonsense", "a" * 5000):
        headers = {"Accept": accept}
        problem_of(await client.get("/api/v1/listings/nothing", headers=headers), 422)
        assert (await client.get("/api/v1/listings", headers=headers)).status_code == 200


async def test_I15_refused_bodies_are_problems(client: AsyncClient) -> None:
    json = {"Content-Type": "application/json"}
    problem_of(await client.post("/api/v1/auth/register", content=b" " * 1_048_577, headers=json), 413)
    problem_of(await client.post("/api/v1/auth/register", content=b"{}"), 415)
    problem = problem_of(await client.post("/api/v1/auth/register", content=b"{}", headers=json), 422)
    assert {error["pointer"] for error in problem["errors"]} == {"/full_name", "/email", "/password"}
    assert {error["in"] for error in problem["errors"]} == {"body"}


async def test_I15_over_a_rate_limit_is_a_problem_that_says_when_to_come_back(
    client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config.settings().auth, "login_limit", "1/minute")
    credentials = {"username": "nobody@example.com", "password": PASSWORD}
    problem_of(await client.post("/api/v1/auth/login", data=credentials), 401)
    answer = await client.post("/api/v1/auth/login", data=credentials)
    assert problem_of(answer, 429)["code"] == "too_many_requests"
    assert 1 <= int(answer.headers["Retry-After"]) <= 60


async def test_I15_pointers_are_escaped(client: AsyncClient) -> None:
    body = {"full_name": "Hana", "email": "hana@example.com", "password": PASSWORD, "a/b~c": 1}
    problem = problem_of(await client.post("/api/v1/auth/register", json=body), 422)
    assert [error["pointer"] for error in problem["errors"]] == ["/a~1b~0c"]


async def test_I15_what_was_sent_is_not_repeated(client: AsyncClient) -> None:
    body = {"full_name": "Hana", "email": f"{SECRET}@", "password": SECRET[:7]}
    assert SECRET not in str(problem_of(await client.post("/api/v1/auth/register", json=body), 422))
    malformed = f'{{"password": "{SECRET}"'
    headers = {"Content-Type": "application/json"}
    problem = problem_of(await client.post("/api/v1/auth/register", content=malformed, headers=headers), 422)
    assert SECRET not in str(problem)


async def test_D10_an_address_that_is_taken_is_a_conflict_that_names_it(client: AsyncClient) -> None:
    data = {"full_name": "Hana", "email": "hana@example.com", "password": PASSWORD}
    assert (await client.post("/api/v1/auth/register", json=data)).status_code == 201
    problem = problem_of(await client.post("/api/v1/auth/register", json=data | {"email": "HANA@example.com"}), 409)
    assert problem["code"] == "email_taken"


async def test_D10_of_simultaneous_registrations_one_wins_and_the_others_are_conflicts(
    committed: None, client: AsyncClient
) -> None:
    data = {"full_name": "Hana", "email": "hana@example.com", "password": PASSWORD}
    answers = await asyncio.gather(*(client.post("/api/v1/auth/register", json=data) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 5
    for answer in answers:
        if answer.status_code == 409:
            assert problem_of(answer, 409)["code"] == "email_taken"


async def test_D10_an_external_id_that_is_taken_is_a_conflict_that_names_it(client: AsyncClient, world: World) -> None:
    seller = await world.person()
    await world.draft(seller, vehicle_data(external_id="car-1"))
    for path, data in (("vehicles", vehicle_data()), ("properties", property_data())):
        answer = await client.post(f"/api/v1/{path}", json=data | {"external_id": "car-1"}, headers=seller.headers)
        assert _conflict(answer) == ("external_id_taken", "/external_id")
        other = await world.draft(seller, data)
        url = f"/api/v1/{path}/{other['id']}"
        read = await client.get(url, headers=seller.headers)
        headers = seller.headers | {"If-Match": read.headers["ETag"]}
        refused = await client.patch(url, json={"external_id": "car-1", "title": "Changed"}, headers=headers)
        assert _conflict(refused) == ("external_id_taken", "/external_id")
        assert (await client.get(url, headers=seller.headers)).json() == read.json()
    assert await _count(client, seller) == 3
    await world.draft(await world.person(), vehicle_data(external_id="car-1"))


async def test_D10_of_simultaneous_drafts_with_one_external_id_one_wins(
    committed: None, client: AsyncClient, world: World
) -> None:
    seller = await world.person()
    data = vehicle_data(external_id="car-1")
    drafts = (client.post("/api/v1/vehicles", json=data, headers=seller.headers) for _ in range(6))
    answers = await asyncio.gather(*drafts)
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 5
    assert {_conflict(answer) for answer in answers if answer.status_code == 409} == {
        ("external_id_taken", "/external_id")
    }
    assert await _count(client, seller) == 1


def _conflict(answer: Response) -> tuple[str, str]:
    problem = problem_of(answer, 409)
    [error] = problem["errors"]
    return problem["code"], error["pointer"]


async def _count(client: AsyncClient, seller: Person) -> int:
    return len((await client.get("/api/v1/users/me/listings", headers=seller.headers)).json()["items"])


async def test_D10_null_where_there_must_be_something_is_refused_by_name(client: AsyncClient, world: World) -> None:
    seller = await world.person()
    for path, data, kind in (("vehicles", vehicle_data(), "vehicle"), ("properties", property_data(), "property")):
        listing = await world.draft(seller, data)
        url = f"/api/v1/{path}/{listing['id']}"
        before = await client.get(url, headers=seller.headers)
        for name in ("title", "purpose", "negotiable", "location", "features", kind):
            headers = seller.headers | {"If-Match": before.headers["ETag"]}
            refused = problem_of(await client.patch(url, json={name: None}, headers=headers), 422)
            assert [error["pointer"] for error in refused["errors"]] == [f"/{name}"]
        assert (await client.get(url, headers=seller.headers)).json() == before.json()
    for name in ("full_name", "language"):
        refused = problem_of(await client.patch("/api/v1/users/me", json={name: None}, headers=seller.headers), 422)
        assert [error["pointer"] for error in refused["errors"]] == [f"/{name}"]


VIOLATIONS = {
    "UPDATE listings SET title = NULL": (422, "invalid_input", "/title"),
    "UPDATE listings SET price_amount = -1": (422, "invalid_input", "/price_amount"),
    "UPDATE listings SET latitude = 91": (422, "invalid_input", "/latitude"),
    "UPDATE listings SET country = 'XX'": (422, "invalid_input", "/country"),
    "UPDATE listings SET status = 'gone'": (422, "invalid_input", "/status"),
    "UPDATE vehicles SET model_year = 1": (422, "invalid_input", "/model_year"),
    "UPDATE vehicles SET fuel_type = 'coal'": (422, "invalid_input", "/fuel_type"),
    "UPDATE users SET role = 'king'": (422, "invalid_input", "/role"),
    "UPDATE users SET email_key = 'same'": (409, "email_taken", "/email"),
    "INSERT INTO listing_prices SELECT * FROM listing_prices": (409, "conflict", "/value"),
    "INSERT INTO favourites SELECT id, id, created_at FROM users": (422, "invalid_input", "/listing_id"),
}


@pytest.mark.parametrize("statement", VIOLATIONS)
async def test_D10_a_violated_constraint_names_the_field_and_no_sql(
    failing: AsyncClient, world: World, statement: str
) -> None:
    status, code, pointer = VIOLATIONS[statement]
    await world.draft(await world.person())
    await world.person()
    problem = problem_of(await failing.get("/execute", params={"statement": statement}), status)
    assert problem["code"] == code
    assert [error["pointer"] for error in problem["errors"]] == [pointer]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT CAST('many' AS integer)", "SELECT 2147483647 + 1", "SELECT 1 / 0", "SELECT CAST('2026-02-30' AS date)",
        "SELECT CAST('{' AS jsonb)", "SELECT repeat('a', 2)::varchar(1)::numeric",
    ],
)  # fmt: skip
async def test_D10_a_value_that_the_database_cannot_hold_is_refused(failing: AsyncClient, statement: str) -> None:
    problem = problem_of(await failing.get("/execute", params={"statement": statement}), 422)
    assert problem["detail"] == "A value cannot be stored"


async def test_D10_a_mistake_in_our_sql_is_our_fault(failing: AsyncClient) -> None:
    for statement in ("SELEKT 1", "SELECT nothing FROM nowhere", "SELECT 1; SELECT 2"):
        answer = await failing.get("/execute", params={"statement": statement})
        assert problem_of(answer, 500)["code"] == "internal_error"


async def test_a_lock_that_is_not_free_in_time_is_unavailable(failing: AsyncClient) -> None:
    for state in ("55P03", "40001", "40P01", "57014", "53300", "08006"):
        raising = f"DO $$ BEGIN RAISE EXCEPTION 'busy' USING ERRCODE = '{state}'; END $$"
        answer = await failing.get("/execute", params={"statement": raising})
        assert problem_of(answer, 503)["code"] == "unavailable"
        assert answer.headers["Retry-After"] == "2"


async def test_a_request_id_is_ours_unless_the_client_sent_a_sane_one(client: AsyncClient) -> None:
    for sane in ("a1b2c3d4", "01a1fc10-b727-7426-85ce-320caeac1522", "A.b_c-9" * 9):
        answer = await client.get("/health/live", headers={"X-Request-ID": sane})
        assert answer.headers["X-Request-ID"] == sane
    hostile = (
        b"",
        b"short",
        b"a" * 65,
        b"with space 1",
        b"a\tb-tabbed",
        b"<script>alert</script>",
        b"caf\xc3\xa9-caf\xc3\xa9",
        b"a,b;c=d&e",
    )
    for given in hostile:
        answer = await client.get("/health/live", headers={b"X-Request-ID": given})
        assert UUID(answer.headers["X-Request-ID"]).version == 7
