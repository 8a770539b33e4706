"""D06, A19: whatever happens to Redis, everybody is answered soon, limits are kept and what is revoked stays so."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx
import pytest
from redis import asyncio as aioredis
from redis.exceptions import RedisError

from tests.e2e.server import Server, serving
from tests.factories import PASSWORD
from tests.servers.conftest import eventually
from tests.servers.machines import Redis

REGISTRATIONS = 3
# An answer, the half second that Redis may take, and a machine that is busy.
LONGEST_SECONDS = 1.5
FROZEN_SECONDS = 2.0
PAUSE_SECONDS = 0.02
SETTINGS = {
    "AUTH_REGISTER_LIMIT": f"{REGISTRATIONS}/hour",
    "AUTH_LOGIN_LIMIT": "1000000/hour",
    "AUTH_LOGIN_ADDRESS_LIMIT": "1000000/hour",
    "VEHICLES_VIN_LIMIT": "1000000/hour",
}


@pytest.fixture
def server(committed: None, redis: Redis, database_url: str, tmp_path: Path) -> Iterator[Server]:
    """Our server, which counts in this Redis."""
    with serving(database_url, tmp_path, settings={**SETTINGS, "REDIS_URL": redis.url}) as made:
        yield made


@pytest.fixture
async def client(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    """Of that server."""
    async with httpx.AsyncClient(base_url=server.address, timeout=20) as made:
        yield made


def _account(name: str) -> dict[str, str]:
    return {"full_name": "Hana Tesfaye", "email": f"{name}@example.com", "password": PASSWORD}


async def _register(client: httpx.AsyncClient, name: str) -> int:
    return (await client.post("/api/v1/auth/register", json=_account(name))).status_code


@dataclass(slots=True)
class Load:
    """Somebody reads, somebody signs in, somebody asks what is limited, and somebody comes with a voided token."""

    client: httpx.AsyncClient
    voided: str = ""
    answered: dict[str, int] = field(default_factory=dict)
    slowest: float = 0
    wrong: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def going(self) -> AsyncIterator[None]:
        """Until leaving; everybody has been answered since, and as they should."""
        assert await _register(self.client, "hana") == 201
        token, self.voided = await self.sign_in(), await self.sign_in()
        await self.sign_out(self.voided)
        works: dict[str, Callable[[], Awaitable[object]]] = {
            "read": partial(self._ask, 200, "GET", "/api/v1/listings"),
            "vin": partial(self._ask, 200, "POST", "/api/v1/vehicles/vin", token, json={"vin": "1HGCM82633A004352"}),
            "me": partial(self._ask, 200, "GET", "/api/v1/users/me", token),
            "voided": self._come_back,
            "login": self.sign_in,
        }
        leaving = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for name, work in works.items():
                group.create_task(self._repeat(name, work, leaving))
            yield
            leaving.set()

    async def well(self, times: int = 3) -> None:
        """Until everybody has been answered so often from now on."""
        before = dict(self.answered)
        await eventually("an answer for everybody", partial(self._has_answers, before, times))

    async def _has_answers(self, before: dict[str, int], times: int) -> bool:
        return all(number >= before[name] + times for name, number in self.answered.items())

    async def _repeat(self, name: str, work: Callable[[], Awaitable[object]], leaving: asyncio.Event) -> None:
        self.answered[name] = 0
        while not leaving.is_set():
            await work()
            self.answered[name] += 1
            await asyncio.sleep(PAUSE_SECONDS)

    async def _ask(
        self, expected: int, method: str, path: str, token: str | None = None, **request: object
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        started = time.monotonic()
        answer = await self.client.request(method, path, headers=headers, **request)  # type: ignore[arg-type]
        self.slowest = max(self.slowest, time.monotonic() - started)
        if answer.status_code != expected:
            self.wrong.append(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
        return answer

    async def _come_back(self) -> None:
        await self._ask(401, "GET", "/api/v1/users/me", self.voided)

    async def sign_in(self) -> str:
        """A token, which is good."""
        form = {"username": _account("hana")["email"], "password": PASSWORD}
        return str((await self._ask(200, "POST", "/api/v1/auth/login", data=form)).json()["access_token"])

    async def sign_out(self, token: str) -> None:
        """The token is good no more."""
        await self._ask(204, "POST", "/api/v1/auth/logout", token)


async def _asked(redis: Redis, *command: object) -> object:
    async with aioredis.Redis.from_url(redis.url) as client:
        return await client.execute_command(*command)  # type: ignore[no-untyped-call]


async def _kill(redis: Redis) -> None:
    redis.kill()


async def _start_again(redis: Redis) -> None:
    redis.start()


async def _flush(redis: Redis) -> None:
    await _asked(redis, "FLUSHALL")


async def _nothing(redis: Redis) -> None:
    """It recovers by itself."""


async def _fill(redis: Redis) -> None:
    await _asked(redis, "CONFIG", "SET", "maxmemory", "1")


async def _enlarge(redis: Redis) -> None:
    await _asked(redis, "CONFIG", "SET", "maxmemory", "0")


async def _freeze(redis: Redis) -> None:
    assert redis.process is not None
    redis.process.send_signal(signal.SIGSTOP)


async def _thaw(redis: Redis) -> None:
    assert redis.process is not None
    redis.process.send_signal(signal.SIGCONT)


async def _follow_nobody(redis: Redis) -> None:
    """The replica of a server that is dead: it takes no writes."""
    await _asked(redis, "REPLICAOF", "127.0.0.1", "1")


async def _lead(redis: Redis) -> None:
    await _asked(redis, "REPLICAOF", "NO", "ONE")


Act = Callable[[Redis], Awaitable[None]]
FAULTS: dict[str, tuple[Act, Act]] = {
    "killed": (_kill, _start_again),
    "flushed": (_flush, _nothing),
    "full": (_fill, _enlarge),
    "frozen": (_freeze, _thaw),
    "read-only": (_follow_nobody, _lead),
}


@pytest.mark.parametrize(("begin", "end"), FAULTS.values(), ids=FAULTS)
async def test_d06_a_fault_of_redis_holds_up_nobody_lifts_no_limit_and_restores_no_access(
    client: httpx.AsyncClient, server: Server, redis: Redis, begin: Act, end: Act
) -> None:
    load = Load(client)
    async with load.going():
        await load.well()
        await begin(redis)
        began = time.monotonic()
        await load.well()
        # Counted anew, but counted.
        tries = [await _register(client, f"person{number}") for number in range(REGISTRATIONS + 1)]
        assert tries == [201] * REGISTRATIONS + [429]
        token = await load.sign_in()
        await load.sign_out(token)
        load.voided = token
        await eventually("some time", partial(_is_past, began + FROZEN_SECONDS))
        await end(redis)
        await eventually("counting in Redis again", partial(_counts_anew, redis))
        await load.well()
        assert (await client.get("/health/ready")).json()["dependencies"] == {"database": "up", "redis": "up"}
    assert load.wrong == []
    assert load.slowest < LONGEST_SECONDS
    assert server.leave(signal.SIGTERM) == 0
    assert ("limits_counted_alone" in "".join(server.log)) == (begin is not _flush)


async def _is_past(moment: float) -> bool:
    return time.monotonic() > moment


async def _counts_anew(redis: Redis) -> bool:
    """Whether something has been counted since this asked the last time."""
    try:
        counted = await _asked(redis, "DBSIZE")
        await _flush(redis)
    except RedisError:
        return False
    return bool(counted)
