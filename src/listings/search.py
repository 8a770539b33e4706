"""Searching: conditions, order, keyset page and capped total, compiled once for all values; then the page is shown."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any
from weakref import ReferenceType, ref

import orjson
from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    Subquery,
    Text,
    false,
    func,
    literal_column,
    select,
    true,
    union_all,
)
from sqlalchemy.sql.selectable import LateralFromClause
from sqlalchemy.types import Double

from src.core.pagination import TOTAL_CAP, capped, decode_cursor, encode_cursor
from src.core.reads import Reader, Row, Statement, compiled
from src.listings import facets, kinds, prices, ranking, relaxations
from src.listings.conditions import (
    LISTING_COLUMNS,
    PRICE_LIMITS,
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
from src.listings.lookups import look_up
from src.listings.models import Listing, ListingKind
from src.listings.orders import Order, PriceOrder, RelevanceOrder
from src.listings.prices import Prices
from src.listings.queries import document, documents, is_of, representations


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
# A cursor begins with the rates that its search began with.
_RATES: ColumnElement[str] = literal_column("''", Text)

_distance: Any = Listing.sphere.op("<->", return_type=Double())(centre())
ORDERS: Mapping[str, Order] = {
    "newest": Order((Listing.published_at, Listing.id), is_descending=True),  # type: ignore[arg-type]
    "price_asc": PriceOrder(),
    "price_desc": PriceOrder(is_descending=True),
    "relevance": RelevanceOrder(),
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
    # In how many currencies there are prices within the limits; None without limits.
    currencies: int | None
    of: ReferenceType[ListingSearch] = field(compare=False)

    @property
    def search(self) -> ListingSearch:
        """The search that is being answered."""
        search = self.of()
        assert search is not None, "this shape was kept, and its search was not"
        return search

    @property
    def has_one_plan(self) -> bool:
        """Whether the order's index is best whatever the values: no filter, but limits of the price that sorts."""
        is_by_price = isinstance(self.catalogue.order(self.order), PriceOrder)
        return not set(self.given) - (PRICE_LIMITS if is_by_price else set())

    @property
    def is_shown_at_once(self) -> bool:
        """Whether one statement finds and shows: where nothing is planned anew, and where a question came before."""
        return self.has_one_plan or "q" in self.given or "city" in self.given

    def without(self, names: Collection[str]) -> "Shape":
        """The same search, these parameters left out."""
        return replace(self, given=tuple(name for name in self.given if name not in names))

    def matching(self, also: Iterable[str] = ()) -> Select[Any]:
        """The ids of what is found; with the kind's table if a parameter, the order or `also` is about one of it."""
        catalogue = self.catalogue
        wanted = [*conditions(self.search, catalogue.column(), self.given)]
        if self.currencies is not None and PRICE_LIMITS.intersection(self.given):
            wanted.append(prices.are_within(self.currencies))
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
    scope, keys = f"{catalogue.only}:{search.scope()}", (_RATES, *catalogue.order(search.order()).keys)
    rates, *last = decode_cursor(scope, search.cursor, keys) if search.cursor is not None else [""]
    asked = await prices.asked(reader, search, rates, is_continued=bool(last)) if prices.are_asked(search) else None
    shape = _shape(search, catalogue, asked, is_continued=bool(last))
    named = await _named(reader, search, catalogue, asked, last)
    found = await reader.fetch(_statement(shape), named)
    hits = [row for row in found if row["id"] is not None]
    shown, cursor, rates = hits[: search.limit], None, asked.rates if asked else ""
    if len(hits) > search.limit:
        cursor = encode_cursor(scope, [rates, *(shown[-1][f"key_{number}"] for number in range(len(keys) - 1))])
    more = await _more(reader, shape, named, asked, found[0]["total"])
    whole = await _documents(reader, shape, shown)
    return page_of(whole, cursor, found[0]["total"], exchange_rates_id=rates or None, **more)


