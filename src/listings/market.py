"""Time on the market, kept where deleting a listing does not reach it, and the public change feed.

`follow` and `follow_edit` are called wherever a listing is moved or changed, in the same transaction. An asset that
is listed or sold twice is told of; a lock on the asset lets of two who publish it at once the second see the first.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Text, and_, cast, func, or_, select, true, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from src.core import audit, clock
from src.core.events import emit
from src.listings import events, kinds
from src.listings.events import AssetListedTwice, AssetSoldTwice, ListingMoved
from src.listings.kinds import Details
from src.listings.life import PUBLIC
from src.listings.models import Listing, ListingChange, MarketSpell, Told
from src.listings.models import ListingStatus as S
from src.listings.schemas import ListingRead, LocationRead

# Whoever bought a thing may sell it again; so soon, somebody should look at it.
LATELY = timedelta(days=90)
# An alarm names no more: a file of a thousand cars may say the same of each.
MOST_OTHERS = 10

_TOLD: dict[type[ListingMoved], Told] = {
    events.ListingPublished: Told.PUBLISHED,
    events.ListingHeld: Told.PAUSED,
    events.ListingSuspended: Told.PAUSED,
    events.ListingResumed: Told.RESUMED,
    events.ListingRestored: Told.RESUMED,
    events.ListingReserved: Told.RESERVED,
    events.ListingReleased: Told.RELEASED,
    events.ListingWithdrawn: Told.WITHDRAWN,
    events.ListingExpired: Told.EXPIRED,
    events.ListingRenewed: Told.RENEWED,
}
# A listing that comes back from these was only away for a while.
_AWAY = frozenset({S.ON_HOLD, S.SUSPENDED})
_PRICE = frozenset({"price_amount", "currency"})
_PLACE = frozenset(LocationRead.model_fields)
# Private: its new values are the owner's affair, and so is that they changed.
_TELLABLE = frozenset(ListingRead.model_fields) - {"external_id"}

Move = tuple[Listing, ListingMoved]


@dataclass(frozen=True, slots=True)
class Face:
    """What a spell is about: the asking price, and which asset it is."""

    price: tuple[int | None, str | None]
    asset_keys: tuple[str, ...]


def face_of(listing: Listing, details: Details) -> Face:
    """The listing's price and asset as they are now."""
    keys = kinds.get(listing.kind).asset_keys(details)
    return Face((listing.price_amount, listing.currency), tuple(sorted(keys)))


async def follow(session: AsyncSession, *moves: Move) -> None:
    """Open and close spells as of when each listing moved, and add to the change feed."""
    entering = [(listing, move) for listing, move in moves if not _was_public(move) and _is_public(listing)]
    for listing, move in moves:
        if _was_public(move) and not _is_public(listing):
            await _leave(session, listing)
    await _enter(session, entering)
    session.add_all(
        ListingChange(listing_id=listing.id, seen_at=listing.moved_at, what=_TOLD.get(type(move), move.new_status))
        for listing, move in moves
        if _was_public(move) or _is_public(listing)
    )


def _was_public(move: ListingMoved) -> bool:
    return move.old_status in PUBLIC


def _is_public(listing: Listing) -> bool:
    return listing.status in PUBLIC


async def _enter(session: AsyncSession, moves: Sequence[Move]) -> None:
    returning = [listing.id for listing, move in moves if move.old_status != S.DRAFT]
    if returning:
        unseen = ListingChange.listing_id.in_(returning), ListingChange.seen_at.is_(None)
        moved_at = select(Listing.moved_at).where(Listing.id == ListingChange.listing_id).scalar_subquery()
        seen = update(ListingChange).where(*unseen).values(seen_at=moved_at)
        await session.execute(seen.execution_options(synchronize_session=False))
    opened = []
    for listing, move in moves:
        details = await session.get_one(kinds.get(listing.kind).table, listing.id)
        is_continued = move.old_status in _AWAY
        opened.append(_spell(listing, face_of(listing, details), listing.moved_at, is_continued=is_continued))
    await _open(session, [listing for listing, _ in moves], opened)


def _spell(listing: Listing, face: Face, started_at: datetime, *, is_continued: bool) -> MarketSpell:
    amount, currency = face.price
    return MarketSpell(
        listing_id=listing.id,
        asset_keys=list(face.asset_keys),
        price_amount=amount,
        currency=currency,
        is_continued=is_continued,
        started_at=started_at,
    )


async def _open(session: AsyncSession, listings: Iterable[Listing], opened: list[MarketSpell]) -> None:
    await _lock(session, {key for spell in opened for key in spell.asset_keys})
    session.add_all(opened)
    await session.flush()
    others = await _others(session, [spell.id for spell in opened if spell.asset_keys])
    alarms = [_listed_twice(listing, others[listing.id]) for listing in listings if listing.id in others]
    await _raise_alarms(session, alarms)


async def _leave(session: AsyncSession, listing: Listing) -> None:
    closed = await _close(session, listing, listing.moved_at, left_as=listing.status)
    if listing.status == S.SOLD and closed and closed.asset_keys:
        await _lock(session, closed.asset_keys)
        others = (await _others(session, [closed.id])).get(listing.id, [])
        if sold := _ids(others, is_public=False):
            alarm = AssetSoldTwice(listing_id=listing.id, owner_id=listing.owner_id, sold_lately=sold)
            await _raise_alarms(session, [alarm])


