"""I13: whoever sends slowly, reads slowly or says nothing is cut off, and nobody else waits longer for it."""

import selectors
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.servers.web.conftest import Web
from tests.servers.web.processes import client, nginx

PATIENCE_SECONDS = 2
CUT_SECONDS = 3 * PATIENCE_SECONDS
GET = b"GET /api/v1/geo/countries HTTP/1.1\r\nHost: key2key\r\n"
POST = (
    b"POST /api/v1/vehicles HTTP/1.1\r\nHost: key2key\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n"
)
Step = Callable[[socket.socket], None]


@pytest.fixture
def address(web: Web, tmp_path: Path) -> Iterator[str]:
    """nginx as it is, but with less patience, and more for one address: they all come from the same."""
    patience = f"{PATIENCE_SECONDS}s"
    values = {"CLIENT_TIMEOUT": patience, "KEEPALIVE_TIMEOUT": patience, "CONNECTIONS_PER_ADDRESS": "2000"}
    with nginx(tmp_path, [web.port], **values) as made:
        yield made


def say(text: bytes) -> Step:
    return lambda raw: raw.sendall(text)


def nothing(_raw: socket.socket) -> None:
    """Waits."""


def ask_on(raw: socket.socket) -> None:
    """Asks for more as long as there is room, and reads none of it."""
    try:
        while True:
            raw.send((GET + b"\r\n") * 50)
    except BlockingIOError:
        pass


# What they say first, and what then, again and again.
SLOW: dict[str, tuple[bytes, Step]] = {
    "silent": (b"", nothing),
    "headers": (GET, say(b"X: y\r\n")),
    "body": (POST + b'{"title": "', nothing),
    "reading": (GET + b"\r\n", ask_on),
    "idle": (GET + b"\r\n", nothing),
}


def connect(stack: ExitStack, address: str, first: bytes) -> socket.socket:
    raw = stack.enter_context(socket.socket())
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect(("127.0.0.1", httpx.URL(address).port))
    raw.sendall(first)
    raw.setblocking(False)
    return raw


def is_cut(raw: socket.socket, go_on: Step, *, is_reading: bool) -> bool:
    """Whether the other side has closed the connection, having gone on for one more step."""
    try:
        go_on(raw)
        while is_reading:
            if not raw.recv(65536):
                return True
    except BlockingIOError:
        return False
    except OSError:
        return True
    return False


@pytest.mark.parametrize("manner", SLOW)
def test_I13_slow_clients_are_cut_off(address: str, manner: str) -> None:
    first, go_on = SLOW[manner]
    start = time.monotonic()
    with ExitStack() as stack:
        left = [connect(stack, address, first) for _ in range(20)]
        while left and time.monotonic() - start < CUT_SECONDS:
            time.sleep(0.2)
            left = [raw for raw in left if not is_cut(raw, go_on, is_reading=manner != "reading")]
    assert left == []


def slowest(address: str) -> float:
    """The time that all but one in a hundred reads of a healthy client stay under."""
    times = []
    with client(address) as healthy:
        for _ in range(200):
            start = time.perf_counter()
            assert healthy.get("/health/live", headers={"Cookie": "past=the-cache"}).status_code == 200
            times.append(time.perf_counter() - start)
    return sorted(times)[-3]


def test_I13_nobody_else_waits_for_a_thousand_of_them(address: str) -> None:
    before = slowest(address)
    with ExitStack() as stack, selectors.DefaultSelector() as cut:
        for number in range(1000):
            first, _ = list(SLOW.values())[number % len(SLOW)]
            cut.register(connect(stack, address, first), selectors.EVENT_READ)
        among_them = slowest(address)
    assert among_them < max(0.25, 5 * before)
