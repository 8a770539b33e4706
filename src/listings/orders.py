"""The orders of searches: sort keys, where a page begins and which rows come first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, literal_column, select
from sqlalchemy.types import BigInteger, Boolean, Double, Numeric

from src.core.pagination import after
from src.exchange_rates.queries import in_price_order
from src.listings import ranking
from src.listings.conditions import words_query
from src.listings.models import Listing

LIMIT: ColumnElement[int] = bindparam("limit", type_=BigInteger)


@dataclass(frozen=True, slots=True)
class Order:
    """Sort keys, all the same way; the last one is unique."""

    keys: tuple[ColumnElement[Any], ...]
    is_descending: bool = False

    def first(self, matching: Select[Any], *, is_continued: bool) -> Select[Any]:
        """The first LIMIT of `matching`, or of those behind `last_0`, `last_1`…: ids and `key_0`, `key_1`…"""
        keys = [key.label(f"key_{number}") for number, key in enumerate(self.keys)]
        last = [bindparam(f"last_{number}", type_=key.type) for number, key in enumerate(self.keys)]
        found = after(
            matching.add_columns(*keys), self.keys, last if is_continued else None, descending=self.is_descending
        )
        return found.limit(LIMIT)

    def ways(self, keys: Sequence[ColumnElement[Any]]) -> list[ColumnElement[Any]]:
        """The columns that hold the keys, as an ORDER BY."""
        return [key.desc() if self.is_descending else key.asc() for key in keys]


# Of more matches than these, only the newest are ranked: 15 ms where ranking 200,000 took 500.
MOST_RANKED = 5000


@dataclass(frozen=True, slots=True)
class RelevanceOrder(Order):
    """By how well the words fit, how new a listing is and how much it tells."""

    keys: tuple[ColumnElement[Any], ...] = (literal_column("score", Double), Listing.id)  # type: ignore[assignment]
    is_descending: bool = True

    def first(self, matching: Select[Any], *, is_continued: bool) -> Select[Any]:
        """As `Order` says, of the newest MOST_RANKED."""
        ranked = matching.add_columns(Listing.search, Listing.published_at, Listing.completeness)
        newest = ranked.order_by(Listing.published_at.desc(), Listing.id.desc()).limit(MOST_RANKED).subquery("newest")
        order = Order((ranking.score(words_query(), newest.c), newest.c.id), is_descending=True)
        return order.first(select(newest.c.id), is_continued=is_continued)


@dataclass(frozen=True, slots=True)
class PriceOrder(Order):
    """By price, converted; what has no rate comes last, both ways. Limits of the price are part of where it begins."""

    keys: tuple[ColumnElement[Any], ...] = (
        literal_column("is_unrated", Boolean),
        literal_column("key", Numeric),
        Listing.id,  # type: ignore[assignment]
    )

    def first(self, matching: Select[Any], *, is_continued: bool) -> Select[Any]:  # noqa: ARG002 - lanes tell
        """As `Order` says; where it begins is told by `lane_values`."""
        found = in_price_order(Listing, matching, is_descending=self.is_descending, limit=LIMIT).subquery()
        return select(
            found.c.id, found.c.is_unrated.label("key_0"), found.c.key.label("key_1"), found.c.id.label("key_2")
        )

    def ways(self, keys: Sequence[ColumnElement[Any]]) -> list[ColumnElement[Any]]:
        """As `Order` says."""
        is_unrated, *rest = keys
        return [is_unrated.asc(), *Order.ways(self, rest)]
