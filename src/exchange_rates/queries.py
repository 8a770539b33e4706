"""SQL over rows with prices in many currencies; its shape never depends on the rates, which are all bound arrays."""

from collections.abc import Iterable
from typing import Any, Protocol

from sqlalchemy import (
    CTE,
    BigInteger,
    Boolean,
    ColumnElement,
    Numeric,
    Select,
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
from sqlalchemy.sql.selectable import LateralFromClause, TableValuedAlias
from sqlalchemy.types import TypeEngine

from src.exchange_rates.conversion import Lanes


class Priced(Protocol):
    """A table, or an alias of one, whose rows have a price: `price_amount` minor units of `currency`."""

    id: Any
    currency: Any
    price_amount: Any


def in_price_order(
    rows: type[Priced], matching: Select[Any], *, is_descending: bool, limit: ColumnElement[int]
) -> Select[Any]:
    """The first `limit` rows of `matching` in the order of their converted prices: `id`, `is_unrated` and `key`.

    `matching` selects the ids of `rows`. Each currency is read in the order of its prices, `limit` rows at most, which
    an index on (currency, price_amount, id) serves. The values it names are `lane_values`.
    """
    arrays: list[ColumnElement[Any]] = [bindparam(f"lane_{name}", type_=ARRAY(of)) for name, of in _TYPES.items()]
    columns = [column(name, of) for name, of in _TYPES.items()]
    lane = func.unnest(*arrays).table_valued(*columns, name="lane").render_derived()
    found = _found(rows, matching, lane, limit=limit, is_descending=is_descending)
    key = (found.c.price_amount * lane.c.weight).label("key")
    merged = select(found.c.id, lane.c.is_unrated, key).select_from(lane).join(found, true())
    order = (key.desc(), found.c.id.desc()) if is_descending else (key, found.c.id)
    return merged.order_by(lane.c.is_unrated, *order).limit(limit)


_TYPES: dict[str, TypeEngine[Any]] = {
    "currency": Text(),
    "is_unrated": Boolean(),
    "weight": Numeric(),
    "start": BigInteger(),
    "start_id": Uuid(),
    "end": BigInteger(),
}


def lane_values(lanes: Lanes, currencies: Iterable[str]) -> dict[str, list[Any]]:
    """The values that `in_price_order` names, of the currencies that there are."""
    each = [(currency, lanes.rated.get(currency)) for currency in currencies]
    values: dict[str, list[Any]] = {
        "lane_currency": [currency for currency, _ in each],
        "lane_is_unrated": [lane is None for _, lane in each],
    }
    for name in ("weight", "start", "start_id", "end"):
        values[f"lane_{name}"] = [getattr(lane or lanes.unrated, name) for _, lane in each]
    return values


def distinct(currencies: Select[Any]) -> CTE:
    """Each currency once, by skipping from one to the next in the index; then a null."""
    [currency] = currencies.selected_columns
    first = currencies.order_by(currency).limit(1).scalar_subquery()
    present = select(first.label("currency")).cte("present", recursive=True)
    following = currencies.where(currency > present.c.currency).order_by(currency).limit(1).scalar_subquery()
    return present.union_all(select(following).where(present.c.currency.is_not(None)))


def _found(
    rows: type[Priced], matching: Select[Any], lane: TableValuedAlias, *, limit: ColumnElement[int], is_descending: bool
) -> LateralFromClause:
    """The next rows of one lane, with an end that stops the index from being read on."""
    amount, row_id = rows.price_amount, rows.id
    here, start = tuple_(amount, row_id), tuple_(lane.c.start, lane.c.start_id)
    ahead = (here < start, amount >= lane.c.end) if is_descending else (here > start, amount <= lane.c.end)
    order = (amount.desc(), row_id.desc()) if is_descending else (amount, row_id)
    next_rows = matching.add_columns(amount).where(rows.currency == lane.c.currency, *ahead)
    return next_rows.order_by(*order).limit(limit).lateral("found")
