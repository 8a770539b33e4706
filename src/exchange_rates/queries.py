"""SQL over rows with prices in many currencies; its shape never depends on the rates, which are all bound arrays."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    CompoundSelect,
    Numeric,
    Select,
    Subquery,
    Text,
    Uuid,
    and_,
    cast,
    column,
    func,
    literal,
    not_,
    select,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql import ColumnExpressionArgument
from sqlalchemy.sql.elements import Grouping
from sqlalchemy.sql.selectable import LateralFromClause, TableValuedAlias
from sqlalchemy.types import TypeEngine

from src.exchange_rates.conversion import Lanes, PriceRange

Wanted = Callable[[ColumnElement[bool]], Select[Any]]


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


# Where more rows than these are in a range, walking through whatever else is asked for meets them soon enough.
FEW = 2000


def within(
    rows: type[Priced],
    near: type[Priced],
    is_listed: ColumnExpressionArgument[bool],
    wanted: Wanted,
    prices: PriceRange,
    *,
    few: int = FEW,
) -> CompoundSelect[Any]:
    """What is `wanted` of the rows in the range, fast whether few rows are or many, which no planner can know.

    `wanted(condition)` selects `rows` by whatever else is asked for and by that condition on them, in an order and up
    to a limit of its own; it is called for either case, and the server runs one of the two. `near`, an alias of the
    table, and `is_listed`, a condition on it that an index on (currency, price_amount, id) has, tell which.
    """
    ranges = _unnested({"currency": prices.currencies, "low": prices.lows, "high": prices.highs}, "ranges")
    in_one = select(near.id).where(is_listed, near.currency == ranges.c.currency)
    in_one = in_one.where(near.price_amount.between(ranges.c.low, ranges.c.high)).limit(few + 1)
    each = in_one.lateral("each")
    found = select(each.c.id).select_from(ranges).join(each, true()).limit(few + 1).cte("near")
    counted = select((func.count() <= few).label("are_few")).select_from(found).cte("counted")
    are_few = select(counted.c.are_few).scalar_subquery()
    return union_all(
        wanted(and_(are_few, rows.id.in_(select(found.c.id)))),
        wanted(and_(not_(are_few), is_within(rows, prices))),
    )


def in_price_order(
    rows: type[Priced], matching: Select[Any], currencies: Select[Any], lanes: Lanes, *, limit: int
) -> Select[Any]:
    """The first `limit` rows of `matching` in the order of their converted prices: `id`, `is_unrated` and `key`.

    `matching` selects the ids of `rows`. `currencies` selects one column of an alias of the table: the currencies of at
    least the rows that `matching` finds. They are looked up one by one, then each is read in the order of its prices,
    `limit` rows at most; an index on (currency, price_amount, id) serves both.
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
    names, unrated = ("weight", "start", "start_id", "end"), lanes.unrated
    columns = {name: [getattr(lane, name) for lane in lanes.rated.values()] for name in names}
    lane = _unnested({"currency": list(lanes.rated), **columns}, "rated")
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


_TYPES: dict[str, TypeEngine[Any]] = {
    "currency": Text(),
    "weight": Numeric(),
    "start": BigInteger(),
    "start_id": Uuid(),
    "end": BigInteger(),
    "low": BigInteger(),
    "high": BigInteger(),
}


def _unnested(values: Mapping[str, Sequence[Any]], name: str) -> TableValuedAlias:
    """A table of these columns."""
    arrays = [_array(each, _TYPES[key]) for key, each in values.items()]
    columns = [column(key, _TYPES[key]) for key in values]
    return func.unnest(*arrays).table_valued(*columns, name=name).render_derived()


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
