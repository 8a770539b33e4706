"""What no worker could do: looked at, and sent again when the cause is mended."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from src.core import broker
from src.core.broker import Queue, Task


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was given up; without a task it is nothing that a handler could ever do."""

    id: str
    task: Task | None
    reason: str
    died_at: datetime | None


async def find(channel: AbstractChannel, most: int) -> list[DeadLetter]:
    """The oldest ones, which stay where they are."""
    async with _taken(channel, most) as messages:
        return [_letter(message) for message in messages]


async def replay(channel: AbstractChannel, most: int, task_id: str | None = None) -> int:
    """Send the oldest tasks again, or the one; how many. Dying in between sends one twice, under the same id.

    Raises:
        broker.BROKER_ERRORS: the rest stays.
    """
    publisher, sent = await broker.publisher(channel), 0
    async with _taken(channel, most) as messages:
        for message in messages:
            letter = _letter(message)
            if letter.task is not None and task_id in (None, letter.id):
                await publisher.publish([letter.task])
                await message.ack()
                sent += 1
    return sent


@asynccontextmanager
async def _taken(channel: AbstractChannel, most: int) -> AsyncIterator[list[AbstractIncomingMessage]]:
    """Messages that go back to their places unless they are acknowledged."""
    queue = await channel.get_queue(broker.DEAD, ensure=False)
    messages: list[AbstractIncomingMessage] = []
    try:
        while len(messages) < most and (message := await queue.get(fail=False)) is not None:
            messages.append(message)
        yield messages
    finally:
        for message in reversed(messages):
            if not message.processed:
                await message.nack(requeue=True)


def _letter(message: AbstractIncomingMessage) -> DeadLetter:
    deaths: Any = message.headers.get("x-death") or [{}]
    death = deaths[0]
    return DeadLetter(
        id=str(message.headers.get("id") or message.message_id or "?"),
        task=_task(message, death.get("queue")),
        reason=str(death.get("reason", "?")),
        died_at=death.get("time"),
    )


def _task(message: AbstractIncomingMessage, queue: Any) -> Task | None:
    """As the relay sent it, with nothing of its past."""
    headers = message.headers
    try:
        event_id, request_id = orjson.loads(message.body)[0]
        return Task(str(headers["task"]), UUID(event_id), request_id, Queue(queue))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        return None
