"""Faults between commit and queue: nothing is lost, and every effect happens once."""

import asyncio
import signal
from functools import partial
from itertools import count

import pytest

from src import relay
from src.core import broker
from src.core.broker import Queue
from tests.servers import machines
from tests.servers.conftest import Bells, Nodes, eventually
from tests.servers.machines import Rabbit

RINGS_A_SECOND = 50


async def test_an_event_reaches_its_handler_through_rabbitmq_once(nodes: Nodes, ringing: Bells) -> None:
    nodes.relay()
    nodes.worker()
    await ringing.ring(*range(100))
    assert await ringing.all_heard(100) == list(range(100))


async def test_w01_what_was_committed_while_rabbitmq_was_down_is_delivered_when_it_is_back(
    nodes: Nodes, ringing: Bells, rabbit: Rabbit
) -> None:
    nodes.relay()
    nodes.worker()
    rabbit.stop()
    async with asyncio.timeout(20):
        for first in range(0, 500, 10):
            await ringing.ring(*range(first, first + 10))
    assert await ringing.count("outbox") == 500
    rabbit.start()
    assert await ringing.all_heard(500) == list(range(500))


async def test_w02_rabbitmq_killed_under_load_again_and_again_loses_nothing(
    nodes: Nodes, ringing: Bells, rabbit: Rabbit
) -> None:
    nodes.relay()
    nodes.worker()
    is_over = asyncio.Event()
    ring = asyncio.create_task(_ring_until(is_over, ringing))
    for _ in range(2):
        before = await ringing.count("bell_effects")
        await eventually("some effects", partial(_has_effects, ringing, before + 50))
        await asyncio.to_thread(rabbit.kill)
        await asyncio.to_thread(rabbit.start)
    is_over.set()
    rung = await ring
    assert await ringing.all_heard(rung) == list(range(rung))


async def _ring_until(is_over: asyncio.Event, ringing: Bells) -> int:
    """How many were rung; at a pace, as RabbitMQ takes its time to start, and all are to be heard after that."""
    for number in count():
        if is_over.is_set():
            return number
        await ringing.ring(number)
        await asyncio.sleep(1 / RINGS_A_SECOND)
    raise AssertionError


async def _has_effects(ringing: Bells, least: int) -> bool:
    return await ringing.count("bell_effects") >= least


async def test_w03_relays_killed_at_every_moment_lose_nothing(nodes: Nodes, ringing: Bells) -> None:
    nodes.worker()
    for first in range(0, 1000, 200):
        relay = nodes.relay()
        await ringing.ring(*range(first, first + 200))
        await eventually("the relay's work", partial(_has_effects, ringing, first + 1))
        machines.end(relay, signal.SIGKILL)
    nodes.relay()
    assert await ringing.all_heard(1000) == list(range(1000))


async def test_w03_eight_relays_at_once_deliver_each_event_once(nodes: Nodes, ringing: Bells) -> None:
    nodes.worker()
    for _ in range(8):
        nodes.relay()
    for first in range(0, 800, 20):
        await ringing.ring(*range(first, first + 20))
    assert await ringing.all_heard(800) == list(range(800))


async def test_w03_a_relay_that_dies_between_confirmation_and_commit_repeats_under_the_same_id(
    ringing: Bells, rabbit: Rabbit
) -> None:
    await ringing.ring(1, 2)
    async with broker.connected(rabbit.config) as channel:
        publisher = await broker.publisher(channel)

        class Dying(broker.Publisher):
            async def publish(self, tasks: object) -> None:
                await publisher.publish(tasks)  # type: ignore[arg-type]
                raise ConnectionError

        with pytest.raises(ConnectionError):
            await relay.publish_batch(Dying(None))  # type: ignore[arg-type]
        assert await ringing.count("outbox") == 2
        await relay.publish_batch(publisher)
        queue = await channel.get_queue(Queue.DEFAULT)
        ids = [(await queue.get(no_ack=True)).message_id for _ in range(4)]
    assert (len(ids), len(set(ids))) == (4, 2)
    assert await ringing.count("outbox") == 0


async def test_w06_a_deleted_queue_is_declared_anew_and_nothing_is_lost(
    nodes: Nodes, ringing: Bells, rabbit: Rabbit
) -> None:
    nodes.relay()
    nodes.worker()
    await ringing.ring(0)
    await ringing.all_heard(1)
    async with broker.connected(rabbit.config) as channel:
        await (await channel.get_queue(Queue.DEFAULT)).delete(if_unused=False, if_empty=False)
    await ringing.ring(*range(1, 20))
    assert await ringing.all_heard(20) == list(range(20))
    assert "relay_waits" in nodes.logs()


async def test_w06_queues_that_somebody_made_otherwise_keep_the_rows_in_the_outbox(
    nodes: Nodes, ringing: Bells, rabbit: Rabbit
) -> None:
    async with broker.connected(rabbit.config) as channel:
        await (await channel.get_queue(Queue.DEFAULT)).delete(if_unused=False, if_empty=False)
        await channel.declare_queue(Queue.DEFAULT, durable=True)
    nodes.start("relay", until_logged="ChannelPreconditionFailed")
    await ringing.ring(1, 2, 3)
    assert await ringing.count("outbox") == 3
    rabbit.control("delete_queue", Queue.DEFAULT)
    nodes.worker()
    assert await ringing.all_heard(3) == [1, 2, 3]


async def test_w07_publishers_that_rabbitmq_blocks_wait_and_go_on(nodes: Nodes, ringing: Bells, rabbit: Rabbit) -> None:
    nodes.relay()
    nodes.worker()
    await ringing.ring(0)
    await ringing.all_heard(1)
    rabbit.control("set_vm_memory_high_watermark", "0")
    try:
        await ringing.ring(*range(1, 50))
        until_waiting = lambda: "TimeoutError" in nodes.logs()  # noqa: E731
        await asyncio.to_thread(machines.until, "the relay's waiting", until_waiting)
        assert await ringing.count("outbox") == 49
    finally:
        rabbit.control("set_vm_memory_high_watermark", "0.4")
    assert await ringing.all_heard(50) == list(range(50))
