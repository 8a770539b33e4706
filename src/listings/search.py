"""Searching: conditions, order, keyset page and capped total, in two statements; words need one more."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import Double

from src.core.pagination import TOTAL_CAP, after, decode_cursor, encode_cursor
from src.listings import kinds, ranking, typos
from src.listings.filters import LISTING_COLUMNS, Columns, ListingSearch, centre, conditions
from src.listings.models import Listing, ListingKind
from src.listings.queries import document, join_details, representations


@dataclass(frozen=True, slots=True)
class Order:
    """Sort keys, all the same way; the last one is unique."""

    keys: tuple[ColumnElement[Any], ...]
    is_descending: bool = False


ORDERS: Mapping[str, Order] = {
    "newest": Order((Listing.published_at, Listing.id), is_descending=True),  # type: ignore[arg-type]
    "price_asc": Order((Listing.price_amount, Listing.id)),  # type: ignore[arg-type]
    "price_desc": Order((Listing.price_amount, Listing.id), is_descending=True),  # type: ignore[arg-type]
}


def _order(search: ListingSearch, more: Mapping[str, Order]) -> Order:
    name = search.order()
    if name == "relevance" and search.q:
        return Order((ranking.score(search.words()), Listing.id), is_descending=True)  # type: ignore[arg-type]
    if name == "nearest" and search.near:
        distance: Any = Listing.sphere.op("<->", return_type=Double())(centre(search.near))
        return Order((distance, Listing.id))  # type: ignore[arg-type]
    return {**ORDERS, **more}[name]


async def page(
    session: AsyncSession,
    search: ListingSearch,
    *,
    only: ListingKind | None = None,
    columns: Columns | None = None,
    orders: Mapping[str, Order] | None = None,
) -> bytes:
    """A page of public listings as JSON, rendered as everybody sees them.

    Raises:
        BadCursor: the cursor is not of this search.
    """
    if search.q:
        search.mean(await typos.meant(session, search.q))
    matching = _matching(only, conditions(search, {**LISTING_COLUMNS, **(columns or {})}))
    order = _order(search, orders or {})
    scope = f"{only}:{search.scope()}"
    start = decode_cursor(scope, search.cursor, order.keys) if search.cursor is not None else None
    keys = [key.label(f"key_{number}") for number, key in enumerate(order.keys)]
    found = after(matching.add_columns(*keys), order.keys, start, descending=order.is_descending)
    shown = _represented(found.limit(search.limit + 1), only, order)
    if search.q and search.explain:
        shown = shown.add_columns(ranking.explanation(search.words()).label("score"))
    rows = (await session.execute(shown)).all()
    total = (await session.scalars(_count(matching))).one()
    items = rows[: search.limit]
    cursor = None
    if len(rows) > search.limit:
        cursor = encode_cursor(scope, [getattr(items[-1], key.name) for key in keys])
    documents = [document(row) for row in items]
    if search.explain:
        documents = [ranking.explained(whole, row.score) for whole, row in zip(documents, items, strict=True)]
    return page_of(documents, cursor, total)


def _matching(only: ListingKind | None, wanted: Iterable[ColumnElement[bool]]) -> Select[Any]:
    matching: Select[Any] = select(Listing.id).where(Listing.is_public, *wanted)
    return matching if only is None else join_details(matching, [kinds.get(only)], is_outer=False)


def _represented(found: Select[Any], only: ListingKind | None, order: Order) -> Select[Any]:
    """The rows found, as everybody sees them; made for these alone and not for all that were sorted."""
    rows = found.subquery("found")
    keys = [rows.c[f"key_{number}"] for number in range(len(order.keys))]
    whole = representations(None, only).add_columns(*keys).join(rows, rows.c.id == Listing.id)
    return whole.order_by(*(key.desc() if order.is_descending else key.asc() for key in keys))


def _count(matching: Select[Any]) -> Select[int]:
    return select(func.count()).select_from(matching.limit(TOTAL_CAP + 1).subquery())


def page_of(items: list[bytes], cursor: str | None, total: int | None = None) -> bytes:
    """The JSON of a page from the JSON of its items; `total` is what was counted, one more than the cap at most."""
    parts = [b'{"items":[', b",".join(items), b'],"next_cursor":', orjson.dumps(cursor)]
    if total is not None:
        counted = {"value": min(total, TOTAL_CAP), "capped": total > TOTAL_CAP}
        parts += [b',"total":', orjson.dumps(counted)]
    return b"".join([*parts, b"}"])
