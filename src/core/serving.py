"""How uvicorn serves us, by `key2key serve` or in Gunicorn's workers, and how it leaves without losing requests."""

import asyncio
import select
import socket
from contextlib import suppress
from threading import Event
from typing import Any

import uvicorn

from src.core.config import Settings

GRACEFUL_SECONDS = 20
# A connection may be let in just before nobody is any more: long enough for its request to arrive.
LATE_SECONDS = 0.5

# Whether this process has been told to leave: readiness says so before anything else happens.
leaving = Event()


def options(settings: Settings) -> dict[str, Any]:
    """What uvicorn is told, whoever starts it; the access log and the headers of a server are our middleware's."""
    return {
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "proxy_headers": True,
        "forwarded_allow_ips": settings.http.trusted_proxies,
        "timeout_graceful_shutdown": GRACEFUL_SECONDS,
    }


class Server(uvicorn.Server):
    """Leaves in steps: not ready any more, nobody new, and at last those who are in, once they are answered."""

    def __init__(self, config: uvicorn.Config, drain_seconds: float = 0) -> None:
        super().__init__(config)
        self._drain_seconds = drain_seconds

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Called by uvicorn after the first signal; further ones change nothing."""
        leaving.set()
        # Whoever has a connection open is to take a new one, which others answer.
        self.server_state.default_headers = [*self.server_state.default_headers, (b"connection", b"close")]
        await asyncio.sleep(self._drain_seconds)
        await self._let_in_who_knocks()
        for server in self.servers:
            server.close()
        if self.server_state.connections:
            await asyncio.sleep(LATE_SECONDS)
        await super().shutdown(sockets)

    async def _let_in_who_knocks(self) -> None:
        """Until nobody waits to be accepted: once nobody listens, the kernel resets whoever still does."""
        door = select.poll()
        for server in self.servers:
            for listener in server.sockets:
                door.register(listener, select.POLLIN)
        with suppress(TimeoutError):
            async with asyncio.timeout(LATE_SECONDS):
                await self._have_some_turns()
                while door.poll(0):
                    await self._have_some_turns()

    async def _have_some_turns(self) -> None:
        """Of the event loop, which takes up to three to make a connection of who knocks."""
        for _ in range(3):
            await asyncio.sleep(0)