async def _close(
    session: AsyncSession, listing: Listing, ended_at: datetime, left_as: str | None
) -> Row[UUID, list[str]] | None:
    """End the open spell; its id and asset keys."""
    ended = update(MarketSpell).where(MarketSpell.listing_id == listing.id, MarketSpell.ended_at.is_(None))
    # Two processes' clocks may differ a little.
    values = {"ended_at": func.greatest(MarketSpell.started_at, ended_at), "left_as": left_as}
    closing = ended.values(values).returning(MarketSpell.id, MarketSpell.asset_keys)
    return (await session.execute(closing.execution_options(synchronize_session=False))).one_or_none()


async def follow_edit(
    session: AsyncSession, listing: Listing, details: Details, before: Face, changed: Collection[str]
) -> None:
    """Begin another spell where price or asset changed in public, and add to the change feed."""
    if listing.published_at is None:
        return
    now, after = clock.now(), face_of(listing, details)
    seen_at = now if _is_public(listing) else None
    session.add_all(_edits(listing, seen_at, changed, is_repriced=after.price != before.price))
    if after == before or not _is_public(listing):
        return
    await _close(session, listing, now, left_as=None)
    spell = _spell(listing, after, now, is_continued=True)
    if after.asset_keys == before.asset_keys:
        session.add(spell)
    else:
        await _open(session, [listing], [spell])


def _edits(
    listing: Listing, seen_at: datetime | None, changed: Collection[str], *, is_repriced: bool
) -> list[ListingChange]:
    """What of an edit everybody may know: names, no values."""
    made: list[dict[str, Any]] = []
    if fields := sorted(set(_public_names(listing.kind, changed))):
        made.append({"what": Told.EDITED, "fields": fields})
    if is_repriced:
        made.append({"what": Told.PRICE_CHANGED})
    return [ListingChange(listing_id=listing.id, seen_at=seen_at, **entry) for entry in made]


def _public_names(kind: str, changed: Iterable[str]) -> Iterable[str]:
    readable = kinds.get(kind).read_fields
    for name in changed:
        prefix, _, member = name.rpartition(".")
        if name in _PLACE:
            yield "location"
        elif (prefix and member in readable) or name in _TELLABLE:
            yield name


async def _lock(session: AsyncSession, keys: Collection[str]) -> None:
    """Be the only one who lists or sells these assets until the transaction ends; in one order for everybody."""
    if keys:
        key = func.unnest(cast(sorted(keys), ARRAY(Text))).column_valued("key")
        await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(key, 0))))


@dataclass(frozen=True, slots=True)
class _Other:
    listing_id: UUID
    is_public: bool


async def _others(session: AsyncSession, spell_ids: list[UUID]) -> dict[UUID, list[_Other]]:
    """For the listing of each spell, some others that are public as the same asset or sold it for another owner."""
    if not spell_ids:
        return {}
    mine, other = aliased(MarketSpell), aliased(MarketSpell)
    my_listing, its_listing = aliased(Listing), aliased(Listing)
    sold_by_another = and_(
        other.left_as == S.SOLD, other.ended_at > clock.now() - LATELY, its_listing.owner_id != my_listing.owner_id
    )
    same_asset = (
        select(other.listing_id, other.ended_at.is_(None).label("is_public"))
        .join(its_listing, its_listing.id == other.listing_id)
        .where(other.asset_keys.overlap(mine.asset_keys), other.listing_id != mine.listing_id)
        .where(or_(other.ended_at.is_(None), sold_by_another))
        # Sold ones first: whoever sells a thing again could put them behind new listings of it.
        .order_by(other.ended_at.is_(None), other.started_at.desc())
        .limit(MOST_OTHERS)
        .lateral()
    )
    found = await session.execute(
        select(mine.listing_id, same_asset.c.listing_id, same_asset.c.is_public)
        .join(my_listing, my_listing.id == mine.listing_id)
        .join(same_asset, true())
        .where(mine.id.in_(spell_ids))
    )
    others: dict[UUID, list[_Other]] = {}
    for listing_id, other_id, is_public in found:
        others.setdefault(listing_id, []).append(_Other(other_id, is_public))
    return others


def _listed_twice(listing: Listing, others: list[_Other]) -> AssetListedTwice:
    return AssetListedTwice(
        listing_id=listing.id,
        owner_id=listing.owner_id,
        public_elsewhere=_ids(others, is_public=True),
        sold_lately=_ids(others, is_public=False),
    )


def _ids(others: Iterable[_Other], *, is_public: bool) -> list[UUID]:
    return sorted({other.listing_id for other in others if other.is_public is is_public})


async def _raise_alarms(session: AsyncSession, alarms: Sequence[AssetListedTwice | AssetSoldTwice]) -> None:
    """Tell moderators; nobody is refused, since a resale or a mistaken digit looks the same."""
    await emit(session, *alarms)
    for alarm in alarms:
        others = alarm.model_dump(mode="json", exclude={"listing_id", "owner_id"})
        audit.record(session, alarm.name, actor_id=None, subject_id=alarm.listing_id, **others)
