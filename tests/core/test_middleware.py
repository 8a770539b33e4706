"""What every answer carries, whatever happened: id, security headers, who may read it; and one line in the log."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from logging import getLogger
from pathlib import Path
from typing import Any

import pytest
import structlog
import uvicorn
from anyio import connect_tcp
from httpx import ASGITransport, AsyncClient

from src.cli import _uvicorn_config
from src.core import config, logging
from src.core.config import Environment, Settings
from src.core.strict import Router
from src.main import create_app

ORIGINS = ["https://key2key.example", "https://app.key2key.example"]
PRODUCTION: dict[str, Any] = {
    "environment": Environment.PRODUCTION,
    "auth": {"secret_key": "9f1c4be07a52d86e31bb07c2f4d98a65", "bcrypt_rounds": 12},
    "database": {"url": "postgresql://k2k:pw@127.0.0.1:1/k2k"},
    "redis": {"url": "redis://127.0.0.1:1"},
    "amqp": {"url": "amqp://k2k:pw@127.0.0.1:1"},
    "smtp": {"host": "127.0.0.1"},
    "public_url": "https://key2key.example",
}
Calling = Callable[..., AbstractAsyncContextManager[AsyncClient]]


async def _fail() -> None:
    raise RuntimeError("a secret in a message")


@pytest.fixture
def calling(storage: None) -> Any:
    """`async with calling(**settings)`: a client of an application of its own; its logging ends with the test."""

    @asynccontextmanager
    async def made(**overrides: Any) -> AsyncIterator[AsyncClient]:
        app, router = create_app(Settings(**overrides)), Router()
        router.add_api_route("/fail", _fail)
        app.include_router(router)
        # The test's client would log too.
        getLogger("httpx").setLevel("WARNING")
        async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
            yield client

    yield made
    logging.configure(config.settings())


SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}


async def test_O15_every_answer_has_the_security_headers(calling: Calling) -> None:
    async with calling() as client:
        answers = [await client.get(path) for path in ("/health/live", "/nothing", "/api/v1/listings/x", "/fail")]
        answers.append(await client.post("/api/v1/vehicles", content=b"x", headers={"Content-Encoding": "gzip"}))
    assert [answer.status_code for answer in answers] == [200, 404, 422, 500, 415]
    for answer in answers:
        assert {name: answer.headers.get(name) for name in SECURITY_HEADERS} == SECURITY_HEADERS
        assert "geolocation=()" in answer.headers["Permissions-Policy"]


@pytest.mark.parametrize("environment", [Environment.STAGING, Environment.PRODUCTION])
async def test_O15_outside_development_browsers_are_told_to_stay_with_https(
    calling: Calling, environment: Environment
) -> None:
    async with calling(**PRODUCTION | {"environment": environment}) as client:
        for path in ("/health/live", "/nothing", "/fail"):
            answer = await client.get(path)
            assert answer.headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"


async def test_O15_in_development_they_are_not(calling: Calling) -> None:
    async with calling() as client:
        assert "Strict-Transport-Security" not in (await client.get("/health/live")).headers


async def test_O15_the_server_does_not_say_what_it_is(storage: None) -> None:
    settings = config.settings().model_copy(update={"port": 0})
    made = _uvicorn_config(create_app(settings), settings)
    made.lifespan = "off"
    made.load()
    server = uvicorn.Server(made)
    server.lifespan = made.lifespan_class(made)
    await server.startup()
    port = server.servers[0].sockets[0].getsockname()[1]
    async with await connect_tcp("127.0.0.1", port) as stream:
        await stream.send(b"GET /health/live HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        answer = (await stream.receive()).lower()
    await server.shutdown()
    assert answer.startswith(b"http/1.1 200")
    assert b"\r\nserver:" not in answer
    assert b"uvicorn" not in answer
    assert b"x-powered-by" not in answer


async def test_configured_origins_may_call(calling: Calling) -> None:
    preflight = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "authorization,if-match"}
    async with calling(cors={"origins": ORIGINS}) as client:
        for origin in ORIGINS:
            allowed = await client.options("/api/v1/vehicles", headers={"Origin": origin, **preflight})
            assert (allowed.status_code, allowed.headers["Access-Control-Allow-Origin"]) == (200, origin)
            assert "PATCH" in allowed.headers["Access-Control-Allow-Methods"]
            answer = await client.get("/fail", headers={"Origin": origin})
            assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (500, origin)
            assert "ETag" in answer.headers["Access-Control-Expose-Headers"]
            assert "Origin" in answer.headers["Vary"]


async def test_A18_other_origins_may_not_call(calling: Calling) -> None:
    others = (
        "null", "http://key2key.example", "https://evil.example", "https://key2key.example.evil.example", "*", "",
        "https://evil-key2key.example", "https://key2key.example:8443", "https://KEY2KEY.example", "file://",
    )  # fmt: skip
    async with calling(cors={"origins": ORIGINS}) as client:
        for origin in others:
            headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            for answer in (
                await client.options("/api/v1/vehicles", headers=headers),
                await client.get("/health/live", headers=headers),
            ):
                assert "Access-Control-Allow-Origin" not in answer.headers, origin
                assert "Access-Control-Allow-Credentials" not in answer.headers


async def test_without_configured_origins_nobody_else_may_call(calling: Calling) -> None:
    async with calling() as client:
        headers = {"Origin": "https://key2key.example", "Access-Control-Request-Method": "POST"}
        assert (await client.options("/api/v1/vehicles", headers=headers)).status_code == 405
        assert "Access-Control-Allow-Origin" not in (await client.get("/health/live", headers=headers)).headers


@pytest.fixture
def log_file(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "key2key.log"


def lines_of(log_file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log_file.read_text().splitlines()]


def access_lines(log_file: Path) -> list[dict[str, Any]]:
    return [line for line in lines_of(log_file) if line["logger"] == "access"]


async def test_each_request_is_one_line_without_query_and_body(calling: Calling, log_file: Path) -> None:
    async with calling(log={"file": log_file, "level": "INFO"}) as client:
        headers = {"X-Request-ID": "find-me-please", "Authorization": "Bearer canary-token", "Cookie": "canary=cookie"}
        await client.post(
            "/api/v1/auth/refresh?token=canary-query", json={"refresh_tokeN": "canary-body"}, headers=headers
        )
    [line] = access_lines(log_file)
    assert line.items() >= {
        "event": "request", "level": "info", "method": "POST", "path": "/api/v1/auth/refresh", "status": 422,
        "request_id": "find-me-please", "ip": "127.0.0.1",
    }.items()  # fmt: skip
    assert 0 <= line["ms"] < 60_000
    assert "canary" not in str(lines_of(log_file))


async def test_refused_and_failed_requests_are_logged_too(calling: Calling, log_file: Path) -> None:
    async with calling(log={"file": log_file, "level": "INFO"}) as client:
        await client.get("/nothing")
        await client.get("/fail")
        await client.head("/health/live")
        await client.post("/api/v1/vehicles", content=b" " * 1_048_577)
    logged = [(line["method"], line["path"], line["status"]) for line in access_lines(log_file)]
    assert logged == [
        ("GET", "/nothing", 404), ("GET", "/fail", 500), ("HEAD", "/health/live", 200),
        ("POST", "/api/v1/vehicles", 413),
    ]  # fmt: skip


async def test_I11_line_breaks_and_escapes_in_paths_and_headers_stay_in_one_line(
    calling: Calling, log_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forged = '%0d%0a{"event":"forged"}%0a%1b[31mred%e2%80%a8%c2%85end'
    async with calling(log={"file": log_file, "level": "INFO"}) as client:
        headers = {b"X-Request-ID": b"abc\r\n{forged}-and-long-enough", b"User-Agent": b"a\r\nforged"}
        await client.get(f"/nothing/{forged}", headers=headers)
    printed = capsys.readouterr().err
    assert len(lines_of(log_file)) == len(printed.splitlines()) == 1
    assert "%5B31mred%E2" in printed
    [line] = access_lines(log_file)
    assert line["path"] == "/nothing/%0D%0A%7B%22event%22%3A%22forged%22%7D%0A%1B%5B31mred%E2%80%A8%C2%85end"
    assert "forged" not in line["request_id"]


async def test_long_paths_do_not_flood_the_log(calling: Calling, log_file: Path) -> None:
    async with calling(log={"file": log_file, "level": "INFO"}) as client:
        await client.get("/" + "a" * 60_000)
    [line] = access_lines(log_file)
    assert len(line["path"]) == 1000


async def test_a_bug_leaves_its_trace_in_the_log_and_nowhere_else(calling: Calling, log_file: Path) -> None:
    async with calling(log={"file": log_file}) as client:
        answer = await client.get("/fail", headers={"X-Request-ID": "trace-me-please"})
    assert "secret" not in answer.text
    [line] = lines_of(log_file)
    assert (line["event"], line["error"], line["request_id"]) == ("unhandled_error", "RuntimeError", "trace-me-please")
    assert "RuntimeError: a secret in a message" in line["exception"]


async def test_a_request_does_not_inherit_the_caller_of_the_one_before(calling: Calling, log_file: Path) -> None:
    structlog.contextvars.bind_contextvars(actor_id="somebody")
    async with calling(log={"file": log_file, "level": "INFO"}) as client:
        await client.get("/health/live")
    structlog.contextvars.clear_contextvars()
    [line] = access_lines(log_file)
    assert line["actor_id"] is None
