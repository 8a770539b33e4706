"""The commands beside the server: `key2key worker`, `relay` and `beat`, and `dlq` for what no worker could do."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Annotated, Any, NoReturn, TypeVar

import structlog
import typer
from aio_pika.abc import AbstractChannel

from src import relay, worker
from src.core import broker, database, dead_letters, dev_clock, logging, metrics, schedule
from src.core.broker import Queue
from src.core.config import Settings
from src.core.config import settings as load_settings

log = structlog.get_logger(__name__)

app = typer.Typer()
dlq = typer.Typer(help="Dead letters: what no worker could do.", no_args_is_help=True)
app.add_typer(dlq, name="dlq")

T = TypeVar("T")


@app.command("worker")
def run_worker(
    queue: Annotated[list[Queue], typer.Option(help="Take from this one alone; may be given several times.")] = [],  # noqa: B006
) -> None:
    """Do what the relay has put into RabbitMQ's queues.

    A worker of all of them may have all its processes busy with what is slow: where that matters, each has its own.
    """
    settings = _with_broker()
    _tell_prometheus(settings)
    worker.run(settings, queue or list(Queue))


@app.command("relay")
def run_relay() -> None:
    """Carry what was emitted from the outbox to RabbitMQ."""
    settings = _with_broker()
    # What nobody is known to wait for leaves the outbox and goes nowhere.
    relay.subscribe_all()
    _run_until_told_to_stop(settings, relay.run(settings.amqp))


@app.command("beat")
def run_beat() -> None:
    """Run the periodic jobs; several of these run each job once."""
    settings = _with_broker()
    relay.subscribe_all()
    _run_until_told_to_stop(settings, schedule.run())


def _with_broker() -> Settings:
    settings = load_settings()
    settings.refuse_insecure()
    logging.configure(settings)
    if settings.amqp.url is None:
        _give_up("AMQP_URL is not set: without RabbitMQ, `key2key serve` does this work itself", code=2)
    return settings


def _tell_prometheus(settings: Settings) -> None:
    if settings.metrics.port is not None:
        metrics.serve(settings.host, settings.metrics.port)


def _run_until_told_to_stop(settings: Settings, work: Coroutine[Any, Any, None]) -> None:
    """By SIGTERM or SIGINT; what has not been committed by then is done by the next one."""
    _tell_prometheus(settings)

    async def connected() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with database.connected(settings), dev_clock.followed(settings):
            running, told = asyncio.create_task(work), asyncio.create_task(stop.wait())
            sampling = asyncio.create_task(metrics.keep_sampling())
            await asyncio.wait([running, told], return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                log.error("ended_by_itself", exc_info=None if running.cancelled() else running.exception())
                raise typer.Exit(1)
            for task in (running, sampling):
                task.cancel()
            await asyncio.wait([running, sampling])

    asyncio.run(connected())


@dlq.command("list")
def list_dead_letters(
    most: Annotated[int, typer.Option(min=1, max=10_000, help="How many, the oldest first.")] = 100,
) -> None:
    """What no worker could do, a line each; it stays where it is."""
    for letter in _ask_broker(partial(dead_letters.find, most=most)):
        task = f"{letter.task.name} {letter.task.event_id}" if letter.task else "(no task of ours)"
        typer.echo(f"{letter.id}  {letter.died_at or '?'}  {letter.reason}  {task}")


@dlq.command("replay")
def replay_dead_letters(
    task_id: Annotated[str | None, typer.Argument(help="Of one of them, as `dlq list` tells it; else all.")] = None,
    most: Annotated[int, typer.Option(min=1, max=10_000, help="How many are looked through, the oldest first.")] = 1000,
) -> None:
    """Send dead letters to the workers again, when what ailed them is mended."""
    sent = _ask_broker(partial(dead_letters.replay, most=most, task_id=task_id))
    typer.echo(f"Sent {sent} again")
    if task_id is not None and not sent:
        raise typer.Exit(1)


def _ask_broker(ask: Callable[[AbstractChannel], Awaitable[T]]) -> T:
    config = _with_broker().amqp

    async def answer() -> T:
        async with broker.connected(config) as channel:
            return await ask(channel)

    try:
        return asyncio.run(answer())
    except broker.BROKER_ERRORS as exc:
        _give_up(f"RabbitMQ cannot be asked: {type(exc).__name__}", code=1)


def _give_up(sentence: str, *, code: int) -> NoReturn:
    typer.secho(sentence, fg="red", err=True)
    raise typer.Exit(code)
