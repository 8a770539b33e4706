"""Searching: conditions, order, keyset page and capped total, in one statement that is compiled once for all values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Select, bindparam, cast, false, func, select, true
from sqlalchemy.types import BigInteger, Double

from src.core.pagination import TOTAL_CAP, after, decode_cursor, encode_cursor
from src.core.reads import Reader, Statement, compiled
from src.listings import kinds
from src.listings.conditions import LISTING_COLUMNS, Columns, centre, conditions, given, values, words_query
from src.listings.filters import ListingSearch
from src.listings.models import Listing, ListingKind
from src.listings.queries import document, join_details, representations


@dataclass(frozen=True, slots=True)
class Order:
    """Sort keys, all the same way; the last one is unique."""

    keys: tuple[ColumnElement[Any], ...]
    is_descending: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Catalogue:
    """What can be searched: a kind or all of them, what parameters are compared with, and the orders there are."""

    only: ListingKind | None = None
    columns: Columns = field(default_factory=dict)
    orders: Mapping[str, Order] = field(default_factory=dict)

    def column(self) -> Columns:
        """Those of every listing, and of the kind."""
        return {**LISTING_COLUMNS, **self.columns}

    def order(self, name: str) -> Order:
        """The order of that name."""
        return self.orders[name] if name in self.orders else ORDERS[name]


EVERYTHING = Catalogue()

_rank = cast(func.ts_rank(Listing.search, words_query()), Double)
_distance: Any = Listing.sphere.op("<->", return_type=Double())(centre())
ORDERS: Mapping[str, Order] = {
    "newest": Order((Listing.published_at, Listing.id), is_descending=True),  # type: ignore[arg-type]
    "price_asc": Order((Listing.price_amount, Listing.id)),  # type: ignore[arg-type]
    "price_desc": Order((Listing.price_amount, Listing.id), is_descending=True),  # type: ignore[arg-type]
    "relevance": Order((_rank, Listing.id), is_descending=True),  # type: ignore[arg-type]
    "nearest": Order((_distance, Listing.id)),  # type: ignore[arg-type]
}


@dataclass(frozen=True, slots=True)
class Shape:
    """What decides the SQL of a search; `search` is any one of that shape."""

    catalogue: Catalogue
    given: tuple[str, ...]
    order: str
    is_continued: bool
    search: ListingSearch = field(compare=False)


async def page(reader: Reader, search: ListingSearch, catalogue: Catalogue = EVERYTHING) -> bytes:
    """A page of public listings as JSON, rendered as everybody sees them.

    Raises:
        BadCursor: the cursor is not of this search.
    """
    keys = catalogue.order(search.order()).keys
    scope = f"{catalogue.only}:{search.scope()}"
    named = {**values(search, catalogue.column()), "limit": search.limit + 1}
    if search.cursor is not None:
        named |= {f"last_{number}": key for number, key in enumerate(decode_cursor(scope, search.cursor, keys))}
    shape = Shape(catalogue, given(search), search.order(), search.cursor is not None, search)
    found = await reader.fetch(_statement(shape), named)
    rows = [row for row in found if row["body"] is not None]
    items = rows[: search.limit]
    cursor = None
    if len(rows) > search.limit:
        cursor = encode_cursor(scope, [items[-1][f"key_{number}"] for number in range(len(keys))])
    return page_of([document(row) for row in items], cursor, found[0]["total"])


@lru_cache(maxsize=2000)
def _statement(shape: Shape) -> Statement:
    """One row at least: the total is there even if the page is empty."""
    order = shape.catalogue.order(shape.order)
    matching = _matching(shape)
    keys = [key.label(f"key_{number}") for number, key in enumerate(order.keys)]
    last = [bindparam(f"last_{number}", type_=key.type) for number, key in enumerate(order.keys)]
    found = after(
        matching.add_columns(*keys), order.keys, last if shape.is_continued else None, descending=order.is_descending
    )
    rows = found.limit(bindparam("limit", type_=BigInteger)).subquery("found")
    whole = representations(false(), shape.catalogue.only).join(rows, rows.c.id == Listing.id)
    items = whole.add_columns(*(rows.c[key.name] for key in keys)).subquery("item")
    total = (
        select(func.count().label("total")).select_from(matching.limit(TOTAL_CAP + 1).subquery()).subquery("counted")
    )
    every = select(total.c.total, *items.c).select_from(total.outerjoin(items, true()))
    return compiled(every.order_by(*_ways([items.c[key.name] for key in keys], order)))


def _ways(keys: Sequence[ColumnElement[Any]], order: Order) -> list[ColumnElement[Any]]:
    return [key.desc() if order.is_descending else key.asc() for key in keys]


def _matching(shape: Shape) -> Select[Any]:
    only = shape.catalogue.only
    wanted = conditions(shape.search, shape.catalogue.column())
    matching: Select[Any] = select(Listing.id).where(Listing.is_public, *wanted)
    return matching if only is None else join_details(matching, [kinds.get(only)], is_outer=False)


def page_of(items: list[bytes], cursor: str | None, total: int | None = None) -> bytes:
    """The JSON of a page from the JSON of its items; `total` is what was counted, one more than the cap at most."""
    parts = [b'{"items":[', b",".join(items), b'],"next_cursor":', orjson.dumps(cursor)]
    if total is not None:
        counted = {"value": min(total, TOTAL_CAP), "capped": total > TOTAL_CAP}
        parts += [b',"total":', orjson.dumps(counted)]
    return b"".join([*parts, b"}"])
