"""Lets things happen, and follow from what happened."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select, update

from src import relay
from src.core import clock, database
from src.core.events import Event, EventRecord, emit
from src.notifications.models import Delivery, Notification
from src.notifications.tasks import queue_mail_again


async def settle() -> None:
    """Until no handler has anything to do now."""
    while await relay.deliver_batch():
        pass


async def happen(*facts: Event) -> None:
    """These facts, and what follows from them."""
    async with database.transaction() as session:
        await emit(session, *facts)
    await settle()


async def look_again() -> None:
    """As the schedule does every few seconds, and what follows from it."""
    async with database.transaction() as session:
        await queue_mail_again(session)
    await settle()


async def pass_time(by: timedelta) -> None:
    """So much later, and what follows from it."""
    clock.advance(by)
    await look_again()


async def deliveries() -> list[Delivery]:
    """All there are, the oldest first."""
    async with database.transaction() as session:
        return list(await session.scalars(select(Delivery).order_by(Delivery.id)))


async def only_delivery() -> Delivery:
    """The one there is."""
    [delivery] = await deliveries()
    return delivery


async def kinds_shown(user_id: UUID) -> list[str]:
    """What stands in somebody's feed, the oldest first."""
    async with database.transaction() as session:
        found = select(Notification.kind).where(Notification.user_id == user_id).order_by(Notification.id)
        return list(await session.scalars(found))


async def change(delivery: Delivery, **values: Any) -> None:
    """As if that had happened to it."""
    async with database.transaction() as session:
        await session.execute(update(Delivery).where(Delivery.id == delivery.id).values(values))


async def event_ids(name: str) -> list[UUID]:
    """The facts of this name, in order."""
    async with database.transaction() as session:
        found = select(EventRecord.id).where(EventRecord.name == name).order_by(EventRecord.id)
        return list(await session.scalars(found))
