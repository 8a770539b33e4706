"""How a server leaves: who has knocked is let in and answered."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import ExitStack

import pytest
import uvicorn
import uvloop
from fastapi import FastAPI

from src.core import config, serving

KNOCKERS = 20
REQUEST = b"GET /health/live HTTP/1.1\r\nHost: test\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK"


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_who_knocks_while_it_leaves_is_answered(
    application: FastAPI, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        answers = runner.run(_leave_with_knockers(application))
    serving.leaving.clear()
    assert answers == [ANSWER] * KNOCKERS


async def _leave_with_knockers(application: FastAPI) -> list[bytes]:
    options = serving.options(config.settings()) | {"port": 0, "lifespan": "off"}
    made = uvicorn.Config(application, **options)
    made.load()
    server = serving.Server(made)
    server.lifespan = made.lifespan_class(made)
    await server.startup()
    address = server.servers[0].sockets[0].getsockname()
    with ExitStack() as stack:
        # Without a turn of the event loop: so nobody has been let in when it begins to leave.
        doors = [stack.enter_context(socket.create_connection(address, timeout=5)) for _ in range(KNOCKERS)]
        for door in doors:
            door.sendall(REQUEST)
        await server.shutdown()
        return [door.recv(len(ANSWER)) for door in doors]
