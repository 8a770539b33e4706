"""Searching: conditions, order, keyset page and capped total, compiled once for all values; then the page is shown."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Select, Subquery, bindparam, false, func, select, true
from sqlalchemy.types import BigInteger, Double

from src.core.pagination import TOTAL_CAP, after, capped, decode_cursor, encode_cursor
from src.core.reads import Reader, Row, Statement, compiled
from src.listings import facets, kinds, ranking, relaxations, typos
from src.listings.conditions import (
    LISTING_COLUMNS,
    Columns,
    Values,
    centre,
    column_name,
    conditions,
    given,
    values,
    words_query,
)
from src.listings.facets import Facet
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
    facets: Mapping[str, Facet] = field(default_factory=lambda: facets.LISTING_FACETS)

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
    """What decides the SQL of a search; `search` is any one of that shape."""

    catalogue: Catalogue
    given: tuple[str, ...]
    order: str
    is_continued: bool
    is_explained: bool
    search: ListingSearch = field(compare=False)

    @property
    def has_words(self) -> bool:
        """Words take a question to the vocabulary, so what is found is shown by the same statement."""
        return "q" in self.given

    def without(self, names: Collection[str]) -> "Shape":
        """The same search, these parameters left out."""
        return replace(self, given=tuple(name for name in self.given if name not in names))

    def matching(self, also: Iterable[str] = ()) -> Select[Any]:
        """The ids of what is found; with the kind's table if a parameter, the order or `also` is about one of it."""
        catalogue = self.catalogue
        wanted = conditions(self.search, catalogue.column(), self.given)
        matching: Select[Any] = select(Listing.id).where(Listing.is_public, *wanted)
        if catalogue.only is None:
            return matching
        matching = matching.where(is_of(catalogue.only))
        table = kinds.get(catalogue.only).table
        # Joined only where it is asked for: counting is three times as fast without.
        is_asked = self.order in catalogue.orders or any(
            column_name(name, catalogue.columns) in catalogue.columns for name in (*self.given, *also)
        )
        return matching.join(table, table.listing_id == Listing.id) if is_asked else matching


async def page(reader: Reader, search: ListingSearch, catalogue: Catalogue = EVERYTHING) -> bytes:
    """A page of public listings as JSON, rendered as everybody sees them.

    Raises:
        BadCursor: the cursor is not of this search.
    """
    keys = catalogue.order(search.order()).keys
    scope = f"{catalogue.only}:{search.scope()}"
    shape = Shape(catalogue, given(search), search.order(), search.cursor is not None, search.explain, search)
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
    more = await _more(reader, shape, named, found[0]["total"])
    return page_of(await _documents(reader, shape, shown), cursor, found[0]["total"], **more)


async def _more(reader: Reader, shape: Shape, named: Values, total: int) -> dict[str, Any]:
    """The facets asked for, and a way out where nothing is found."""
    more: dict[str, Any] = {}
    if names := tuple(getattr(shape.search, "facets", ())):
        wanted = {name: shape.catalogue.facets[name] for name in names}
        more["facets"] = facets.answer(await reader.fetch(_facets(shape, names), named), shape.given, wanted)
    if total == 0 and shape.given and not shape.is_continued:
        more["relaxations"] = await relaxations.cheapest(reader, shape, named)
    return more


@lru_cache(maxsize=1000)
def _facets(shape: Shape, names: tuple[str, ...]) -> Statement:
    return facets.statement(shape, {name: shape.catalogue.facets[name] for name in names})


async def _documents(reader: Reader, shape: Shape, shown: list[Row]) -> list[bytes]:
    if not shape.has_words:
        return await documents(reader, [row["id"] for row in shown], shape.catalogue.only)
    whole = map(document, shown)
    if shape.is_explained:
        return [ranking.explained(body, row["score"]) for body, row in zip(whole, shown, strict=True)]
    return list(whole)


@lru_cache(maxsize=2000)
def _statement(shape: Shape) -> Statement:
    """Which listings; without words, another statement shows them, whose plan does not depend on what is asked.

    One row at least: the total is there even if the page is empty.
    """
    order = shape.catalogue.order(shape.order)
    matching = shape.matching()
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


def page_of(items: list[bytes], cursor: str | None, total: int | None = None, **more: Any) -> bytes:
    """The JSON of a page from the JSON of its items; `total` is what was counted, one more than the cap at most."""
    parts = [b'{"items":[', b",".join(items), b"]"]
    for name, value in more.items():
        parts += [f',"{name}":'.encode(), orjson.dumps(value)]
    # Last, where `core.links` looks for it.
    parts += [b',"next_cursor":', orjson.dumps(cursor)]
    if total is not None:
        parts += [b',"total":', orjson.dumps(capped(total))]
    return b"".join([*parts, b"}"])
