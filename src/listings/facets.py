"""Facets: how many listings a search would find with each make, in each price band and so on.

A facet is counted under all filters but those that choose from it, so that a choice can be changed or added to. One
statement counts all that are asked for, each among FACET_CAP of the listings it is about at most; facets that leave out
the same filters, or none, share one reading of these.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Select,
    Text,
    bindparam,
    cast,
    func,
    literal_column,
    null,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.sql.elements import Grouping
from sqlalchemy.types import ARRAY, BigInteger, Integer, Numeric

from src.core.money import LARGEST_AMOUNT
from src.core.reads import Row, Statement, compiled
from src.listings.models import Listing

if TYPE_CHECKING:
    from src.listings.search import Shape

Limits = tuple[int, int] | tuple[None, None]

FACET_CAP = 10_000
MOST_VALUES = 50
YEARS_IN_A_BAND = 5
# 1, 2, 5, 10, 20 …: three bands to each power of ten, in any currency.
PRICE_EDGES = [*(step * 10**power for power in range(15) for step in (1, 2, 5)), LARGEST_AMOUNT]


@dataclass(frozen=True, slots=True)
class Bands:
    """Consecutive ranges of whole numbers: the number of that which holds a value, and its least and greatest."""

    number: Callable[[Any], ColumnElement[int]]
    limits: Callable[[int], tuple[int, int]]


@dataclass(frozen=True, slots=True, eq=False)
class Facet:
    """What is counted: a column, by its values or in bands. `parameters` are those that choose from it.

    Values with the same `key` are one, which is shown as most write it.
    """

    column: Any
    parameters: frozenset[str]
    key: ColumnElement[Any] | None = None
    bands: Bands | None = None


def _choosing(name: str) -> frozenset[str]:
    return frozenset({name, f"{name}_min", f"{name}_max"})


def of_values(name: str, column: Any) -> Facet:
    """Of the values that the parameter of that name chooses from."""
    return Facet(column, _choosing(name))


def of_names(name: str, column: Any) -> Facet:
    """Of names, whatever their case."""
    return Facet(column, _choosing(name), key=func.lower(column))


def of_years(name: str, column: Any) -> Facet:
    """Of years, in bands of five."""
    width = YEARS_IN_A_BAND
    bands = Bands(
        lambda year: year // literal_column(str(width), Integer),
        lambda number: (number * width, (number + 1) * width - 1),
    )
    return Facet(column, _choosing(name), bands=bands)


def asked_price() -> ColumnElement[Any]:
    """The price in minor units of the asked currency, exactly; null where there is no rate for it."""
    place = func.array_position(bindparam("priced_currencies", type_=ARRAY(Text)), Listing.currency)
    weights: Any = Grouping(bindparam("priced_weights", type_=ARRAY(Numeric)))
    price: ColumnElement[Any] = Listing.price_amount * weights[place]
    return price


def _price_band(price: ColumnElement[Any]) -> ColumnElement[int]:
    edges = literal_column(f"'{{{','.join(map(str, PRICE_EDGES))}}}'", ARRAY(Numeric))
    return func.width_bucket(price, cast(edges, ARRAY(Numeric)), type_=Integer())


def _price_limits(number: int) -> tuple[int, int]:
    """Of the band between this edge, counted from one, and the next; the first is below the smallest unit."""
    edges = [0, *PRICE_EDGES, LARGEST_AMOUNT + 1]
    return edges[number], edges[number + 1] - 1


LISTING_FACETS: Mapping[str, Facet] = {
    "kind": of_values("kind", Listing.kind),
    "purpose": of_values("purpose", Listing.purpose),
    # A city of several names is counted once.
    "city": Facet(
        Listing.city, _choosing("city"), key=func.coalesce(cast(Listing.city_id, Text), func.lower(Listing.city))
    ),
    "price": Facet(asked_price(), _choosing("price"), bands=Bands(_price_band, _price_limits)),
}


def _readings(given: Iterable[str], wanted: Mapping[str, Facet]) -> dict[frozenset[str], list[str]]:
    """The facets by what each leaves out."""
    readings: dict[frozenset[str], list[str]] = {}
    for name, facet in wanted.items():
        readings.setdefault(facet.parameters.intersection(given), []).append(name)
    return readings


def statement(shape: "Shape", wanted: Mapping[str, Facet]) -> Statement:
    """One row for each value of each facet; one without a facet for each reading, with how many listings it has."""
    parts: list[Select[Any]] = []
    for number, (left_out, names) in enumerate(_readings(shape.given, wanted).items()):
        read = _reading(shape, left_out, {name: wanted[name] for name in names}).cte(f"read_{number}")
        which = literal_column(str(number), Integer).label("number")
        size: Any = select(null().label("facet"), cast(null(), Text).label("value"), which, func.count().label("count"))
        parts.append(size.select_from(read))
        parts += [_counts(read, name, wanted[name]) for name in names]
    counted = union_all(*parts).subquery("counted")
    return compiled(select(*counted.c), is_selective=True)


def _reading(shape: "Shape", left_out: frozenset[str], wanted: Mapping[str, Facet]) -> Select[Any]:
    columns = [facet.column.label(name) for name, facet in wanted.items()]
    keys = [facet.key.label(_key(name)) for name, facet in wanted.items() if facet.key is not None]
    return shape.without(left_out).matching(also=wanted).with_only_columns(*columns, *keys).limit(FACET_CAP + 1)


def _key(name: str) -> str:
    return f"{name}_key"


def _counts(read: CTE, name: str, facet: Facet) -> Select[Any]:
    rows = select(read).where(read.c[name].is_not(None)).limit(FACET_CAP).subquery()
    column = rows.c[name]
    grouped = _banded(column, facet.bands) if facet.bands else _spelled(column, rows.c.get(_key(name), column))
    order: tuple[Any, ...] = (literal_column("count").desc(), literal_column("value"), literal_column("number"))
    found = grouped.order_by(*order).limit(MOST_VALUES).subquery()
    return select(literal_column(f"'{name}'", Text).label("facet"), *found.c)


def _banded(column: Any, bands: Bands) -> Select[Any]:
    number = bands.number(column)
    value = cast(null(), Text).label("value")
    counted: Any = select(value, number.label("number"), func.count().label("count"))
    return counted.group_by(number)  # type: ignore[no-any-return]


def _spelled(value: Any, key: Any) -> Select[Any]:
    """How often each key is there, and how it is written most often."""
    spellings = select(key.label("key"), value.label("value"), func.count().label("count"))
    each = spellings.group_by(key, value).subquery().c
    written: Any = func.array_agg(aggregate_order_by(each.value, each["count"].desc(), each.value), type_=ARRAY(Text))
    count = cast(func.sum(each["count"]), BigInteger)
    number = cast(null(), Integer).label("number")
    counted: Any = select(cast(written[1], Text).label("value"), number, count.label("count"))
    return counted.group_by(each.key)  # type: ignore[no-any-return]


def answer(rows: Sequence[Row], given: Iterable[str], wanted: Mapping[str, Facet]) -> dict[str, Any]:
    """The facets as clients read them, in the order in which they were asked for: bands upwards, or the most first."""
    sizes = {row["number"]: row["count"] for row in rows if row["facet"] is None}
    capped = {
        name: sizes[number] > FACET_CAP
        for number, names in enumerate(_readings(given, wanted).values())
        for name in names
    }
    return {
        name: {"values": _values(facet, [row for row in rows if row["facet"] == name]), "is_capped": capped[name]}
        for name, facet in wanted.items()
    }


def _values(facet: Facet, rows: Iterable[Row]) -> list[dict[str, Any]]:
    if facet.bands is None:
        return [_value(count, value=value) for value, count in _merged(rows)]
    upwards = sorted((row["number"], row["count"]) for row in rows)
    return [_value(count, limits=facet.bands.limits(number)) for number, count in upwards]


def _merged(rows: Iterable[Row]) -> list[tuple[str, int]]:
    """Values that are written alike find the same, as do two cities of one name."""
    merged: dict[str, tuple[str, int]] = {}
    for row in rows:
        value, count = merged.get(row["value"].lower(), (row["value"], 0))
        merged[value.lower()] = (value, count + row["count"])
    return sorted(merged.values(), key=lambda pair: (-pair[1], pair[0]))


def _value(count: int, value: str | None = None, limits: Limits = (None, None)) -> dict[str, Any]:
    return {"value": value, "min": limits[0], "max": limits[1], "count": count}
