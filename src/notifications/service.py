"""Use cases of notifications; the only writer of `notifications` and `notification_preferences`."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from pydantic_core import to_jsonable_python
from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from src.core import clock
from src.core.errors import invalid_field
from src.core.events import current_event_id
from src.core.pagination import TOTAL_CAP, read_page
from src.core.security import Actor
from src.notifications import deliveries, queries, unsubscribe_tokens
from src.notifications.contents import Occasion
from src.notifications.errors import NotificationNotFound
from src.notifications.kinds import TRAITS, Category, Kind
from src.notifications.models import Channel, Notification, Preference
from src.notifications.schemas import PreferenceUpdate
from src.users import service as users
from src.users.models import User, UserStatus

READ_KEPT, UNREAD_KEPT = timedelta(days=90), timedelta(days=180)


@dataclass(frozen=True, slots=True)
class Switch:
    """Whether notifications of a kind go through a channel, and whether that is the user's to say."""

    kind: Kind
    category: Category
    channel: Channel
    is_on: bool
    is_switchable: bool


@dataclass(frozen=True, slots=True)
class Feed:
    """A page of somebody's feed; `unread` is counted over all of it, as far as one more than the cap."""

    items: list[Notification]
    unread: int
    next_cursor: str | None


async def tell(session: AsyncSession, user_id: UUID, kind: Kind, **data: UUID | int) -> None:
    """Tell somebody what the event being handled means to them; nothing, if it is not so any more.

    `data` are ids of what it is about, and numbers. Told again of the same event, they hear nothing new.
    """
    user = await users.find(session, user_id)
    if user is None:
        return
    occasion = Occasion(user, current_event_id(), to_jsonable_python(data))
    channels = await channels_of(session, user, kind)
    if not channels or await TRAITS[kind].content(session, occasion) is None:
        return
    if Channel.IN_APP in channels:
        await _show(session, occasion, kind)
    if Channel.EMAIL in channels:
        await deliveries.queue_mail(session, occasion, kind)


async def _show(session: AsyncSession, occasion: Occasion, kind: Kind) -> None:
    entry = insert(Notification).values(
        user_id=occasion.user.id,
        event_id=occasion.event_id,
        kind=kind,
        data=occasion.data,
        created_at=clock.now(),
    )
    await session.execute(entry.on_conflict_do_nothing())


async def channels_of(session: AsyncSession, user: User, kind: Kind) -> set[Channel]:
    """Through which channels this user is to be told of this kind."""
    traits = TRAITS[kind]
    if not traits.is_switchable:
        return set(traits.channels)
    if user.status != UserStatus.ACTIVE:
        return set()
    off = await session.scalars(
        select(Preference.channel).where(
            Preference.user_id == user.id, Preference.kind == kind, Preference.is_on.is_(False)
        )
    )
    return set(traits.channels) - {Channel(channel) for channel in off}


async def feed(session: AsyncSession, actor: Actor, *, unread: bool | None, limit: int, cursor: str | None) -> Feed:
    """The caller's notifications, newest first; all of them, or those that are (or are not) unread.

    Raises:
        BadCursor.
    """
    scope, found = f"notifications:{actor.id}:{unread}", queries.feed(actor.id, unread)
    items, following = await read_page(
        session, found, Notification.id, scope, limit=limit, cursor=cursor, descending=True
    )
    counted = (await session.scalars(queries.unread(actor.id, TOTAL_CAP + 1))).one()
    return Feed(items=items, unread=counted, next_cursor=following)


async def mark_read(session: AsyncSession, actor: Actor, notification_id: UUID) -> Notification:
    """Note that the caller has seen it; again is the same.

    Raises:
        NotificationNotFound: there is none, or it is not theirs.
    """
    found: Notification | None = await session.scalar(
        update(Notification)
        .where(Notification.id == notification_id, Notification.user_id == actor.id)
        .values(read_at=func.coalesce(Notification.read_at, clock.now()))
        .returning(Notification)
    )
    if found is None:
        raise NotificationNotFound
    return found


async def mark_all_read(session: AsyncSession, actor: Actor) -> None:
    """Note that the caller has seen all there is."""
    await session.execute(
        update(Notification)
        .where(Notification.user_id == actor.id, Notification.read_at.is_(None))
        .values(read_at=clock.now())
        .execution_options(synchronize_session=False)
    )


async def forget_old(session: AsyncSession, most: int) -> int:
    """Take what is old out of the feeds, what was read sooner; how many went."""
    now, created_at, is_unread = clock.now(), Notification.created_at, Notification.read_at.is_(None)
    is_old = or_(is_unread & (created_at < now - UNREAD_KEPT), ~is_unread & (created_at < now - READ_KEPT))
    found = select(Notification.id).where(is_old).limit(most).with_for_update(skip_locked=True).cte("old")
    gone = delete(Notification).where(Notification.id == found.c.id).returning(Notification.id)
    return len((await session.scalars(gone.execution_options(synchronize_session=False))).all())


async def switches(session: AsyncSession, user_id: UUID) -> list[Switch]:
    """Every kind and channel, as this user has set them."""
    rows = await session.scalars(select(Preference).where(Preference.user_id == user_id))
    chosen = {(row.kind, row.channel): row.is_on for row in rows}
    return [
        Switch(
            kind=kind,
            category=traits.category,
            channel=channel,
            is_on=not traits.is_switchable or chosen.get((kind, channel), True),
            is_switchable=traits.is_switchable,
        )
        for kind, traits in TRAITS.items()
        for channel in traits.channels
    ]


async def set_switches(session: AsyncSession, user_id: UUID, choices: list[PreferenceUpdate]) -> list[Switch]:
    """Set these; the others stay. Where one stands twice, the last counts. All of them afterwards.

    Raises:
        Invalid: naming a kind that there is not or that cannot be switched, or a channel that the kind has not.
    """
    wanted = {(_switchable(choice, number), choice.channel): choice.is_on for number, choice in enumerate(choices)}
    await _keep(session, user_id, wanted)
    return await switches(session, user_id)


def _switchable(choice: PreferenceUpdate, number: int) -> Kind:
    if choice.kind not in TRAITS:
        raise invalid_field(f"/items/{number}/kind", "unknown_kind", f"there is no kind {choice.kind}")
    kind = Kind(choice.kind)
    if not TRAITS[kind].is_switchable:
        raise invalid_field(f"/items/{number}/kind", "not_switchable", f"{kind} is about security and is always sent")
    if choice.channel not in TRAITS[kind].channels:
        detail = f"{kind} does not go through {choice.channel}"
        raise invalid_field(f"/items/{number}/channel", "unknown_channel", detail)
    return kind


async def _keep(session: AsyncSession, user_id: UUID, wanted: dict[tuple[Kind, Channel], bool]) -> None:
    # In one order for all, so that two requests do not wait for each other.
    rows = [
        {"user_id": user_id, "kind": kind, "channel": channel, "is_on": is_on}
        for (kind, channel), is_on in sorted(wanted.items())
    ]
    if rows:
        kept = insert(Preference).values(rows)
        key = ["user_id", "kind", "channel"]
        await session.execute(kept.on_conflict_do_update(index_elements=key, set_={"is_on": kept.excluded.is_on}))


async def unsubscribe(session: AsyncSession, token: str) -> None:
    """Switch off the mail that the token came with; one that is not ours does nothing, and nobody is told which."""
    found = unsubscribe_tokens.read(token)
    if found is None or await users.find(session, found.user_id) is None:
        return
    await _keep(session, found.user_id, {(found.kind, Channel.EMAIL): False})
