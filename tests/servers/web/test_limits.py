"""What nginx keeps from the application, and says in the same words."""

import socket
import ssl
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.servers.web.conftest import Web
from tests.servers.web.processes import client, exchange, free_port, nginx

MEGABYTE = b"x" * 1_000_000


def assert_problem(answer: httpx.Response, status: int, code: str, path: str) -> None:
    """A problem document, as those of the application are."""
    problem = answer.json()
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")
    assert (problem["status"], problem["code"], problem["instance"]) == (status, code, path)
    assert problem["type"] == f"urn:key2key:problem:{code.replace('_', '-')}"
    assert problem["request_id"] == answer.headers["X-Request-ID"]


def test_a_big_body_is_refused_before_it_reaches_the_application(web: Web, browser: httpx.Client) -> None:
    path = f"/api/v1/vehicles/{uuid4()}"
    refused = browser.patch(path, content=MEGABYTE * 2)
    assert_problem(refused, 413, "payload_too_large", path)
    assert_problem(browser.patch(path, content=iter([MEGABYTE] * 2)), 413, "payload_too_large", path)
    assert web.gunicorn.requests(path) == 0


def test_an_import_may_be_big(web: Web, browser: httpx.Client) -> None:
    browser.post("/api/v1/imports", content=MEGABYTE * 2)
    assert web.gunicorn.requests("/api/v1/imports", expected=1) == 1
    refused = exchange(web.address, b"POST /api/v1/imports HTTP/1.1\r\nHost: a\r\nContent-Length: 70000000\r\n\r\n")
    assert refused.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("path", ["/metrics", "/dev/clock/advance", "/dev", "/%6detrics"])
def test_what_is_for_those_inside_is_not_there(web: Web, browser: httpx.Client, path: str) -> None:
    assert_problem(browser.get(path), 404, "not_found", path)
    assert web.gunicorn.requests(path) == 0


def test_an_address_that_would_break_the_answer_is_left_out_of_it(web: Web) -> None:
    answer = exchange(web.address, b'GET /metrics/"} HTTP/1.1\r\nHost: key2key\r\nConnection: close\r\n\r\n')
    assert b" 404 " in answer
    assert b'"instance":"",' in answer


def test_nobody_chooses_the_address_that_is_logged_but_may_name_the_request(web: Web, browser: httpx.Client) -> None:
    name = f"named-{uuid4()}"
    path = f"/{name}"
    with httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.2")) as elsewhere:
        headers = {"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9", "X-Request-ID": name}
        answer = elsewhere.get(web.address + path, headers=headers)
    assert web.gunicorn.requests(path, expected=1) == 1
    [line] = [line for line in web.gunicorn.log.read_text().splitlines() if path in line]
    assert '"ip":"127.0.0.2"' in line
    assert f'"request_id":"{name}"' in line
    assert answer.headers["X-Request-ID"] == name
    assert browser.get("/health/live", headers={"X-Request-ID": "a b"}).headers["X-Request-ID"] != "a b"


def test_a_flood_of_sign_ins_is_told_to_wait(web: Web, tmp_path: Path) -> None:
    # An nginx of its own: who signs in next is not to wait for it.
    with nginx(tmp_path, [web.port]) as address, client(address) as browser, ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(browser.get, ["/api/v1/auth/login"] * 120))
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(answers) - len(refused) >= 40
    assert_problem(refused[0], 429, "too_many_requests", "/api/v1/auth/login")
    assert refused[0].headers["Retry-After"] == "2"


def test_without_an_application_the_service_is_unavailable(tmp_path: Path) -> None:
    with nginx(tmp_path, [free_port()]) as address, client(address) as browser:
        answer = browser.get("/api/v1/listings?q=a")
    assert_problem(answer, 503, "unavailable", "/api/v1/listings")
    assert answer.headers["Retry-After"] == "2"


@contextmanager
def encrypted(folder: Path, port: int) -> Iterator[tuple[str, int]]:
    """nginx with a certificate: where it serves HTTP, and the port of HTTPS."""
    make = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -keyout privkey.pem -out fullchain.pem"
    )
    subprocess.run(make.split(), cwd=folder, check=True, capture_output=True)
    https = free_port()
    with nginx(folder, [port], SITE="tls", HTTPS_PORT=str(https), TLS_DIR=str(folder)) as address:
        yield address, https


def test_with_certificates_http_leads_to_https_which_speaks_http_2(web: Web, tmp_path: Path) -> None:
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    trusting.set_alpn_protocols(["h2"])
    with encrypted(tmp_path, web.port) as (address, https):
        answer = httpx.get(f"{address}/api/v1/listings?q=a")
        assert (answer.status_code, answer.headers["Location"]) == (308, "https://127.0.0.1/api/v1/listings?q=a")
        with (
            socket.create_connection(("127.0.0.1", https)) as plain,
            trusting.wrap_socket(plain, server_hostname="localhost") as wrapped,
        ):
            assert (wrapped.version(), wrapped.selected_alpn_protocol()) == ("TLSv1.3", "h2")
        served = httpx.get(f"https://127.0.0.1:{https}/health/live", verify=trusting)
    assert served.headers["Strict-Transport-Security"].startswith("max-age=")
