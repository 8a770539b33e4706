"""The commands that look after the data: `key2key backup`, `restore` and `maintain`."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from src import relay
from src.core import backup as backups
from src.core import clock, database, logging, maintenance
from src.core.backup import BackupError, Manifest
from src.core.config import Settings
from src.core.config import settings as load_settings
from src.core.postgres_tools import PostgresToolError

app = typer.Typer()

REFUSALS = (BackupError, PostgresToolError)

T = TypeVar("T")
Work = Callable[[AsyncEngine, Settings], Awaitable[T]]


def _run(work: Work[T]) -> T:
    """Do it on the configured database; Raises BackupError if that, or a file, is not to be had."""
    settings = load_settings()
    settings.refuse_insecure()
    logging.configure(settings)

    async def connected() -> T:
        async with database.connected(settings) as engine:
            return await work(engine, settings)

    try:
        return asyncio.run(connected())
    except (SQLAlchemyError, OSError) as exc:
        raise BackupError(_unavailable(exc)) from exc


def _unavailable(exc: Exception) -> str:
    """In a line, and without what was asked of the database, which may hold anything."""
    if isinstance(exc, OSError) and exc.filename:
        return f"{exc.filename}: {exc.strerror}"
    cause = exc.orig if isinstance(exc, DBAPIError) else exc
    return f"The database refuses, or is not to be had: {cause}".splitlines()[0]


@app.command()
def backup(
    file: Annotated[
        Path | None, typer.Argument(help="The archive to make; else one in DATA_DIR/backups, named by the time.")
    ] = None,
) -> None:
    """Back the database and the files up, as one archive for your eyes only; a running server is not disturbed."""
    target = file or load_settings().data_dir / "backups" / f"key2key-{clock.now():%Y%m%dT%H%M%SZ}.tar"
    manifest = _run(lambda engine, settings: backups.make(engine, settings.files_dir, target))
    size = f"{target.stat().st_size / 1_000_000:.1f} MB"
    typer.echo(f"Backed up {len(manifest.tables)} tables with {manifest.rows} rows to {target} ({size})")


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="An archive that `key2key backup` made.")],
    into: Annotated[
        str | None, typer.Option(help="Make a database of this name on the same server, and restore into that.")
    ] = None,
) -> None:
    """Restore an archive into an empty database, and compare each table with what was backed up.

    Nothing is ever overwritten. The exit code is 1 if anything is refused, or differs.
    """

    async def work(engine: AsyncEngine, settings: Settings) -> Manifest:
        if into is None:
            return await backups.restore(engine, file, settings.files_dir)
        return await _restore_into(into, file, settings, engine)

    manifest = _run(work)
    typer.echo(f"Restored {len(manifest.tables)} tables with {manifest.rows} rows, each as it was backed up")
    typer.echo(f"The schema is that of then ({manifest.revision}): `key2key migrate` brings it to the newest")


async def _restore_into(name: str, file: Path, settings: Settings, server: AsyncEngine) -> Manifest:
    """Into a new database beside the one of `server`, and a folder beside that of the files."""
    files = settings.files_dir.with_name(f"{settings.files_dir.name}.{name}")
    async with backups.new_database(server, name):
        url = server.url.set(database=name).render_as_string(hide_password=False)
        engine = database.create_engine(url, settings.database)
        try:
            return await backups.restore(engine, file, files)
        finally:
            await engine.dispose()


@app.command()
def maintain() -> None:
    """Clean up: periodic jobs at once, rows and files of nobody, old mail and logs, statistics. For once a night."""
    relay.subscribe_all()

    async def work(engine: AsyncEngine, settings: Settings) -> None:
        async for line in maintenance.maintain(engine, settings):
            typer.echo(line)

    _run(work)
