"""Use cases of favourites, and the lists of one's own."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Select, delete, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from src.core import clock
from src.core.pagination import after, decode_cursor, encode_cursor
from src.core.security import Actor
from src.listings.errors import ListingNotFound
from src.listings.models import Favourite, Listing, ListingKind, ListingStatus
from src.listings.queries import document, is_private_to, is_visible_to, representations
from src.listings.search import page_of


async def keep(session: AsyncSession, listing_id: UUID, actor: Actor) -> None:
    """Add a visible listing to the caller's favourites; again is the same.

    Raises:
        ListingNotFound: there is none, or none that they may see.
    """
    is_there = await session.scalar(
        select(Listing.id)
        .where(Listing.id == listing_id, is_visible_to(actor))
        .with_for_update(key_share=True, read=True)
    )
    if is_there is None:
        raise ListingNotFound
    row = insert(Favourite).values(user_id=actor.id, listing_id=listing_id, created_at=clock.now())
    await session.execute(row.on_conflict_do_nothing())


async def drop(session: AsyncSession, listing_id: UUID, actor: Actor) -> None:
    """Remove a listing from the caller's favourites; again is the same."""
    await session.execute(delete(Favourite).where(Favourite.user_id == actor.id, Favourite.listing_id == listing_id))


async def favourites_page(session: AsyncSession, actor: Actor, limit: int, cursor: str | None) -> bytes:
    """The caller's favourites that they may still see, newest first, as JSON.

    Raises:
        BadCursor.
    """
    found = representations(is_private_to(actor)).join(Favourite, Favourite.listing_id == Listing.id)
    found = found.where(Favourite.user_id == actor.id, is_visible_to(actor))
    return await _page(
        session, found, f"favourites:{actor.id}", (Favourite.created_at, Listing.id), limit=limit, cursor=cursor
    )


async def own_page(
    session: AsyncSession,
    actor: Actor,
    *,
    kinds: list[ListingKind],
    statuses: list[ListingStatus],
    limit: int,
    cursor: str | None,
) -> bytes:
    """The caller's own listings in any state, newest first, as JSON.

    Raises:
        BadCursor.
    """
    found = representations(is_private_to(actor)).where(Listing.owner_id == actor.id)
    if kinds:
        found = found.where(Listing.kind.in_(kinds))
    if statuses:
        found = found.where(Listing.status.in_(statuses))
    scope = f"own:{actor.id}:{sorted(kinds)}:{sorted(statuses)}"
    return await _page(session, found, scope, (Listing.id,), limit=limit, cursor=cursor)


async def _page(
    session: AsyncSession,
    found: Select[Any],
    scope: str,
    keys: Sequence[Any],
    *,
    limit: int,
    cursor: str | None,
) -> bytes:
    labelled = [key.label(f"key_{number}") for number, key in enumerate(keys)]
    start = None
    if cursor is not None:
        start = [literal(value, key.type) for value, key in zip(decode_cursor(scope, cursor, keys), keys, strict=True)]
    ordered = after(found.add_columns(*labelled), keys, start, descending=True).limit(limit + 1)
    rows = (await session.execute(ordered)).mappings().all()
    items, following = rows[:limit], None
    if len(rows) > limit:
        following = encode_cursor(scope, [items[-1][key.name] for key in labelled])
    return page_of([document(row) for row in items], following)
