"""SQL over rows with prices in many currencies; its shape never depends on the rates, which are all bound arrays."""

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
    bindparam,
    column,
    func,
    select,
    true,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.selectable import LateralFromClause
from sqlalchemy.types import TypeEngine

from src.exchange_rates.conversion import Lanes


class Priced(Protocol):
    """A table, or an alias of one, whose rows have a price: `price_amount` minor units of `currency`."""

    id: Any
    currency: Any
    price_amount: Any


def in_price_order(
    rows: type[Priced],
    matching: Select[Any],
    currencies: Select[Any],
    *,
    is_descending: bool,
    limit: ColumnElement[int],
) -> Select[Any]:
    """The first `limit` rows of `matching` in the order of their converted prices: `id`, `is_unrated` and `key`.

    `matching` selects the ids of `rows`. `currencies` selects one column of an alias of the table: the currencies of at
    least the rows that `matching` finds. They are looked up one by one, then each is read in the order of its prices,
    `limit` rows at most; an index on (currency, price_amount, id) serves both. The values it names are `lane_values`.
    """
    lane = _lanes_of(distinct(currencies))
    found = _found(rows, matching, lane, limit=limit, is_descending=is_descending)
    key = (found.c.price_amount * lane.c.weight).label("key")
    merged = select(found.c.id, lane.c.is_unrated, key).select_from(lane).join(found, true())
    order = (key.desc(), found.c.id.desc()) if is_descending else (key, found.c.id)
    return merged.order_by(lane.c.is_unrated, *order).limit(limit)


def lane_values(lanes: Lanes) -> dict[str, Any]:
    """The values that `in_price_order` names."""
    rated, unrated = lanes.rated, lanes.unrated
    columns = {f"lane_{name}": [getattr(lane, name) for lane in rated.values()] for name in _PARTS}
    return {
        "lane_currency": list(rated),
        **columns,
        **{f"unrated_{name}": getattr(unrated, name) for name in _PARTS},
    }


def distinct(currencies: Select[Any]) -> CTE:
    """Each currency once, by skipping from one to the next in the index; then a null."""
    [currency] = currencies.selected_columns
    first = currencies.order_by(currency).limit(1).scalar_subquery()
    present = select(first.label("currency")).cte("present", recursive=True)
    following = currencies.where(currency > present.c.currency).order_by(currency).limit(1).scalar_subquery()
    return present.union_all(select(following).where(present.c.currency.is_not(None)))


_TYPES: dict[str, TypeEngine[Any]] = {
    "currency": Text(),
    "weight": Numeric(),
    "start": BigInteger(),
    "start_id": Uuid(),
    "end": BigInteger(),
}
_PARTS = ("weight", "start", "start_id", "end")


def _lanes_of(present: CTE) -> Subquery:
    arrays: list[ColumnElement[Any]] = [bindparam(f"lane_{name}", type_=ARRAY(of)) for name, of in _TYPES.items()]
    columns = [column(name, of) for name, of in _TYPES.items()]
    lane = func.unnest(*arrays).table_valued(*columns, name="rated").render_derived()
    parts = [
        func.coalesce(lane.c[name], bindparam(f"unrated_{name}", type_=_TYPES[name]), type_=_TYPES[name]).label(name)
        for name in _PARTS
    ]
    return (
        select(present.c.currency, lane.c.currency.is_(None).label("is_unrated"), *parts)
        .join_from(present, lane, lane.c.currency == present.c.currency, isouter=True)
        .where(present.c.currency.is_not(None))
        .subquery("lane")
    )


def _found(
    rows: type[Priced], matching: Select[Any], lane: Subquery, *, limit: ColumnElement[int], is_descending: bool
) -> LateralFromClause:
    """The next rows of one lane, with an end that stops the index from being read on."""
    amount, row_id = rows.price_amount, rows.id
    here, start = tuple_(amount, row_id), tuple_(lane.c.start, lane.c.start_id)
    ahead = (here < start, amount >= lane.c.end) if is_descending else (here > start, amount <= lane.c.end)
    order = (amount.desc(), row_id.desc()) if is_descending else (amount, row_id)
    next_rows = matching.add_columns(amount).where(rows.currency == lane.c.currency, *ahead)
    return next_rows.order_by(*order).limit(limit).lateral("found")
