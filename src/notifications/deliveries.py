"""The life of a delivery, from the queue to its end; the only writer of `deliveries`.

    pending -> sending -> sent | failed | pending again, later
                      \\-> skipped

Whoever takes one has it until the lease ends. A sender that dies leaves it `sending`, and a server that falls silent
leaves it uncertain: then security mail goes out again, under the same Message-ID, and any other mail does not, since
the first may have arrived.
"""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from src.core import clock
from src.core.events import emit_as
from src.notifications.contents import Occasion
from src.notifications.events import MailQueued
from src.notifications.kinds import TRAITS, Category, Kind
from src.notifications.models import Channel, Delivery
from src.notifications.models import DeliveryState as S

LEASE = timedelta(minutes=5)
FIRST_DELAY, LONGEST_DELAY = timedelta(minutes=1), timedelta(hours=1)
# With these delays, about a day.
MOST_ATTEMPTS = 28
BATCH = 100
KEPT = timedelta(days=90)
# Whoever put it off or queued it may be a moment ahead of whoever takes it.
CLOCKS_DIFFER = timedelta(seconds=10)
# What a newer release queued waits for it.
IS_KNOWN = Delivery.kind.in_(list(Kind))


async def queue_mail(session: AsyncSession, occasion: Occasion, kind: Kind) -> None:
    """Have a mail sent, unless there is one to this user about this event."""
    now = clock.now()
    delivery = insert(Delivery).values(
        event_id=occasion.event_id,
        user_id=occasion.user.id,
        channel=Channel.EMAIL,
        kind=kind,
        data=occasion.data,
        next_attempt_at=now,
        lease_until=now + LEASE,
        created_at=now,
    )
    queued = await session.scalar(delivery.on_conflict_do_nothing().returning(Delivery.id))
    if queued is not None:
        await _queue(session, queued)


async def queue_mail_again(session: AsyncSession) -> bool:
    """Queue the mail that is due and in nobody's hands; whether more of it may wait."""
    now = clock.now()
    found = await session.scalars(
        select(Delivery)
        .where(
            Delivery.state.in_((S.PENDING, S.SENDING)),
            Delivery.channel == Channel.EMAIL,
            IS_KNOWN,
            Delivery.next_attempt_at <= now,
            Delivery.lease_until <= now,
        )
        .order_by(Delivery.next_attempt_at)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    due = list(found)
    for delivery in due:
        if delivery.state == S.SENDING and not _may_go_twice(delivery):
            delivery.state, delivery.last_error = S.FAILED, "sender_lost"
        else:
            # The older the more rarely: what nobody can take makes little work.
            delivery.state, delivery.lease_until = S.PENDING, now + max(LEASE, (now - delivery.created_at) / 2)
    await _queue(session, *(delivery.id for delivery in due if delivery.state == S.PENDING))
    return len(due) == BATCH


async def _queue(session: AsyncSession, *ids: UUID) -> None:
    """One fact to a delivery, however often it is queued."""
    await emit_as(session, {each: MailQueued(delivery_id=each) for each in ids})


def _may_go_twice(delivery: Delivery) -> bool:
    is_security = TRAITS[Kind(delivery.kind)].category is Category.SECURITY
    return is_security and delivery.attempts < MOST_ATTEMPTS


async def take(session: AsyncSession, delivery_id: UUID) -> Delivery | None:
    """Take it for sending, if it is due and nobody else has it."""
    now = clock.now()
    delivery = await session.scalar(
        select(Delivery)
        .where(
            Delivery.id == delivery_id,
            Delivery.state == S.PENDING,
            Delivery.next_attempt_at <= now + CLOCKS_DIFFER,
            IS_KNOWN,
        )
        .with_for_update(skip_locked=True)
    )
    if delivery is not None:
        delivery.state, delivery.lease_until = S.SENDING, now + LEASE
        delivery.attempts += 1
    return delivery


async def mark_sent(session: AsyncSession, delivery: Delivery) -> None:
    """It is with the mail server; that holds even if the lease has ended meanwhile."""
    values = {"state": S.SENT, "sent_at": clock.now(), "last_error": None}
    await session.execute(update(Delivery).where(Delivery.id == delivery.id).values(values))


async def put_off(session: AsyncSession, delivery: Delivery, error: str) -> None:
    """It did not go out: later again, twice as long each time; after about a day no more."""
    if delivery.attempts >= MOST_ATTEMPTS:
        await give_up(session, delivery, error)
        return
    now = clock.now()
    later = now + min(FIRST_DELAY * 2 ** (delivery.attempts - 1), LONGEST_DELAY)
    await _settle(session, delivery, state=S.PENDING, next_attempt_at=later, lease_until=now, last_error=error)


async def mark_uncertain(session: AsyncSession, delivery: Delivery) -> None:
    """It may have gone out."""
    settle = put_off if _may_go_twice(delivery) else give_up
    await settle(session, delivery, "uncertain")


async def give_up(session: AsyncSession, delivery: Delivery, error: str) -> None:
    """It will never go out."""
    await _settle(session, delivery, state=S.FAILED, last_error=error)


async def _settle(session: AsyncSession, delivery: Delivery, **values: object) -> None:
    """Unless somebody else has taken it since."""
    ours = (Delivery.id == delivery.id, Delivery.state == S.SENDING, Delivery.attempts == delivery.attempts)
    await session.execute(update(Delivery).where(*ours).values(values))


async def forget_old(session: AsyncSession, most: int) -> int:
    """Take away what has long been over; how many went. What still waits then, no code knows any more."""
    old = select(Delivery.id).where(Delivery.created_at < clock.now() - KEPT).limit(most)
    found = old.with_for_update(skip_locked=True).cte("old")
    gone = delete(Delivery).where(Delivery.id == found.c.id).returning(Delivery.id)
    return len((await session.scalars(gone.execution_options(synchronize_session=False))).all())
