"""A load balancer that does nothing else: each connection goes to one of the servers in turn."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

PIECE_BYTES = 65_536


@dataclass(slots=True)
class Balancer:
    """Whom it hands connections to may be changed at any time; those that there are stay where they are."""

    ports: list[int]
    address: str = ""
    _handed: int = 0
    _passing: set[asyncio.Task[None]] = field(default_factory=set)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Until leaving."""
        server = await asyncio.start_server(self._hand_over, "127.0.0.1", 0)
        self.address = "http://127.0.0.1:{1}".format(*server.sockets[0].getsockname())
        async with server:
            yield
            server.close()
            await asyncio.gather(*self._passing)

    async def _hand_over(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._handed += 1
        port = self.ports[self._handed % len(self.ports)]
        answers, questions = await asyncio.open_connection("127.0.0.1", port)
        for source, sink in ((reader, questions), (answers, writer)):
            task = asyncio.create_task(_pass_on(source, sink))
            self._passing.add(task)
            task.add_done_callback(self._passing.discard)


async def _pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Whatever comes, until its end."""
    with suppress(OSError):
        while piece := await source.read(PIECE_BYTES):
            sink.write(piece)
            await sink.drain()
    sink.close()
