"""O05: Gunicorn leaves and its workers are replaced under load, and no request is lost."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.factories import vehicle_data
from tests.servers.web.processes import Gunicorn, free_port, gunicorn, nginx

REQUESTS_PER_SECOND = 200
CLIENTS = 20
REPLACED_WORKERS, REPLACED_SERVERS = 8, 2
# As long as nginx leaves a server alone that has refused it; the health check in prod.yml takes longer.
NOTICED_SECONDS = 1.2
GRACE_SECONDS = 20


@dataclass(slots=True)
class Load:
    """Readers and sellers who go on whatever happens; `failed` is what they should never be answered."""

    client: httpx.AsyncClient
    listing: str
    answered: int = 0
    failed: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def going(self) -> AsyncIterator[None]:
        """So many requests a second until leaving; then each finishes what it has begun."""
        leaving = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for number in range(CLIENTS):
                group.create_task(self._ask(number, leaving))
            yield
            leaving.set()

    async def _ask(self, number: int, leaving: asyncio.Event) -> None:
        while not leaving.is_set():
            started = time.monotonic()
            await (self._write() if number % 4 == 0 else self._read())
            await asyncio.sleep(max(0, started + CLIENTS / REQUESTS_PER_SECOND - time.monotonic()))

    async def _read(self) -> None:
        await self._send("GET", self.listing, 200)

    async def _write(self) -> None:
        await self._send("POST", "/api/v1/vehicles", 201, json=vehicle_data())

    async def _send(self, method: str, path: str, expected: int, **request: object) -> None:
        try:
            answer = await self.client.request(method, path, **request)  # type: ignore[arg-type]
        except httpx.HTTPError as exc:
            self.failed.append(f"{method}: {exc!r}")
            return
        self.answered += 1
        if answer.status_code != expected:
            self.failed.append(f"{method}: {answer.status_code} {answer.text[:200]}")


@asynccontextmanager
async def loaded(address: str, token: str, listing: str) -> AsyncIterator[Load]:
    """Everybody goes on while this lasts, and nobody has been failed at its end."""
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=address, headers=headers, timeout=30) as client:
        load = Load(client, listing)
        async with load.going():
            yield load
    assert load.failed == []
    assert load.answered


async def test_O05_workers_are_replaced_under_load(
    environment: dict[str, str], tmp_path: Path, token: str, listing: str
) -> None:
    port = free_port()
    with (
        gunicorn(tmp_path / "gunicorn.log", environment | {"PORT": str(port)}) as server,
        nginx(tmp_path, [port]) as address,
    ):
        async with loaded(address, token, listing):
            for number in range(REPLACED_WORKERS):
                server.process.send_signal(signal.SIGHUP)
                await asyncio.to_thread(server.wait_for_workers, 2 * (number + 2))
        assert await asyncio.to_thread(server.leave) == 0
    assert "WORKER TIMEOUT" not in server.log.read_text()


async def test_O05_servers_are_replaced_under_load(
    environment: dict[str, str], tmp_path: Path, token: str, listing: str
) -> None:
    ports = [free_port(), free_port()]
    with ExitStack() as stack:
        address = stack.enter_context(nginx(tmp_path, ports))

        def start(number: int) -> Gunicorn:
            port, log = ports[number % 2], tmp_path / f"gunicorn-{number}.log"
            return stack.enter_context(gunicorn(log, environment | {"PORT": str(port)}))

        servers = [start(0), start(1)]
        async with loaded(address, token, listing):
            for number in range(REPLACED_SERVERS):
                started = time.monotonic()
                assert await asyncio.to_thread(servers[number].leave) == 0
                assert time.monotonic() - started < GRACE_SECONDS
                servers.append(await asyncio.to_thread(start, number + 2))
                await asyncio.sleep(NOTICED_SECONDS)


async def test_O05_it_is_not_ready_while_it_still_serves(environment: dict[str, str], tmp_path: Path) -> None:
    port = free_port()
    drained = environment | {"PORT": str(port), "HTTP_DRAIN_SECONDS": "2"}
    with gunicorn(tmp_path / "log", drained) as server:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            assert (await client.get("/health/ready")).json()["status"] == "ready"
            server.process.send_signal(signal.SIGTERM)
            while (told := await client.get("/health/ready")).status_code == 200:
                pass
            served = await client.get("/api/v1/listings")
        assert await asyncio.to_thread(server.process.wait, GRACE_SECONDS) == 0
    assert (told.status_code, told.json()["status"]) == (503, "not_ready")
    assert (served.status_code, served.headers["Connection"]) == (200, "close")
