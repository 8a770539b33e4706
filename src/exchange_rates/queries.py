"""SQL over rows with prices in many currencies; its shape never depends on the rates, which are all bound arrays."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Numeric,
    Select,
    Subquery,
    Text,
    Uuid,
    cast,
    column,
    func,
    literal,
    select,
    true,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.elements import Grouping
from sqlalchemy.sql.selectable import LateralFromClause, TableValuedAlias
from sqlalchemy.types import TypeEngine

from src.exchange_rates.conversion import Lane, Lanes, PriceRange


class Priced(Protocol):
    """A table, or an alias of one, whose rows have a price: `price_amount` minor units of `currency`."""

    id: Any
    currency: Any
    price_amount: Any


def is_within(rows: type[Priced], prices: PriceRange) -> ColumnElement[bool]:
    """Where the price is in the range of its currency; false for currencies without a rate."""
    position = func.array_position(_array(prices.currencies, Text()), rows.currency)
    lows, highs = _array(prices.lows, BigInteger()), _array(prices.highs, BigInteger())
    is_in_range: ColumnElement[bool] = rows.price_amount.between(Grouping(lows)[position], Grouping(highs)[position])
    return is_in_range


def in_price_order(
    rows: type[Priced], matching: Select[Any], currencies: Select[Any], lanes: Lanes, *, limit: int
) -> Select[Any]:
    """The first `limit` rows of `matching` in the order of their converted prices: `id`, `is_unrated` and `key`.

    `matching` selects the ids of `rows`. `currencies` selects one column, the currency of every row that `matching` may
    find, and more where that makes it simpler: its currencies are looked up one by one, so an index must begin with
    them. Each is then read in the order of its prices, `limit` rows at most: an index on (currency, price_amount, id)
    serves that.
    """
    lane = _lanes_of(_distinct(currencies), lanes)
    found = _found(rows, matching, lane, limit=limit, is_descending=lanes.is_descending)
    key = (found.c.price_amount * lane.c.weight).label("key")
    merged = select(found.c.id, lane.c.is_unrated, key).select_from(lane).join(found, true())
    order = (key.desc(), found.c.id.desc()) if lanes.is_descending else (key, found.c.id)
    return merged.order_by(lane.c.is_unrated, *order).limit(limit)


def _array(values: Sequence[Any], of: TypeEngine[Any]) -> Any:
    return cast(literal(values, ARRAY(of)), ARRAY(of))


def _distinct(currencies: Select[Any]) -> CTE:
    """Each currency once, by skipping from one to the next in the index; then a null."""
    [currency] = currencies.selected_columns
    first = currencies.order_by(currency).limit(1).scalar_subquery()
    present = select(first.label("currency")).cte("present", recursive=True)
    following = currencies.where(currency > present.c.currency).order_by(currency).limit(1).scalar_subquery()
    return present.union_all(select(following).where(present.c.currency.is_not(None)))


def _lanes_of(present: CTE, lanes: Lanes) -> Subquery:
    lane, unrated = _unnested(lanes.rated), lanes.unrated
    return (
        select(
            present.c.currency,
            lane.c.currency.is_(None).label("is_unrated"),
            func.coalesce(lane.c.weight, unrated.weight).label("weight"),
            func.coalesce(lane.c.start, cast(unrated.start, BigInteger)).label("start"),
            func.coalesce(lane.c.start_id, cast(unrated.start_id, Uuid)).label("start_id"),
            func.coalesce(lane.c.end, cast(unrated.end, BigInteger)).label("end"),
        )
        .join_from(present, lane, lane.c.currency == present.c.currency, isouter=True)
        .where(present.c.currency.is_not(None))
        .subquery("lane")
    )


_LANE: dict[str, TypeEngine[Any]] = {
    "weight": Numeric(),
    "start": BigInteger(),
    "start_id": Uuid(),
    "end": BigInteger(),
}


def _unnested(rated: Mapping[str, Lane]) -> TableValuedAlias:
    arrays = [_array([getattr(lane, name) for lane in rated.values()], of) for name, of in _LANE.items()]
    columns = [column(name, of) for name, of in _LANE.items()]
    unnested = func.unnest(_array(list(rated), Text()), *arrays)
    return unnested.table_valued(column("currency", Text()), *columns, name="rated").render_derived()


def _found(
    rows: type[Priced], matching: Select[Any], lane: Subquery, *, limit: int, is_descending: bool
) -> LateralFromClause:
    """The next rows of one lane, with an end that stops the index from being read on."""
    amount, row_id = rows.price_amount, rows.id
    here, start = tuple_(amount, row_id), tuple_(lane.c.start, lane.c.start_id)
    ahead = (here < start, amount >= lane.c.end) if is_descending else (here > start, amount <= lane.c.end)
    order = (amount.desc(), row_id.desc()) if is_descending else (amount, row_id)
    next_rows = matching.add_columns(amount).where(rows.currency == lane.c.currency, *ahead)
    return next_rows.order_by(*order).limit(limit).lateral("found")
