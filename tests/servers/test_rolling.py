"""O06: every process is replaced under load, one after the other, and nobody notices."""

import asyncio
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import httpx
from sqlalchemy import text

from src import relay
from src.core import events
from tests.factories import PASSWORD, vehicle_data
from tests.servers.balancing import Balancer
from tests.servers.conftest import Bells, Nodes, eventually

REQUESTS_PER_SECOND = 50
SELLERS = 5
LEAVE_SECONDS = 40


@dataclass(slots=True)
class Load:
    """Sellers who publish one listing after the other; `failed` is what they should never be answered."""

    client: httpx.AsyncClient
    published: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def going(self) -> AsyncIterator[None]:
        """So many requests a second, if they are answered as fast, until leaving."""
        await self._sign_in()
        leaving = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for _ in range(SELLERS):
                group.create_task(self._sell(leaving))
            yield
            leaving.set()

    async def well(self) -> None:
        """Until there are some more listings."""
        await eventually("more listings", partial(self._has_published, len(self.published) + 4 * SELLERS))

    async def _has_published(self, least: int) -> bool:
        return len(self.published) >= least

    async def _sign_in(self) -> None:
        account = {"full_name": "Hana Tesfaye", "email": "hana@example.com", "password": PASSWORD}
        await self._ask("POST", "/api/v1/auth/register", json=account)
        form = {"username": account["email"], "password": PASSWORD}
        tokens = (await self._ask("POST", "/api/v1/auth/login", data=form)).json()
        self.client.headers["Authorization"] = f"Bearer {tokens['access_token']}"

    async def _sell(self, leaving: asyncio.Event) -> None:
        while not leaving.is_set():
            started = time.monotonic()
            try:
                made = (await self._ask("POST", "/api/v1/vehicles", json=vehicle_data())).json()["id"]
                await self._ask("POST", f"/api/v1/listings/{made}/submit")
                self.published.append(made)
            except httpx.HTTPError as exc:
                self.failed.append(repr(exc))
            await asyncio.sleep(max(0, started + 2 * SELLERS / REQUESTS_PER_SECOND - time.monotonic()))

    async def _ask(self, method: str, path: str, **request: object) -> httpx.Response:
        return (await self.client.request(method, path, **request)).raise_for_status()  # type: ignore[arg-type]


async def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(process.wait, LEAVE_SECONDS) == 0


async def test_o06_every_process_is_replaced_under_load_and_no_request_and_no_event_is_lost(
    nodes: Nodes, ringing: Bells
) -> None:
    # The later servers start before the load, which would leave them little of this machine to start with.
    servers = [nodes.serve() for _ in range(4)]
    old_relay, old_worker = nodes.relay(), nodes.worker()
    ports = [port for _, port in servers]
    balancer = Balancer(ports[:2])
    async with balancer.running(), httpx.AsyncClient(base_url=balancer.address, timeout=30) as client:
        load = Load(client)
        async with load.going():
            await load.well()
            for number, (old_server, _) in enumerate(servers[:2], start=1):
                balancer.ports = ports[number : number + 2]
                await _end(old_server)
                await load.well()
            for old, start in ((old_relay, nodes.relay), (old_worker, nodes.worker)):
                await asyncio.to_thread(start)
                await _end(old)
                await load.well()
    assert load.failed == []
    await _assert_each_is_handled_once(ringing, load.published)


async def _assert_each_is_handled_once(ringing: Bells, published: list[str]) -> None:
    """What was answered with success has been told, and every handler has done it; none has twice."""
    told = text("SELECT data->>'listing_id' FROM events WHERE name = 'listing.published'")
    async with ringing.engine.connect() as connection:
        assert sorted(await connection.scalars(told)) == sorted(published)
    relay.subscribe_all()
    handlers = [handler.name for handler in events.handlers_of("listing.published") if not handler.is_outside]
    await eventually("all handling", partial(_are_handled, ringing, dict.fromkeys(handlers, len(published))))
    assert await ringing.count("outbox") == 0
    assert await ringing.count("bell_effects") == len(published)


async def _are_handled(ringing: Bells, times: dict[str, int]) -> bool:
    handled = text(
        "SELECT handler, count(*) AS times FROM handled_events JOIN events ON id = event_id"
        " WHERE name = 'listing.published' GROUP BY handler"
    )
    async with ringing.engine.connect() as connection:
        return {row.handler: row.times for row in await connection.execute(handled)} == times
