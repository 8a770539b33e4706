"""Searching: conditions, order, keyset page and capped total, compiled once for all values; then the page is shown."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from weakref import ReferenceType, ref

import orjson
from sqlalchemy import ColumnElement, Select, Subquery, bindparam, false, func, select, true
from sqlalchemy.types import BigInteger, Double

from src.core.pagination import TOTAL_CAP, after, decode_cursor, encode_cursor
from src.core.reads import Reader, Row, Statement, compiled
from src.listings import kinds, ranking, typos
from src.listings.conditions import (
    LISTING_COLUMNS,
    Columns,
    centre,
    column_name,
    conditions,
    given,
    values,
    words_query,
)
from src.listings.filters import ListingSearch
from src.listings.models import Listing, ListingKind
from src.listings.queries import document, documents, is_of, representations


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

_distance: Any = Listing.sphere.op("<->", return_type=Double())(centre())
ORDERS: Mapping[str, Order] = {
    "newest": Order((Listing.published_at, Listing.id), is_descending=True),  # type: ignore[arg-type]
    "price_asc": Order((Listing.price_amount, Listing.id)),  # type: ignore[arg-type]
    "price_desc": Order((Listing.price_amount, Listing.id), is_descending=True),  # type: ignore[arg-type]
    "relevance": Order((ranking.score(words_query()), Listing.id), is_descending=True),  # type: ignore[arg-type]
    "nearest": Order((_distance, Listing.id)),  # type: ignore[arg-type]
}


@dataclass(frozen=True, slots=True)
class Shape:
    """What decides the SQL of a search; `search` is any one of that shape, for as long as it lives.

    Statements are kept by shape, and what somebody once sent must not be kept with them.
    """

    catalogue: Catalogue
    given: tuple[str, ...]
    order: str
    is_continued: bool
    is_explained: bool
    of: ReferenceType[ListingSearch] = field(compare=False)

    @property
    def search(self) -> ListingSearch:
        """The search that is being answered."""
        search = self.of()
        assert search is not None, "this shape was kept, and its search was not"
        return search

    @property
    def has_words(self) -> bool:
        """Words take a question to the vocabulary, so what is found is shown by the same statement."""
        return "q" in self.given


async def page(reader: Reader, search: ListingSearch, catalogue: Catalogue = EVERYTHING) -> bytes:
    """A page of public listings as JSON, rendered as everybody sees them.

    Raises:
        BadCursor: the cursor is not of this search.
    """
    keys = catalogue.order(search.order()).keys
    scope = f"{catalogue.only}:{search.scope()}"
    shape = Shape(catalogue, given(search), search.order(), search.cursor is not None, search.explain, ref(search))
    named = {**values(search, catalogue.column()), "limit": search.limit + 1}
    if search.q:
        named["q"] = await typos.meant(reader, search.q)
    if search.cursor is not None:
        named |= {f"last_{number}": key for number, key in enumerate(decode_cursor(scope, search.cursor, keys))}
    found = await reader.fetch(_statement(shape), named)
    hits = [row for row in found if row["id"] is not None]
    shown = hits[: search.limit]
    cursor = None
    if len(hits) > search.limit:
        cursor = encode_cursor(scope, [shown[-1][f"key_{number}"] for number in range(len(keys))])
    return page_of(await _documents(reader, shape, shown), cursor, found[0]["total"])


async def _documents(reader: Reader, shape: Shape, shown: list[Row]) -> list[bytes]:
    if not shape.has_words:
        return await documents(reader, [row["id"] for row in shown], shape.catalogue.only)
    whole = map(document, shown)
    if shape.is_explained:
        return [ranking.explained(body, row["score"]) for body, row in zip(whole, shown, strict=True)]
    return list(whole)


# Of all parameters there are, a statement is 17 KB.
@lru_cache(maxsize=1000)
def _statement(shape: Shape) -> Statement:
    """Which listings; without words, another statement shows them, whose plan does not depend on what is asked.

    One row at least: the total is there even if the page is empty.
    """
    order = shape.catalogue.order(shape.order)
    matching = _matching(shape)
    keys = [key.label(f"key_{number}") for number, key in enumerate(order.keys)]
    last = [bindparam(f"last_{number}", type_=key.type) for number, key in enumerate(order.keys)]
    found = after(
        matching.add_columns(*keys), order.keys, last if shape.is_continued else None, descending=order.is_descending
    )
    hits = found.limit(bindparam("limit", type_=BigInteger)).subquery("hit")
    if shape.has_words:
        hits = _shown(shape, hits)
    total = (
        select(func.count().label("total")).select_from(matching.limit(TOTAL_CAP + 1).subquery()).subquery("counted")
    )
    both = select(total.c.total, *hits.c).select_from(total.outerjoin(hits, true()))
    ways = [hits.c[key.name].desc() if order.is_descending else hits.c[key.name].asc() for key in keys]
    return compiled(both.order_by(*ways), is_selective=True)


def _shown(shape: Shape, hits: Subquery) -> Subquery:
    whole = representations(false(), shape.catalogue.only).join(hits, hits.c.id == Listing.id).add_columns(*hits.c)
    if shape.is_explained:
        whole = whole.add_columns(ranking.explanation(words_query()).label("score"))
    return whole.subquery("shown")


def _matching(shape: Shape) -> Select[Any]:
    catalogue = shape.catalogue
    wanted = conditions(shape.search, catalogue.column())
    matching: Select[Any] = select(Listing.id).where(Listing.is_public, *wanted)
    if catalogue.only is None:
        return matching
    matching = matching.where(is_of(catalogue.only))
    table = kinds.get(catalogue.only).table
    # Joined only where it is asked for: counting is three times as fast without.
    is_asked = shape.order in catalogue.orders or any(
        column_name(name, catalogue.columns) in catalogue.columns for name in shape.given
    )
    return matching.join(table, table.listing_id == Listing.id) if is_asked else matching


def page_of(items: list[bytes], cursor: str | None, total: int | None = None) -> bytes:
    """The JSON of a page from the JSON of its items; `total` is what was counted, one more than the cap at most."""
    parts = [b'{"items":[', b",".join(items), b'],"next_cursor":', orjson.dumps(cursor)]
    if total is not None:
        counted = {"value": min(total, TOTAL_CAP), "capped": total > TOTAL_CAP}
        parts += [b',"total":', orjson.dumps(counted)]
    return b"".join([*parts, b"}"])
