"""Faults between queue and effect: every event is done once, and no message takes the workers down."""

import signal
import uuid

import aio_pika
import psutil

from src.core import broker, dead_letters
from src.core.broker import Queue, Task
from tests.servers import machines
from tests.servers.conftest import Bells, Nodes, eventually
from tests.servers.machines import Rabbit


async def test_w04_a_worker_killed_in_the_middle_leaves_the_event_to_another(nodes: Nodes, ringing: Bells) -> None:
    nodes.relay()
    first = nodes.worker()
    await ringing.ring(*range(6), manner="slowly 2")
    await eventually("a handler's start", lambda: _is_busy(ringing))
    machines.end(first, signal.SIGKILL)
    nodes.worker()
    assert await ringing.all_heard(6) == list(range(6))


async def _is_busy(ringing: Bells) -> bool:
    """Whether a handler holds a claim that is not committed yet."""
    return await ringing.count("pg_locks WHERE relation = 'bell_effects'::regclass") > 0


async def test_w04_a_process_of_a_worker_killed_in_the_middle_is_replaced(nodes: Nodes, ringing: Bells) -> None:
    nodes.relay()
    worker = nodes.worker()
    await ringing.ring(*range(4), manner="slowly 2")
    await eventually("a handler's start", lambda: _is_busy(ringing))
    psutil.Process(worker.pid).children()[0].kill()
    assert await ringing.all_heard(4) == list(range(4))
    assert worker.poll() is None


async def test_w04_a_worker_frozen_past_the_heartbeat_does_nothing_twice(nodes: Nodes, ringing: Bells) -> None:
    nodes.relay()
    frozen = nodes.worker()
    await ringing.ring(*range(4), manner="slowly 1")
    await eventually("a handler's start", lambda: _is_busy(ringing))
    family = [psutil.Process(frozen.pid), *psutil.Process(frozen.pid).children(recursive=True)]
    for member in family:
        member.suspend()
    nodes.worker()
    # Redelivered, the events wait for the claims that the frozen transactions hold.
    await eventually("redelivery", lambda: _is_waiting(ringing))
    for member in family:
        member.resume()
    assert await ringing.all_heard(4) == list(range(4))


async def _is_waiting(ringing: Bells) -> bool:
    return await ringing.count("pg_stat_activity WHERE wait_event_type = 'Lock'") > 0


async def test_w05_what_fails_again_and_again_lies_among_the_dead_letters_until_it_is_replayed(
    nodes: Nodes, ringing: Bells, rabbit: Rabbit
) -> None:
    nodes.environment["WORKER_RETRIES"] = "1"
    nodes.relay()
    nodes.worker()
    await ringing.ring(7, manner="wrongly")
    await ringing.ring(8)
    assert await ringing.all_heard(1) == [8], "it holds up nothing"
    await eventually("the dead letter", lambda: _has_dead(rabbit, 1))
    assert await ringing.count("bell_attempts") == 2
    listed = nodes.ask("dlq", "list")
    assert "tests.servers.bells.hear" in listed
    assert nodes.ask("dlq", "replay") == "Sent 1 again\n"
    await eventually("more attempts", lambda: _has_attempts(ringing, 4))
    await eventually("the dead letter", lambda: _has_dead(rabbit, 1))


async def _has_dead(rabbit: Rabbit, number: int) -> bool:
    async with broker.connected(rabbit.config) as channel:
        return (await broker.depths(channel))[broker.DEAD] == number


async def _has_attempts(ringing: Bells, number: int) -> bool:
    return await ringing.count("bell_attempts") == number


async def test_w05_what_kills_its_process_each_time_is_given_up_after_the_limit(
    nodes: Nodes, ringing: Bells, rabbit: Rabbit
) -> None:
    nodes.relay()
    worker = nodes.worker()
    await ringing.ring(1, manner="deadly")
    await eventually("the dead letter", lambda: _has_dead(rabbit, 1))
    await ringing.ring(2)
    assert await ringing.all_heard(1) == [2]
    assert worker.poll() is None
    assert await ringing.count("bell_attempts") == broker.MOST_DELIVERIES + 1


HEAR = "tests.servers.bells.hear"


def _message(body: bytes, content_type: str | None = "application/json", **headers: str) -> aio_pika.Message:
    return aio_pika.Message(body, content_type=content_type, content_encoding="utf-8", headers={**headers})


POISON = {
    "no id": _message(b"[[],{},{}]", task=HEAR),
    "no content type": _message(b"[[],{},{}]", None, task=HEAR, id="1"),
    "no headers": _message(b"{}"),
    "unknown task": _message(b'[["01a1fd87-ec96-7363-af90-d18e2c4b1c44",null],{},{}]', task="no.such", id="2"),
    "bad JSON": _message(b"[[", task=HEAR, id="3"),
    "no list": _message(b'"x"', task=HEAR, id="4"),
    "no event id": _message(b'[["x",null],{},{}]', task=HEAR, id="5"),
    "not UTF-8": _message(b"\xff\xfe", task=HEAR, id="6"),
    "pickle": _message(b"\x80\x04.", "application/x-python-serialize", task=HEAR, id="7"),
}


