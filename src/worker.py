"""`key2key worker`: each `@on` handler is a Celery task, run on RabbitMQ's messages (docs.celeryq.dev).

A message is acknowledged when its handler has committed. What fails is tried again, later each time, and in the end
lies among the dead letters; what is no task at all goes there at once.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from logging import CRITICAL, getLogger
from typing import Any
from uuid import UUID

import orjson
import structlog
import uvloop
from celery import Celery, Task, signals
from celery.exceptions import Reject
from celery.worker.consumer import Consumer
from kombu.entity import Exchange
from kombu.entity import Queue as QueueOf
from structlog.contextvars import bound_contextvars

from src import relay
from src.core import broker, database, dev_clock, events, logging
from src.core.broker import Queue
from src.core.config import Settings
from src.core.config import settings as load_settings
from src.core.events import Handler

log = structlog.get_logger(__name__)

LONGEST_DELAY_SECONDS = 300
# A handler is told to stop first, then its process is ended; RabbitMQ itself gives up after half an hour.
HANDLER_SECONDS = 240
PROCESS_SECONDS = 300
SHUTDOWN_SECONDS = 25


def create_worker(settings: Settings) -> Celery:
    """The Celery application, which knows every handler."""
    relay.subscribe_all()
    app = Celery("key2key", broker=settings.amqp.url, set_as_current=False)
    exchange = Exchange(broker.EXCHANGE, type="topic", durable=True)
    app.conf.update(
        task_queues=[
            QueueOf(name, exchange, routing_key=name, queue_arguments=dict(broker.QUEUE_ARGUMENTS)) for name in Queue
        ],
        task_default_queue=Queue.DEFAULT.value,
        task_default_exchange=broker.EXCHANGE,
        task_default_exchange_type="topic",
        task_default_routing_key=Queue.DEFAULT.value,
        task_create_missing_queues=False,
        task_acks_late=True,
        task_acks_on_failure=False,
        task_acks_on_timeout=False,
        task_reject_on_worker_lost=True,
        task_ignore_result=True,
        task_time_limit=PROCESS_SECONDS,
        accept_content=["json"],
        broker_transport_options={"confirm_publish": True},
        broker_heartbeat=settings.amqp.heartbeat,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        worker_concurrency=settings.worker.concurrency,
        worker_prefetch_multiplier=4,
        worker_cancel_long_running_tasks_on_connection_loss=True,
        worker_soft_shutdown_timeout=SHUTDOWN_SECONDS,
        worker_consumer=f"{__name__}:CarefulConsumer",
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
    )
    for handler in events.handlers().values():
        app.task(_task(handler, settings.worker.retries), bind=True, max_retries=None, name=handler.name)
    return app


def run(settings: Settings, queues: Sequence[Queue]) -> None:
    """Do what is in these queues until told to stop; what runs then is finished, or comes back to another worker."""
    taken = ",".join(queues)
    create_worker(settings).worker_main(["worker", "--without-gossip", "--without-mingle", f"--queues={taken}"])


def _task(handler: Handler, most_retries: int) -> Callable[..., None]:
    def handle(task: Task, event_id: str, request_id: str | None) -> None:
        with bound_contextvars(handler=handler.name, event_id=event_id, request_id=request_id):
            try:
                _process.run(handler, UUID(event_id), request_id)
            except Exception as exc:
                raise _another_attempt(task, exc, most_retries) from exc

    return handle


def _another_attempt(task: Task, exc: Exception, most_retries: int) -> Any:
    """What tells Celery to try again, or to give the task up; a database that is away is waited for without end."""
    retries, error = task.request.retries, type(exc).__name__
    if database.is_away(exc):
        log.warning("handler_waits", error=error, attempt=retries + 1)
    elif retries < most_retries:
        log.warning("handler_failed", error=error, attempt=retries + 1, exc_info=exc)
    else:
        log.error("handler_given_up", error=error, attempt=retries + 1, exc_info=exc)
        return Reject(error, requeue=False)
    # Published now, in place of this message.
    return task.retry(countdown=_delay(retries), throw=False)


def _delay(retries: int) -> int:
    """Seconds; twice as long each time."""
    return int(min(2 ** min(retries, 10), LONGEST_DELAY_SECONDS))


class _Process:
    """One worker process: one event loop and one engine for its life."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self._stack = AsyncExitStack()
        self._is_timely_until = 0.0

    def open(self) -> None:
        self._runner.run(self._connect())

    async def _connect(self) -> None:
        await self._stack.enter_async_context(database.connected(load_settings()))

    def run(self, handler: Handler, event_id: UUID, request_id: str | None) -> None:
        self._runner.run(self._handle(handler, event_id, request_id))

    async def _handle(self, handler: Handler, event_id: UUID, request_id: str | None) -> None:
        async with asyncio.timeout(HANDLER_SECONDS):
            await self._keep_time()
            await events.handle(handler, event_id, request_id)

    async def _keep_time(self) -> None:
        """What follows the clock of development elsewhere would sleep here with the loop, between two tasks."""
        if load_settings().is_development and time.monotonic() > self._is_timely_until:
            await dev_clock.load()
            self._is_timely_until = time.monotonic() + dev_clock.POLL_SECONDS

    def close(self) -> None:
        self._runner.run(self._stack.aclose())
        self._runner.close()


_process = _Process()


def _open(**_: object) -> None:
    _process.open()


def _close(**_: object) -> None:
    _process.close()


def _configure_logging(**_: object) -> None:
    logging.configure(load_settings())
    # Our own lines say as much, and whose request it was; Celery's of a failure would quote the values in it.
    for name in ("celery.worker.strategy", "celery.app.trace"):
        getLogger(name).setLevel(CRITICAL)


signals.worker_process_init.connect(_open)
signals.worker_process_shutdown.connect(_close)
signals.setup_logging.connect(_configure_logging)


class CarefulConsumer(Consumer):  # type: ignore[misc]
    """Celery's own would die of a message that is no task at all, and then of the same one again."""

    def create_task_handler(self, *args: Any, **options: Any) -> Callable[[Any], None]:
        """Celery's handler of messages, behind a look at the envelope."""
        receive = super().create_task_handler(*args, **options)

        def look(message: Any) -> None:
            if _is_task(message):
                receive(message)
                return
            headers = message.headers or {}
            log.error("malformed_message", message_id=str(headers.get("id")), task=str(headers.get("task")))
            message.reject_log_error(log, self.connection_errors)

        return look


def _is_task(message: Any) -> bool:
    """Whether Celery can read it; whether there are such a handler and such an event is found out later."""
    try:
        is_named = message.headers["id"] and message.headers["task"]
        [event_id, _], kwargs, _ = orjson.loads(message.body)
        UUID(event_id)
    except (KeyError, TypeError, ValueError, AttributeError):
        return False
    return bool(is_named and kwargs == {} and message.content_type == "application/json")
