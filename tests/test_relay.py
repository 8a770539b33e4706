"""From `emit` to the handler's effect: once, whatever fails between."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from src import relay
from src.core import clock, database, events
from src.core.broker import Publisher, Task
from src.core.events import Event, EventRecord, HandledEvent, OutboxMessage, emit, on
from src.users.models import User


class BellRung(Event, name="test.bell_rung"):
    """Something happened."""

    number: int


Handle = Callable[[AsyncSession, BellRung], Awaitable[None]]
Subscribe = Callable[[Handle], Handle]


@pytest.fixture
def subscribe(committed: None, monkeypatch: pytest.MonkeyPatch) -> Subscribe:
    """Subscribes handlers for one test."""
    monkeypatch.setitem(events._handlers, BellRung.name, [])
    return on(BellRung)


async def ring(*numbers: int) -> None:
    async with database.transaction() as session:
        await emit(session, *(BellRung(number=number) for number in numbers))


async def count(table: type[database.Base]) -> int:
    async with database.transaction() as session:
        return (await session.scalars(select(func.count()).select_from(table))).one()


async def add_user(session: AsyncSession, name: str) -> None:
    now = clock.now()
    session.add(User(full_name=name, email=f"{name}@example.com", email_key=name, created_at=now, updated_at=now))
    await session.flush()


async def names() -> list[str]:
    async with database.transaction() as session:
        return list(await session.scalars(select(User.full_name).order_by(User.full_name)))


async def test_a_handler_runs_once_and_the_outbox_is_empty_after(subscribe: Subscribe) -> None:
    async def greet(session: AsyncSession, event: BellRung) -> None:
        await add_user(session, f"guest {event.number}")

    subscribe(greet)
    await ring(1, 2)
    assert await relay.deliver_batch() == 2
    assert await relay.deliver_batch() == 0
    assert await names() == ["guest 1", "guest 2"]
    assert (await count(OutboxMessage), await count(EventRecord)) == (0, 2)


async def test_an_event_that_is_rolled_back_never_happened(subscribe: Subscribe) -> None:
    async def ring_and_fail() -> None:
        async with database.transaction() as session:
            await emit(session, BellRung(number=1))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await ring_and_fail()
    assert (await count(OutboxMessage), await count(EventRecord)) == (0, 0)


async def test_a_second_delivery_of_the_same_event_has_no_effect(subscribe: Subscribe) -> None:
    async def greet(session: AsyncSession, event: BellRung) -> None:
        await add_user(session, f"guest {event.number}")

    subscribe(greet)
    await ring(1)
    async with database.transaction() as session:
        event_id: UUID = (await session.scalars(select(EventRecord.id))).one()
    [handler] = events.handlers_of(BellRung.name)
    first = await events.handle(handler, event_id)
    second = await events.handle(handler, event_id)
    assert (first, second) == (True, False)
    assert await names() == ["guest 1"]


async def test_a_failing_handler_is_tried_again_later_and_its_half_done_work_is_gone(subscribe: Subscribe) -> None:
    failures = [RuntimeError("first"), RuntimeError("second")]

    async def greet(session: AsyncSession, event: BellRung) -> None:
        await add_user(session, f"guest {event.number}")
        if failures:
            raise failures.pop()

    subscribe(greet)
    await ring(1)
    await relay.deliver_batch()
    assert await names() == []
    async with database.transaction() as session:
        message = (await session.scalars(select(OutboxMessage))).one()
        assert (message.attempts, message.last_error) == (1, "RuntimeError")
    assert await relay.deliver_batch() == 0, "not before its time"
    clock.advance(timedelta(seconds=2))
    await relay.deliver_batch()
    clock.advance(timedelta(seconds=3))
    await relay.deliver_batch()
    assert await names() == ["guest 1"]
    assert await count(OutboxMessage) == 0


async def test_one_failing_handler_does_not_make_the_others_run_twice(subscribe: Subscribe) -> None:
    failures = [RuntimeError("once")]

    async def greet(session: AsyncSession, event: BellRung) -> None:
        await add_user(session, f"guest {event.number}")

    async def stumble(session: AsyncSession, event: BellRung) -> None:
        if failures:
            raise failures.pop()

    subscribe(greet)
    subscribe(stumble)
    await ring(1)
    await relay.deliver_batch()
    clock.advance(timedelta(seconds=2))
    await relay.deliver_batch()
    assert await names() == ["guest 1"]
    assert (await count(OutboxMessage), await count(HandledEvent)) == (0, 2)


async def test_a_handler_that_fails_for_ever_does_not_keep_the_others_waiting(subscribe: Subscribe) -> None:
    async def fail(session: AsyncSession, event: BellRung) -> None:
        raise RuntimeError

    async def greet(session: AsyncSession, event: BellRung) -> None:
        await add_user(session, f"guest {event.number}")

    subscribe(fail)
    subscribe(greet)
    await ring(1)
    await relay.deliver_batch()
    assert await names() == ["guest 1"]


async def test_an_event_of_a_newer_version_waits_for_the_relay_that_knows_it(subscribe: Subscribe) -> None:
    async def greet(session: AsyncSession, event: BellRung) -> None:
        await add_user(session, f"guest {event.number}")

    subscribe(greet)
    await ring(1)
    published: list[Task] = []

    class Collecting(Publisher):
        def __init__(self) -> None:
            """Without RabbitMQ."""

        async def publish(self, tasks: Sequence[Task]) -> None:
            published.extend(tasks)

    event = Event.registry.pop(BellRung.name)
    try:
        await relay.publish_batch(Collecting())
    finally:
        Event.registry[BellRung.name] = event
    assert (published, await count(OutboxMessage)) == ([], 1)
    clock.advance(timedelta(seconds=relay.NEWER_VERSION_SECONDS + 1))
    await relay.publish_batch(Collecting())
    assert ([task.name for task in published], await count(OutboxMessage)) == ([f"{__name__}.{greet.__name__}"], 0)


async def test_a_poisoned_event_does_not_hold_up_the_next_one(subscribe: Subscribe) -> None:
    async def greet(session: AsyncSession, event: BellRung) -> None:
        await add_user(session, f"guest {event.number}")

    subscribe(greet)
    await ring(1, 2)
    async with database.transaction() as session:
        await session.execute(update(OutboxMessage).values(next_attempt_at=clock.now()))
    Event.registry.pop(BellRung.name)
    try:
        await relay.deliver_batch()
    finally:
        Event.registry[BellRung.name] = BellRung
    assert await names() == []
    assert await count(OutboxMessage) == 2
    clock.advance(timedelta(seconds=2))
    await relay.deliver_batch()
    assert await names() == ["guest 1", "guest 2"]


async def test_several_relays_at_once_deliver_each_event_once(subscribe: Subscribe) -> None:
    async def greet(session: AsyncSession, event: BellRung) -> None:
        await add_user(session, f"guest {event.number:03}")

    subscribe(greet)
    await ring(*range(60))

    async def drain() -> None:
        while await count(OutboxMessage):
            await relay.deliver_batch()

    await asyncio.wait_for(asyncio.gather(*(drain() for _ in range(3))), 30)
    assert await names() == [f"guest {number:03}" for number in range(60)]


async def test_an_event_nobody_subscribed_to_leaves_the_outbox_and_stays_a_fact(committed: None) -> None:
    await ring(1)
    await relay.deliver_batch()
    assert (await count(OutboxMessage), await count(EventRecord)) == (0, 1)


async def test_an_event_that_fails_for_weeks_waits_an_hour_at_most(subscribe: Subscribe) -> None:
    async def fail(session: AsyncSession, event: BellRung) -> None:
        raise RuntimeError

    subscribe(fail)
    await ring(1)
    async with database.transaction() as session:
        await session.execute(update(OutboxMessage).values(attempts=100))
    assert await relay.deliver_batch() == 1
    async with database.transaction() as session:
        message = (await session.scalars(select(OutboxMessage))).one()
    assert message.attempts == 101
    assert message.next_attempt_at - clock.now() <= timedelta(hours=1)


async def test_what_comes_by_the_thousand_lets_everything_else_go_first(subscribe: Subscribe) -> None:
    served: list[int] = []

    async def serve(session: AsyncSession, event: BellRung) -> None:
        served.append(event.number)

    subscribe(serve)
    with events.bulk():
        await ring(1, 2)
    await ring(3)
    await relay.deliver_batch()
    assert served == [3, 1, 2]


async def test_a_handler_whose_connection_is_cut_has_not_failed(subscribe: Subscribe) -> None:
    cuts = ["once"]

    async def greet(session: AsyncSession, event: BellRung) -> None:
        await add_user(session, f"guest {event.number}")
        if cuts:
            cuts.pop()
            await session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    subscribe(greet)
    await ring(1, 2)
    with pytest.raises(DBAPIError):
        await relay.deliver_batch()
    async with database.transaction() as session:
        assert set(await session.scalars(select(OutboxMessage.attempts))) == {0}
    assert await relay.deliver_batch() == 2, "at once, with no delay"
    assert await names() == ["guest 1", "guest 2"]


async def test_a_committed_event_wakes_who_listens_and_so_does_the_end_of_the_connection(subscribe: Subscribe) -> None:
    async with database.listening(relay.CHANNEL) as woken:
        async with database.transaction() as session:
            await emit(session, BellRung(number=1))
            await woken.wait(0)
            waiting = asyncio.create_task(woken.wait(60))
            await asyncio.wait([waiting], timeout=0.2)
            assert not waiting.done(), "not before the commit"
        await asyncio.wait_for(waiting, 5)
        assert not woken.is_over
        async with database.transaction() as session:
            listeners = "pid <> pg_backend_pid() AND datname = current_database() AND query LIKE 'LISTEN%'"
            await session.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {listeners}"))  # noqa: S608
        await asyncio.wait_for(woken.wait(60), 5)
        assert woken.is_over
