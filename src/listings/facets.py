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
    case,
    cast,
    func,
    literal_column,
    null,
    select,
    union_all,
)
from sqlalchemy.types import ARRAY, BigInteger, Integer

from src.core.reads import Row, Statement, compiled
from src.geo import service as geo
from src.listings.models import Listing

if TYPE_CHECKING:
    from src.listings.search import Shape

FACET_CAP = 10_000
MOST_VALUES = 50
YEARS_IN_A_BAND = 5
# 1, 2, 5, 10, 20 …: three bands to each power of ten, in any currency.
PRICE_EDGES = [step * 10**power for power in range(16) for step in (1, 2, 5)]


@dataclass(frozen=True, slots=True)
class Bands:
    """Consecutive ranges of whole numbers: the number of that which holds a value, and its least and greatest."""

    number: Callable[[Any], ColumnElement[int]]
    limits: Callable[[int], tuple[int, int]]


@dataclass(frozen=True, slots=True, eq=False)
class Facet:
    """What is counted: a column, by its values or in bands. `parameters` are those that choose from it.

    Names are counted together whatever their case, and shown as one of them is written.
    """

    column: Any
    parameters: frozenset[str]
    is_name: bool = False
    bands: Bands | None = None


def _choosing(name: str) -> frozenset[str]:
    return frozenset({name, f"{name}_min", f"{name}_max"})


def of_values(name: str, column: Any) -> Facet:
    """Of the values that the parameter of that name chooses from."""
    return Facet(column, _choosing(name))


def of_names(name: str, column: Any) -> Facet:
    """Of names."""
    return Facet(column, _choosing(name), is_name=True)


def of_years(name: str, column: Any) -> Facet:
    """Of years, in bands of five."""
    width = YEARS_IN_A_BAND
    bands = Bands(
        lambda year: year // literal_column(str(width), Integer),
        lambda number: (number * width, (number + 1) * width - 1),
    )
    return Facet(column, _choosing(name), bands=bands)


def asked_price() -> ColumnElement[int]:
    """The price in minor units of the asked currency; null where it is in another."""
    return case((Listing.currency == bindparam("currency", type_=Text), Listing.price_amount), else_=null())


def _price_band(price: ColumnElement[int]) -> ColumnElement[int]:
    edges = literal_column(f"'{{{','.join(map(str, PRICE_EDGES))}}}'", ARRAY(BigInteger))
    return func.width_bucket(price, cast(edges, ARRAY(BigInteger)), type_=Integer())


def _price_limits(number: int) -> tuple[int, int]:
    """Of the band between this edge, counted from one, and the next."""
    return PRICE_EDGES[number - 1], PRICE_EDGES[number] - 1


LISTING_FACETS: Mapping[str, Facet] = {
    "kind": of_values("kind", Listing.kind),
    "purpose": of_values("purpose", Listing.purpose),
    # Under its own name, where it is known by several.
    "city": of_names("city", func.coalesce(geo.name_of(Listing.city_id), Listing.city)),
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
        size = select(null().label("facet"), cast(null(), Text).label("value"), which, func.count().label("count"))
        parts.append(size.select_from(read))
        parts += [_counts(read, name, wanted[name]) for name in names]
    counted = union_all(*parts).subquery("counted")
    return compiled(select(*counted.c), is_selective=True)


def _reading(shape: "Shape", left_out: frozenset[str], wanted: Mapping[str, Facet]) -> Select[Any]:
    columns = [facet.column.label(name) for name, facet in wanted.items()]
    found = shape.without(left_out).matching(also=wanted).with_only_columns(*columns)
    return found.limit(FACET_CAP + 1)


def _counts(read: CTE, name: str, facet: Facet) -> Select[Any]:
    column = read.c[name]
    if facet.bands:
        value, number, by = cast(null(), Text), facet.bands.number(column), facet.bands.number(column)
    else:
        by = func.lower(column) if facet.is_name else column
        value, number = cast(func.min(column), Text), cast(null(), Integer)
    columns = (literal_column(f"'{name}'", Text).label("facet"), value.label("value"), number.label("number"))
    count = func.count().label("count")
    grouped = select(*columns, count).where(column.is_not(None)).group_by(by)
    return select(*grouped.order_by(count.desc(), by).limit(MOST_VALUES).subquery().c)


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
        most_first = sorted(rows, key=lambda row: (-row["count"], row["value"]))
        return [{"value": row["value"], "min": None, "max": None, "count": row["count"]} for row in most_first]
    values = []
    for row in sorted(rows, key=lambda row: row["number"]):
        least, greatest = facet.bands.limits(row["number"])
        values.append({"value": None, "min": least, "max": greatest, "count": row["count"]})
    return values
