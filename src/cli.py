"""The command line, installed as `key2key`."""

import asyncio
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
import uvicorn
from alembic.config import Config
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from alembic import command
from src import demo
from src.core import database, logging
from src.core.config import InsecureSettingsError, Settings
from src.core.config import settings as load_settings
from src.core.embedded import EmbeddedPostgresError
from src.geo import loading as geo
from src.main import create_app

app = typer.Typer(help="Key2Key: serve the API and look after its data.", no_args_is_help=True, add_completion=False)

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Run a command; what the person at the keyboard can mend is one sentence, not a trace."""
    try:
        app()
    except (InsecureSettingsError, EmbeddedPostgresError) as exc:
        typer.secho(str(exc), fg="red", err=True)
        sys.exit(1)


def _run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


@asynccontextmanager
async def _database() -> AsyncIterator[AsyncEngine]:
    settings = load_settings()
    settings.refuse_insecure()
    logging.configure(settings)
    async with database.connected(settings) as engine:
        yield engine


@app.command()
def serve() -> None:
    """Serve the API; in development, first migrate and, on the first run, fill in the demo."""
    settings = load_settings()
    application = create_app(settings)

    async def work() -> None:
        # Held for the life of the server, so that the embedded database stays up between the two.
        async with database.connected(settings) as engine:
            if settings.is_development:
                await _migrate(engine)
                await _greet(settings)
            await uvicorn.Server(_uvicorn_config(application, settings)).serve()

    with asyncio.Runner() as runner:
        runner.run(work())


def _uvicorn_config(application: Any, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=True,
        forwarded_allow_ips=settings.http.trusted_proxies,
        timeout_graceful_shutdown=20,
    )


async def _greet(settings: Settings) -> None:
    if settings.seed.enabled:
        accounts = await demo.prepare(settings)
        typer.echo("\nDemo accounts (development only), all with the password " + accounts.password)
        typer.echo("  " + "  ".join(accounts.emails))
    address = f"http://{settings.host}:{settings.port}"
    typer.echo(f"\nKey2Key serves {address}/api/v1 - read {address}/docs\n")


@app.command()
def migrate() -> None:
    """Bring the database to the newest schema and load the reference data."""

    async def work() -> None:
        async with _database() as engine:
            await _migrate(engine)

    _run(work())


async def _migrate(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.run_sync(_upgrade)
    async with database.transaction() as session:
        await geo.load(session)


def _upgrade(connection: Connection) -> None:
    command.upgrade(Config(ROOT / "alembic.ini", attributes={"connection": connection}), "head")


@app.command()
def openapi(check: Annotated[bool, typer.Option(help="Fail if openapi.json is out of date.")] = False) -> None:
    """Write openapi.json, the contract with the clients."""
    settings = load_settings().model_copy(update={"docs": load_settings().docs.model_copy(update={"enabled": True})})
    made = orjson.dumps(create_app(settings).openapi(), option=orjson.OPT_INDENT_2) + b"\n"
    path = ROOT / "openapi.json"
    if not check:
        path.write_bytes(made)
    elif not path.exists() or path.read_bytes() != made:
        typer.secho("openapi.json is out of date: run `make openapi` and read the diff", fg="red", err=True)
        raise typer.Exit(1)


if __name__ == "__main__":
    main()
