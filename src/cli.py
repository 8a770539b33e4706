"""The command line, installed as `key2key`."""

import asyncio
import signal
import socket
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import orjson
import typer
import uvicorn
from alembic.config import Config
from sqlalchemy import Connection
from sqlalchemy.exc import ProgrammingError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from alembic import command
from src import background, care, demo
from src.core import database, dev_clock, logging, mail, serving
from src.core.config import InsecureSettingsError, Settings
from src.core.config import settings as load_settings
from src.core.embedded import EmbeddedPostgresError
from src.core.errors import ProblemError
from src.core.serving import Server
from src.exchange_rates import files as rate_files
from src.exchange_rates import service as exchange_rates
from src.exchange_rates.errors import RatesFileRefused
from src.exchange_rates.schemas import RateSetCreate
from src.geo import loading as geo
from src.imports import landing, report
from src.imports.errors import ImportRefusedError
from src.imports.models import Outcome
from src.imports.sheet import Sheet
from src.listings.refolding import refold
from src.main import create_app
from src.notifications import rendering

app = typer.Typer(
    help="Key2Key: serve the API and look after its data.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
rates = typer.Typer(help="Exchange rates, for searches in one currency over prices in many.", no_args_is_help=True)
app.add_typer(rates, name="rates")
mails = typer.Typer(help="Mails, and what they look like.", no_args_is_help=True)
app.add_typer(mails, name="mail")
app.add_typer(background.app)
app.add_typer(care.app)

ROOT = Path(__file__).resolve().parents[1]

T = TypeVar("T")


class PortTakenError(Exception):
    """Somebody else listens there, or this user may not."""


def main() -> None:
    """Run a command; what the person at the keyboard can mend is one sentence, not a trace."""
    try:
        app()
    except (InsecureSettingsError, EmbeddedPostgresError, PortTakenError, *care.REFUSALS) as exc:
        typer.secho(str(exc), fg="red", err=True)
        sys.exit(1)


def _run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


@asynccontextmanager
async def _database() -> AsyncIterator[AsyncEngine]:
    settings = load_settings()
    settings.refuse_insecure()
    logging.configure(settings)
    async with database.connected(settings) as engine, dev_clock.followed(settings):
        yield engine


@app.command()
def serve() -> None:
    """Serve the API; in development, first migrate and, on the first run, fill in the demo."""
    settings = load_settings()
    application = create_app(settings)
    _require_free_port(settings)

    async def work() -> None:
        # Held for the life of the server, so that the embedded database stays up between the two.
        async with database.connected(settings) as engine:
            if settings.is_development:
                await _migrate(engine)
                await _greet(settings)
            await Server(_uvicorn_config(application, settings), settings.http.drain_seconds).serve()

    # uvicorn stops serving on these, then raises them again: what else we opened is to be closed as well.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    with asyncio.Runner(loop_factory=_uvicorn_config(application, settings).get_loop_factory()) as runner:
        runner.run(work())


def _require_free_port(settings: Settings) -> None:
    """Told now, and not after the minute that a first run takes. Raises PortTakenError."""
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as exc:
            reason = f"cannot listen on {settings.host}, port {settings.port} ({exc.strerror})"
            raise PortTakenError(f"Key2Key {reason}: choose another, as in make run PORT=8001") from exc


def _leave(_number: int, _frame: object) -> NoReturn:
    raise SystemExit(0)


def _uvicorn_config(application: Any, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        host=settings.host,
        port=settings.port,
        **serving.options(settings),
    )


async def _greet(settings: Settings) -> None:
    if settings.seed.enabled:
        _tell(await demo.prepare(settings))
    address = f"http://{settings.host}:{settings.port}"
    typer.echo(f"\nKey2Key serves {address}/api/v1 - read {address}/docs\n")


def _tell(accounts: demo.Accounts) -> None:
    typer.echo("\nDemo accounts (development only), all with the password " + accounts.password)
    typer.echo("  " + "  ".join(accounts.emails))


@app.command()
def seed() -> None:
    """Migrate, and fill in the demo accounts and listings (development only)."""
    settings = load_settings()
    if not settings.is_development:
        _give_up("The demo accounts and listings belong to development", code=2)

    async def work() -> None:
        async with _database() as engine:
            await _migrate(engine)
            _tell(await demo.prepare(settings))

    _run(work())


@app.command("import")
def import_listings(
    file: Annotated[
        Path, typer.Argument(help="CSV in UTF-8; its columns are the API's fields, prices in major units.")
    ],
    owner: Annotated[str, typer.Option(help="The e-mail address of the account whose listings they are to be.")],
    default: Annotated[list[str], typer.Option(help="FIELD=VALUE, for rows that leave the field empty.")] = [],  # noqa: B006
    draft: Annotated[bool, typer.Option(help="Land the rows as drafts and publish nothing.")] = False,
) -> None:
    """Import listings: rows that are in order land, and are published if complete; each of the others is named.

    Rows that are there already, by their external_id, stay as they are: after whatever went wrong, import again.
    The exit code is 1 if a row failed, and 2 if the file or the owner will not do.
    """
    try:
        opened = file.open("rb")
    except OSError as exc:
        _give_up(f"{typer.format_filename(file)} cannot be read: {exc.strerror}", code=2)
    try:
        with opened:
            sheet = Sheet(opened, _pairs(default))
            figures = _run(_import(sheet, file.stat().st_size, owner, is_draft=draft))
    except ImportRefusedError as exc:
        _give_up(str(exc), code=2)
    except (SQLAlchemyError, OSError) as exc:
        _give_up(_outage(exc), code=1)
    if figures[Outcome.FAILED]:
        raise typer.Exit(1)


async def _import(sheet: Sheet, size: int, owner: str, *, is_draft: bool) -> report.Figures:
    async with _database():
        async with database.transaction() as session:
            account = await landing.find_owner(session, owner)
        return await report.tell(sheet, size, landing.land(sheet, account.id, is_draft=is_draft))


def _pairs(given: list[str]) -> dict[str, str]:
    pairs = {name: value for name, _, value in (pair.partition("=") for pair in given)}
    if not all(pairs.values()):
        raise ImportRefusedError("--default wants FIELD=VALUE, as in --default city=Adama")
    return pairs


def _outage(exc: Exception) -> str:
    if isinstance(exc, ProgrammingError):
        return "The database has not the tables of this version: run `key2key migrate` first"
    return "The database is not to be had. What was told above has landed; import the file again for the rest."


@rates.command("import")
def import_rates(
    file: Annotated[
        Path, typer.Argument(help="JSON as POST /exchange-rates takes it, CSV of the same, or the ECB's eurofxref.csv.")
    ],
) -> None:
    """Add the exchange rates of a file, such as one that a job has fetched; the exit code is 1 if they are refused.

    Rates that are the current ones already are not added again.
    """
    try:
        with file.open("rb") as opened:
            data = rate_files.read(opened)
        typer.echo(_run(_import_rates(data)))
    except (RatesFileRefused, ProblemError) as exc:
        _give_up(str(exc), code=1)
    except SQLAlchemyError as exc:
        _give_up(_outage(exc), code=1)
    except OSError as exc:
        _give_up(f"{typer.format_filename(file)} cannot be read: {exc.strerror}", code=1)


async def _import_rates(data: RateSetCreate) -> str:
    """What came of it, in a sentence."""
    async with _database(), database.transaction() as session:
        added = await exchange_rates.create_unless_current(session, data)
    if added is None:
        return f"The rates of {data.as_of} are there already"
    return f"Added the rates of {data.as_of}, {len(added.rates)} currencies against {added.base}: {added.id}"


@mails.command("preview")
def preview_mail(
    event: Annotated[str, typer.Argument(help="The mail, such as welcome; any other word lists them all.")],
    locale: Annotated[str, typer.Option(help="The language.")] = rendering.FALLBACK,
    is_html: Annotated[bool, typer.Option("--html/--text", help="Which of its two bodies to show.")] = False,
    eml: Annotated[Path | None, typer.Option(help="Write the whole mail to this file instead.")] = None,
) -> None:
    """Show a mail, filled in with sample values."""
    if event not in rendering.templates():
        _give_up(f"There is no mail {event}; there are " + ", ".join(rendering.templates()), code=2)
    if locale not in rendering.locales():
        _give_up(f"There are no mails in {locale}; there are some in " + ", ".join(rendering.locales()), code=2)
    shown = rendering.render(event, locale, rendering.SAMPLES[event])
    if eml is None:
        typer.echo(shown.html if is_html else f"{shown.subject}\n\n{shown.text}", nl=False)
        return
    sample = mail.Mail(
        "hana@example.com", "Hana Tesfaye", shown.subject, shown.text, shown.html, f"{event}@key2key.example"
    )
    try:
        eml.write_bytes(mail.compose(sample, load_settings().smtp.sender).as_bytes())
    except OSError as exc:
        _give_up(f"{typer.format_filename(eml)} cannot be written: {exc.strerror}", code=1)


def _give_up(sentence: str, *, code: int) -> NoReturn:
    typer.secho(sentence, fg="red", err=True)
    raise typer.Exit(code)


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
        is_new = await geo.load(session)
    if is_new:
        async with database.transaction() as session:
            await geo.analyse(session)
    await refold()


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
