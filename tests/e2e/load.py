"""Readers, sellers and an editor who go on through an outage, and remember what they were answered."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from uuid import uuid4

import httpx

from tests.factories import PASSWORD, vehicle_data

PAUSE_SECONDS = 0.02
READS = (
    "/api/v1/listings",
    "/api/v1/listings?q=tooyta",
    "/api/v1/vehicles?make=Toyota&price_max=200000000&currency=ETB&sort=price_asc",
    "/api/v1/vehicles?near=8.99,38.79&radius_km=20&sort=nearest",
    "/api/v1/listings/suggest?q=toy",
    "/api/v1/listings/{id}",
    "/api/v1/vehicles/{id}",
    "/api/v1/listings/{id}/history",
    "/api/v1/users/me",
)


@dataclass(slots=True)
class Worker:
    """Somebody who sends one request after the other; `wrong` is what nobody should ever be answered."""

    client: httpx.AsyncClient
    news: asyncio.Condition
    may_be_refused: bool = True
    answered: list[tuple[float, int]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    async def ask(self, method: str, url: str, **request: Any) -> httpx.Response:
        """The answer, which may be that the database is away: a problem document that says when to come back."""
        asked = time.monotonic()
        answer = await self.client.request(method, url, **request)
        self.answered.append((asked, answer.status_code))
        is_problem = answer.headers["Content-Type"] == "application/problem+json" and "Retry-After" in answer.headers
        if not answer.is_success and not (self.may_be_refused and answer.status_code == 503 and is_problem):
            self.wrong.append(f"{method} {url}: {answer.status_code} {answer.text[:300]}")
        async with self.news:
            self.news.notify_all()
        await asyncio.sleep(PAUSE_SECONDS)
        return answer

    async def insist(self, method: str, url: str, **request: Any) -> httpx.Response:
        """The first answer that is no refusal for the time being."""
        while (answer := await self.ask(method, url, **request)).status_code == 503:
            pass
        return answer

    def between(self, start: float, end: float) -> Counter[int]:
        """How often it was answered what, to requests that it sent then."""
        return Counter(status for asked, status in self.answered if start <= asked < end)

    def successes(self, start: float) -> int:
        """How many requests that it sent since then have succeeded."""
        return sum(number for status, number in self.between(start, time.monotonic()).items() if status < 300)


@dataclass(slots=True)
class Load:
    """Everybody at once; `created`, `published` and `edited` hold what was promised by a 2xx."""

    client: httpx.AsyncClient
    workers: list[Worker] = field(default_factory=list)
    created: list[str] = field(default_factory=list)
    published: list[str] = field(default_factory=list)
    edited: tuple[str, str] = ("", "")
    _leaving: asyncio.Event = field(default_factory=asyncio.Event)
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    @asynccontextmanager
    async def going(self) -> AsyncIterator[None]:
        """Keep asking until leaving; then each finishes what it has begun."""
        first = Worker(self.client, self._news)
        await self._sign_in(first)
        listing = await self._publish(first)
        async with asyncio.TaskGroup() as group:
            for number in range(3):
                self._start(group, self._read, READS[number::3], listing)
                self._start(group, self._sell)
            self._start(group, self._edit, await self._create(first))
            self._start(group, self._live)
            yield
            self._leaving.set()

    async def well(self, times: int = 3) -> float:
        """When everybody has been answered well so many times from now on."""
        start = time.monotonic()
        async with self._news:
            await self._news.wait_for(lambda: all(worker.successes(start) >= times for worker in self.workers))
        return time.monotonic()

    async def refused(self) -> None:
        """Until everybody who asks the database has been refused."""
        start = time.monotonic()
        asking = [worker for worker in self.workers if worker.may_be_refused]
        async with self._news:
            await self._news.wait_for(lambda: all(worker.between(start, time.monotonic())[503] for worker in asking))

    def _start(self, group: asyncio.TaskGroup, work: Callable[..., Awaitable[None]], *arguments: Any) -> None:
        worker = Worker(self.client, self._news, may_be_refused=work != self._live)
        self.workers.append(worker)
        group.create_task(self._repeat(work, worker, *arguments))

    async def _repeat(self, work: Callable[..., Awaitable[None]], *arguments: Any) -> None:
        while not self._leaving.is_set():
            await work(*arguments)

    async def _sign_in(self, worker: Worker) -> None:
        account = {"full_name": "Hana Tesfaye", "email": "hana@example.com", "password": PASSWORD}
        await worker.insist("POST", "/api/v1/auth/register", json=account)
        form = {"username": account["email"], "password": PASSWORD}
        tokens = (await worker.insist("POST", "/api/v1/auth/login", data=form)).json()
        self.client.headers["Authorization"] = f"Bearer {tokens['access_token']}"

    async def _live(self, worker: Worker) -> None:
        await worker.ask("GET", "/health/live")

    async def _read(self, worker: Worker, urls: tuple[str, ...], listing: str) -> None:
        for url in urls:
            await worker.ask("GET", url.format(id=listing))

    async def _sell(self, worker: Worker) -> None:
        await self._publish(worker)

    async def _create(self, worker: Worker) -> str:
        """A draft, whose title no other has, and which is asked for again until there is an answer."""
        key = str(uuid4())
        body = vehicle_data(title=f"Toyota {key}")
        made = await worker.insist("POST", "/api/v1/vehicles", json=body, headers={"Idempotency-Key": key})
        self.created.append(made.json()["id"])
        return self.created[-1]

    async def _publish(self, worker: Worker) -> str:
        listing = await self._create(worker)
        while (await worker.ask("POST", f"/api/v1/listings/{listing}/submit")).status_code == 503:
            # A refusal does not say that nothing happened: the answer alone may have been lost.
            if (await worker.insist("GET", f"/api/v1/listings/{listing}")).json()["status"] == "published":
                break
        self.published.append(listing)
        return listing

    async def _edit(self, worker: Worker, listing: str) -> None:
        for number in count():
            title = f"Edited {number}"
            url = f"/api/v1/vehicles/{listing}"
            await worker.insist("PATCH", url, json={"title": title}, headers={"If-Match": "*"})
            self.edited = (listing, title)
            if self._leaving.is_set():
                return