async def _more(reader: Reader, shape: Shape, named: Values, asked: Prices | None, total: int) -> dict[str, Any]:
    """The facets asked for, and a way out where nothing is found."""
    more: dict[str, Any] = {}
    if names := shape.search.counted():
        wanted = {name: shape.catalogue.facets[name] for name in names}
        more["facets"] = facets.answer(await reader.fetch(_facets(shape, names), named), shape.given, wanted)
    if total == 0 and shape.given and not shape.is_continued:
        more["relaxations"] = await relaxations.cheapest(reader, shape, named, asked)
    return more


@lru_cache(maxsize=1000)
def _facets(shape: Shape, names: tuple[str, ...]) -> Statement:
    return facets.statement(shape, {name: shape.catalogue.facets[name] for name in names})


def _shape(search: ListingSearch, catalogue: Catalogue, asked: Prices | None, *, is_continued: bool) -> Shape:
    currencies = len(asked.currencies) if asked and prices.are_limited(search) else None
    return Shape(catalogue, given(search), search.order(), is_continued, search.explain, currencies, ref(search))


async def _named(
    reader: Reader, search: ListingSearch, catalogue: Catalogue, asked: Prices | None, last: list[Any]
) -> Values:
    named = {**values(search, catalogue.column()), "limit": search.limit + 1}
    named |= {f"last_{number}": key for number, key in enumerate(last)}
    if asked:
        named |= asked.values(search, last)
    return named | await look_up(reader, search)


async def _documents(reader: Reader, shape: Shape, shown: list[Row]) -> list[bytes]:
    if not shape.is_shown_at_once:
        return await documents(reader, [row["id"] for row in shown], shape.catalogue.only)
    whole = map(document, shown)
    if shape.is_explained:
        return [ranking.explained(body, row["score"]) for body, row in zip(whole, shown, strict=True)]
    return list(whole)


# Of all parameters there are, a statement is 17 KB.
@lru_cache(maxsize=1000)
def _statement(shape: Shape) -> Statement:
    """Which listings; unless they are shown at once, another statement does, whose plan never changes.

    One row at least: the total is there even if the page is empty.
    """
    order, every = shape.catalogue.order(shape.order), shape.without(PRICE_LIMITS).matching()
    # An order by price begins and ends at its limits.
    matching = every if isinstance(order, PriceOrder) else shape.matching()
    hits = order.first(matching, is_continued=shape.is_continued).subquery("hit")
    total = _counted(shape, every).subquery("counted")
    found: FromClause = hits
    columns = [total.c.total, *hits.c]
    if shape.is_shown_at_once:
        shown = _shown(shape, hits)
        found, columns = hits.join(shown, true()), [*columns, *shown.c]
    both = select(*columns).select_from(total.outerjoin(found, true()))
    keys = [hits.c[f"key_{number}"] for number in range(len(order.keys))]
    return compiled(both.order_by(*order.ways(keys)), is_selective=not shape.has_one_plan)


def _counted(shape: Shape, every: Select[Any]) -> Select[Any]:
    """How many there are, up to the cap; within limits for each currency by itself, since each is an index range."""
    parts = [every] if shape.currencies is None else [every.where(one) for one in prices.ranges(shape.currencies)]
    found = [part.limit(TOTAL_CAP + 1).subquery() for part in parts or [every.where(false())]]
    each = union_all(*(select(one.c.id) for one in found)).limit(TOTAL_CAP + 1).subquery()
    return select(func.count().label("total")).select_from(each)


def _shown(shape: Shape, hits: Subquery) -> LateralFromClause:
    """Each of the hits by itself: no plan, however wrong about their number, reads all listings for them."""
    whole = representations(false(), shape.catalogue.only).where(Listing.id == hits.c.id).limit(1)
    if shape.is_explained:
        whole = whole.add_columns(ranking.explanation(words_query()).label("score"))
    return whole.lateral("shown")


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
