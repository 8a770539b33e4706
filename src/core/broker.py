"""RabbitMQ: where messages go, and publishing them so that none is lost.

Relay and worker declare the same things, or RabbitMQ refuses the second of them (406). A message is a Celery task of
protocol 2 (docs.celeryq.dev, "Message Protocol"): handler H is to do event E.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid5

import aio_pika
import orjson
from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange, AbstractMessage
from aio_pika.exceptions import AMQPError, ChannelInvalidStateError
from pamqp.common import FieldTable

from src.core.config import AmqpSettings

EXCHANGE = "key2key"
DEAD = "key2key.dead"
# How often a message may come back from a worker that died over it.
MOST_DELIVERIES = 3
PUBLISH_SECONDS = 10.0
CONNECT_SECONDS = 5.0


class Queue(StrEnum):
    """What is quick must not wait behind what takes its time, nor behind other people's servers."""

    DEFAULT = "key2key.default"
    BULK = "key2key.bulk"
    MAIL = "key2key.mail"
    SLOW = "key2key.slow"


# Dead letters wait in a classic queue: a quorum queue drops what was looked at too often.
DEAD_QUEUE_ARGUMENTS: FieldTable = {"x-queue-type": "classic"}
QUEUE_ARGUMENTS: FieldTable = {
    "x-queue-type": "quorum",
    "x-delivery-limit": MOST_DELIVERIES,
    "x-dead-letter-exchange": DEAD,
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",
}

# What a broker that is away, full or differently set up raises.
BROKER_ERRORS = (AMQPError, ChannelInvalidStateError, OSError, TimeoutError)


@dataclass(frozen=True, slots=True)
class Task:
    """Handler `name` is to do the event; sent again after a crash, it has the same id."""

    name: str
    event_id: UUID
    request_id: str | None
    queue: Queue = Queue.DEFAULT

    @property
    def id(self) -> str:
        """Of the pair, so that a repetition is known as one."""
        return str(uuid5(self.event_id, self.name))

    def message(self) -> aio_pika.Message:
        """As Celery reads it; ids alone, so that nothing personal lies in a queue."""
        args = [str(self.event_id), self.request_id]
        embedded = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
        headers: dict[str, Any] = {
            "lang": "py",
            "task": self.name,
            "id": self.id,
            "root_id": self.id,
            "parent_id": None,
            "group": None,
            "retries": 0,
            "eta": None,
            "expires": None,
            "timelimit": [None, None],
            "argsrepr": repr(args),
            "kwargsrepr": "{}",
            "ignore_result": True,
        }
        return aio_pika.Message(
            orjson.dumps([args, {}, embedded]),
            content_type="application/json",
            content_encoding="utf-8",
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            correlation_id=self.id,
            message_id=self.id,
            reply_to="",
            headers=headers,
        )


@contextmanager
def _failing_when_cut() -> Iterator[None]:
    """aiormq cancels who waits when it gives a connection up; that must not pass for being told to stop."""
    try:
        yield
    except asyncio.CancelledError as exc:
        task = asyncio.current_task()
        if task is not None and not task.cancelling():
            raise ConnectionError("the connection to RabbitMQ was cut") from exc
        raise


class Publisher:
    """Publishes on one channel; returns when RabbitMQ has confirmed that each message is safe."""

    def __init__(self, exchange: AbstractExchange) -> None:
        self._exchange = exchange

    async def publish(self, tasks: Sequence[Task]) -> None:
        """Publish all of them at once.

        Raises:
            BROKER_ERRORS: some may have arrived all the same; this publisher is of no more use.
        """
        with _failing_when_cut():
            await self._publish(tasks)

    async def _publish(self, tasks: Sequence[Task]) -> None:
        async with asyncio.timeout(PUBLISH_SECONDS):
            await asyncio.gather(*(self.send(task.message(), task.queue) for task in tasks))

    async def send(self, message: AbstractMessage, queue: str) -> None:
        """Publish one message; that no queue takes it is an error."""
        await self._exchange.publish(message, routing_key=queue, mandatory=True)


@asynccontextmanager
async def connected(config: AmqpSettings) -> AsyncIterator[AbstractChannel]:
    """A channel on a connection of its own, with everything declared; what is returned or not confirmed raises.

    Raises:
        BROKER_ERRORS: RabbitMQ is away, or has our queues with other arguments.
    """
    async with asyncio.timeout(CONNECT_SECONDS):
        connection = await aio_pika.connect(config.url, heartbeat=config.heartbeat)
    try:
        with _failing_when_cut():
            yield await _opened(connection)
    finally:
        with suppress(*BROKER_ERRORS):
            async with asyncio.timeout(CONNECT_SECONDS):
                await connection.close()


async def _opened(connection: AbstractConnection) -> AbstractChannel:
    async with asyncio.timeout(CONNECT_SECONDS):
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        await _declare(channel)
    return channel


async def _declare(channel: AbstractChannel) -> None:
    dead = await channel.declare_exchange(DEAD, ExchangeType.FANOUT, durable=True)
    grave = await channel.declare_queue(DEAD, durable=True, arguments=DEAD_QUEUE_ARGUMENTS)
    await grave.bind(dead)
    exchange = await channel.declare_exchange(EXCHANGE, ExchangeType.TOPIC, durable=True)
    for name in Queue:
        queue = await channel.declare_queue(name, durable=True, arguments=QUEUE_ARGUMENTS)
        await queue.bind(exchange, routing_key=name)


async def publisher(channel: AbstractChannel) -> Publisher:
    """What publishes on this channel."""
    return Publisher(await channel.get_exchange(EXCHANGE, ensure=False))


async def depths(channel: AbstractChannel) -> dict[str, int]:
    """How many messages wait in each queue, the dead letters among them."""
    asked = [await channel.declare_queue(name, passive=True) for name in (*Queue, DEAD)]
    return {queue.name: queue.declaration_result.message_count or 0 for queue in asked}