async def test_w05_poison_of_every_kind_goes_to_the_dead_letters_and_the_worker_works_on(
    nodes: Nodes, ringing: Bells, rabbit: Rabbit
) -> None:
    nodes.relay()
    worker = nodes.worker()
    async with broker.connected(rabbit.config) as channel:
        publisher = await broker.publisher(channel)
        for message in POISON.values():
            await publisher.send(message, Queue.DEFAULT)
        await ringing.ring(1)
        assert await ringing.all_heard(1, seconds=5) == [1], "within five seconds"
        await eventually("all dead letters", lambda: _has_dead(rabbit, len(POISON)))
        assert worker.poll() is None
        letters = await dead_letters.find(channel, 100)
        assert [letter.id for letter in letters if letter.task] == ["2"], "a newer worker may know that one"


async def test_w05_an_event_that_does_not_exist_is_no_reason_to_stumble(
    nodes: Nodes, ringing: Bells, rabbit: Rabbit
) -> None:
    nodes.relay()
    nodes.worker()
    async with broker.connected(rabbit.config) as channel:
        publisher = await broker.publisher(channel)
        await publisher.publish([Task(HEAR, uuid.uuid4(), None)])
        await ringing.ring(1)
        assert await ringing.all_heard(1) == [1]
        assert (await broker.depths(channel))[broker.DEAD] == 0


async def test_w08_retries_with_a_delay_are_all_seen(nodes: Nodes, ringing: Bells, rabbit: Rabbit) -> None:
    nodes.environment["WORKER_RETRIES"] = "4"
    nodes.relay()
    nodes.worker()
    await ringing.ring(1, manner="wrongly")
    await eventually("all attempts", lambda: _has_attempts(ringing, 5), seconds=90)
    await eventually("the dead letter", lambda: _has_dead(rabbit, 1))
    assert await ringing.heard() == []


async def test_w08_a_database_that_is_away_is_waited_for_however_few_retries_there_are(
    nodes: Nodes, ringing: Bells, rabbit: Rabbit
) -> None:
    nodes.environment["WORKER_RETRIES"] = "0"
    nodes.relay()
    nodes.worker()
    await ringing.ring(*range(4), manner="slowly 2")
    await eventually("a handler's start", lambda: _is_busy(ringing))
    for _ in range(4):
        await ringing.cut_off()
    assert await ringing.all_heard(4) == list(range(4))
    assert await _has_dead(rabbit, 0)
    assert "handler_waits" in nodes.logs()


async def test_o08_a_handler_that_is_given_up_tells_no_values(nodes: Nodes, ringing: Bells, rabbit: Rabbit) -> None:
    nodes.environment["WORKER_RETRIES"] = "0"
    nodes.relay()
    nodes.worker()
    await ringing.ring(1, manner="tellingly canary")
    await eventually("the dead letter", lambda: _has_dead(rabbit, 1))
    assert "handler_given_up" in nodes.logs()
    assert "canary" not in nodes.logs()


async def test_w11_a_task_that_only_newer_workers_know_waits_for_them_among_the_dead_letters(
    nodes: Nodes, ringing: Bells, rabbit: Rabbit
) -> None:
    nodes.relay()
    nodes.environment["OLD_BELLS"] = "yes"
    old = nodes.worker()
    await ringing.polish(1)
    await eventually("the dead letter", lambda: _has_dead(rabbit, 1))
    machines.end(old, signal.SIGTERM)
    del nodes.environment["OLD_BELLS"]
    nodes.worker()
    assert nodes.ask("dlq", "replay") == "Sent 1 again\n"
    assert await ringing.all_heard(1) == [1]


async def test_w12_a_worker_told_to_stop_finishes_what_it_has_begun(nodes: Nodes, ringing: Bells) -> None:
    nodes.relay()
    worker = nodes.worker()
    await ringing.ring(1, 2, 3, manner="slowly 3")
    await eventually("a handler's start", lambda: _is_busy(ringing))
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0
    done = await ringing.heard()
    assert done
    nodes.worker()
    assert await ringing.all_heard(3) == [1, 2, 3]


async def test_w12_a_worker_told_to_stop_at_once_leaves_the_rest_to_the_next(nodes: Nodes, ringing: Bells) -> None:
    nodes.relay()
    worker = nodes.worker()
    await ringing.ring(1, 2, 3, manner="slowly 3")
    await eventually("a handler's start", lambda: _is_busy(ringing))
    worker.send_signal(signal.SIGQUIT)
    worker.wait(40)
    nodes.worker()
    assert await ringing.all_heard(3) == [1, 2, 3]
