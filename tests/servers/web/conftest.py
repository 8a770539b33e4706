"""nginx in front of Gunicorn, on the PostgreSQL and the Redis of this machine."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.conftest import cloned
from tests.factories import PASSWORD, vehicle_data
from tests.servers.machines import Redis
from tests.servers.web.processes import Gunicorn, client, free_port, gunicorn, nginx, production


@dataclass(frozen=True, slots=True)
class Web:
    """The address of nginx, and Gunicorn behind it."""

    address: str
    port: int
    gunicorn: Gunicorn


@pytest.fixture(scope="session")
async def environment(server_url: str, folder: Path) -> AsyncIterator[dict[str, str]]:
    """What Gunicorn is started with; its database is no other test's, as they empty theirs."""
    redis = Redis(folder / "redis-of-web")
    redis.start()
    async with cloned(server_url, "k2k_web") as database_url:
        yield production(database_url, redis.url)
    redis.kill()


@pytest.fixture(scope="session")
def web(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """Both, for all tests that end neither."""
    folder, port = tmp_path_factory.mktemp("web"), free_port()
    with (
        gunicorn(folder / "gunicorn.log", environment | {"PORT": str(port)}) as server,
        nginx(folder, [port]) as address,
    ):
        yield Web(address, port, server)


@pytest.fixture
def browser(web: Web) -> Iterator[httpx.Client]:
    """Somebody who comes through nginx."""
    with client(web.address) as made:
        yield made


@pytest.fixture(scope="session")
def token(web: Web) -> str:
    """Of somebody who sells."""
    account = {"full_name": "Hana Tesfaye", "email": f"{uuid4()}@example.com", "password": PASSWORD}
    with client(web.address) as seller:
        seller.post("/api/v1/auth/register", json=account)
        form = {"username": account["email"], "password": PASSWORD}
        return str(seller.post("/api/v1/auth/login", data=form).json()["access_token"])


@pytest.fixture
def seller(web: Web, token: str) -> Iterator[httpx.Client]:
    """Who comes through nginx with a token."""
    with client(web.address) as made:
        made.headers["Authorization"] = f"Bearer {token}"
        yield made


@pytest.fixture
def listing(seller: httpx.Client) -> str:
    """The path of a car that is for sale."""
    made = seller.post("/api/v1/vehicles", json=vehicle_data()).json()["id"]
    seller.post(f"/api/v1/listings/{made}/submit")
    return f"/api/v1/vehicles/{made}"
