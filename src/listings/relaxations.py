"""Why nothing? Where filters leave nothing, the cheapest changes to one of them that find something.

What may be changed: a filter is left out (`price_min` and `price_max` are one, `near` and its radius too) at the cost
of 1; a limit or the radius moves just as far as the nearest listing, at the cost of its share in what was asked (of
years: in ten years); a word of several is left out, at the cost of its share in them. Of each filter, the cheapest
change that finds something counts; of these the two cheapest are told, where costs are equal that which finds more.
Where no change to one filter finds anything, two filters are left out at once, at the cost of 2.

The first statement looks how far limits would have to move and what fewer words mean, the second counts what each
change would find, with the very conditions of a search; a third, where need be, counts pairs.
"""

import asyncio
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from itertools import combinations, islice
from math import asin, ceil, floor
from typing import TYPE_CHECKING, Any

import structlog
from pydantic import ValidationError
from sqlalchemy import (
    BigInteger,
    BindParameter,
    Double,
    Select,
    Text,
    bindparam,
    cast,
    func,
    literal_column,
    select,
    union_all,
)
from sqlalchemy.sql.visitors import replacement_traverse

from src.core.pagination import TOTAL_CAP, capped
from src.core.reads import Reader, Statement, compiled
from src.listings import typos
from src.listings.conditions import PRICE_LIMITS, Columns, Compared, Values, centre, column_name, given, values
from src.listings.filters import ListingSearch
from src.listings.models import EARTH_RADIUS_KM, Listing
from src.listings.prices import Prices, are_limited

if TYPE_CHECKING:
    from src.listings.search import Shape

MOST_TOLD = 2
# Who filters by more than these is told nothing: each of them would be left out, moved and counted.
MOST_FILTERS = 12
# All pairs of ten filters.
MOST_PAIRS = 45
# Beyond that an empty page without advice is better than a slow one.
PATIENCE_SECONDS = 1.0
_METRE = 1000
# A limit that is compared as it is.
_PLAIN = Compared(None)

# What goes with a parameter that is left out, if it has this value (None: any).
_DEPENDENT: Mapping[str, Mapping[str, Any]] = {
    "near": {"radius_km": None, "sort": "nearest"},
    "q": {"explain": None, "sort": "relevance"},
}

Changes = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A change to one filter: what its parameters become (None: left out), its cost, and the search that it makes."""

    filter: str
    changes: Changes
    cost: float
    search: ListingSearch

    @property
    def parameters(self) -> dict[str, str | None]:
        """The changes as a client sends them."""
        return {name: None if value is None else str(value) for name, value in self.changes.items()}


@dataclass(frozen=True, slots=True)
class Nothing:
    """A search that found nothing, the values of its conditions, and what it compares prices by."""

    shape: "Shape"
    named: Values
    prices: Prices | None

    @property
    def search(self) -> ListingSearch:
        """What was asked."""
        return self.shape.search

    @property
    def columns(self) -> Columns:
        """What its parameters are compared with."""
        return self.shape.catalogue.column()


async def cheapest(reader: Reader, shape: "Shape", named: Values, prices: Prices | None) -> list[dict[str, Any]]:
    """The two cheapest changes as clients read them, the cheapest first; none if it takes too long to find them."""
    if len(shape.given) > MOST_FILTERS:
        return []
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await _cheapest(reader, Nothing(shape, named, prices))
    except TimeoutError:
        structlog.get_logger(__name__).warning("relaxations_took_too_long", given=shape.given)
        return []


async def _cheapest(reader: Reader, nothing: Nothing) -> list[dict[str, Any]]:
    found = await _look(reader, nothing)
    counted = await _count(reader, nothing, [*_left_out(nothing, 1), *_candidates(nothing, found)], found)
    told = best(counted) or best(await _count(reader, nothing, [*_left_out(nothing, 2)], found))
    return [
        {"parameters": candidate.parameters, "cost": round(candidate.cost, 4), "total": capped(total)}
        for candidate, total in told
    ]


def best(counted: Iterable[tuple[Candidate, int]]) -> list[tuple[Candidate, int]]:
    """The cheapest change of each filter that finds something, and of these the cheapest."""
    ordered = sorted(counted, key=lambda pair: (pair[0].cost, -pair[1], pair[0].filter))
    of_filter: dict[str, tuple[Candidate, int]] = {}
    for candidate, total in ordered:
        if total:
            of_filter.setdefault(candidate.filter, (candidate, total))
    return list(of_filter.values())[:MOST_TOLD]


def _left_out(nothing: Nothing, count: int) -> Iterator[Candidate]:
    """So many filters left out at once."""
    filters: dict[str, list[str]] = {}
    for parameter in nothing.shape.given:
        filters.setdefault(column_name(parameter, nothing.columns), []).append(parameter)
    for names in islice(combinations(filters, count), MOST_PAIRS):
        parameters = [parameter for name in names for parameter in filters[name]]
        yield from _candidate(nothing.search, " ".join(names), dict.fromkeys(parameters), count)


def _candidates(nothing: Nothing, found: Mapping[str, str]) -> Iterator[Candidate]:
    """Limits that move, and fewer words."""
    search, columns = nothing.search, nothing.columns
    for name in [*_limits(nothing.shape), *PRICE_LIMITS.intersection(nothing.shape.given)]:
        if name in found:
            limit, column = getattr(search, name), columns.get(column_name(name, columns), _PLAIN)
            moved = _moved(name, limit, column.undo(Decimal(found[name]), search))
            cost = float(abs(moved - limit) / (column.scale or max(abs(limit), 1)))
            yield from _candidate(search, column_name(name, columns), {name: moved}, cost)
    if "near" in found:
        yield from _wider(search, float(found["near"]))
    fewer = _fewer_words(search)
    for words in fewer:
        yield from _candidate(search, "q", {"q": words}, 1 / len(fewer))


def _candidate(search: ListingSearch, name: str, changes: Changes, cost: float) -> Iterator[Candidate]:
    """The change, with all that goes with it, if what it makes is a search."""
    changes = {**changes, **_dependent(search, changes)}
    sent = search.model_dump(mode="json", exclude_unset=True) | changes
    try:
        made = type(search).model_validate({name: value for name, value in sent.items() if value is not None})
    except ValidationError:
        return
    yield Candidate(name, changes, cost, made)


def _dependent(search: ListingSearch, changes: Changes) -> dict[str, None]:
    gone = (_DEPENDENT.get(name, {}) for name, value in changes.items() if value is None)
    return {
        parameter: None
        for dependent in gone
        for parameter, value in dependent.items()
        if parameter in search.model_fields_set and value in (None, getattr(search, parameter))
    }


def _limits(shape: "Shape") -> list[str]:
    """The parameters that are limits of numbers."""
    columns = shape.catalogue.column()
    bounds = (name for name in shape.given if name not in columns and column_name(name, columns) in columns)
    return [name for name in bounds if isinstance(getattr(shape.search, name), int | float)]


def _moved(name: str, limit: float, nearest: Decimal) -> float:
    if isinstance(limit, float):
        return float(nearest)
    return ceil(nearest) if name.endswith("_max") else floor(nearest)


def _wider(search: ListingSearch, chord: float) -> Iterator[Candidate]:
    """To the next metre, so that rounding leaves nothing out."""
    distance = 2 * EARTH_RADIUS_KM * asin(min(1, chord / (2 * EARTH_RADIUS_KM)))
    radius = (floor(distance * _METRE) + 1) / _METRE
    yield from _candidate(search, "near", {"radius_km": radius}, (radius - search.radius_km) / search.radius_km)


def _fewer_words(search: ListingSearch) -> list[str]:
    words = (search.q or "").split()
    return [" ".join(words[:place] + words[place + 1 :]) for place in range(len(words))] if len(words) > 1 else []


async def _look(reader: Reader, nothing: Nothing) -> dict[str, str]:
    """The nearest value beyond each limit, the distance of the nearest listing, and what fewer words mean."""
    shape, fewer = nothing.shape, _fewer_words(nothing.search)
    if not (fewer or shape.currencies or _limits(shape) or "near" in shape.given):
        return {}
    words = {f"{part}_{place}": v for place, q in enumerate(fewer) for part, v in typos.asked(q).items()}
    rows = await reader.fetch(_looking(shape, len(fewer)), nothing.named | words)
    found = {row["name"]: row["value"] for row in rows}
    return found | _nearest_prices(nothing, found)


def _nearest_prices(nothing: Nothing, found: Mapping[str, str]) -> dict[str, str]:
    """The nearest of all currencies, in whole units of the asked one."""
    if nothing.prices is None:
        return {}
    worth, currencies, nearest = nothing.prices.conversion.worth, enumerate(nothing.prices.currencies), {}
    in_each = [(f"_{number}", worth[currency]) for number, currency in currencies]
    for name in PRICE_LIMITS.intersection(nothing.shape.given):
        prices = [each * int(found[name + suffix]) for suffix, each in in_each if name + suffix in found]
        if prices:
            nearest[name] = str(ceil(min(prices)) if name.endswith("_max") else floor(max(prices)))
    return nearest


@lru_cache(maxsize=1000)
def _looking(shape: "Shape", fewer: int) -> Statement:
    looks = [_nearest(shape, name) for name in _limits(shape)]
    if "near" in shape.given:
        rest = shape.without({"near"}).matching().where(Listing.sphere.is_not(None))
        distance: Any = Listing.sphere.op("<->", return_type=Double())(centre())
        looks.append(_look_at("near", rest, distance, distance))
    for name in PRICE_LIMITS.intersection(shape.given):
        looks += [_nearest_price(shape, name, number) for number in range(shape.currencies or 0)]
    looks += [select(_text(f"q_{place}"), typos.meaning(f"_{place}").label("value")) for place in range(fewer)]
    found = union_all(*looks).subquery("found")
    return compiled(select(*found.c), is_selective=True)


def _nearest(shape: "Shape", name: str) -> Select[Any]:
    columns = shape.catalogue.column()
    compared = columns[column_name(name, columns)]
    known = compared.column.is_not(None) if compared.is_known is None else compared.is_known
    rest = shape.without({name}).matching(also=[name]).where(known)
    way = compared.column.asc() if name.endswith("_max") else compared.column.desc()
    return _look_at(name, rest, compared.column, way)


def _nearest_price(shape: "Shape", name: str, number: int) -> Select[Any]:
    """In one currency, which an index has in order; what the other limit asks for holds."""
    price: Any = Listing.price_amount
    is_other_kept, way = price >= bindparam(f"price_low_{number}", type_=BigInteger), price.asc()
    if name.endswith("_min"):
        is_other_kept, way = price <= bindparam(f"price_high_{number}", type_=BigInteger), price.desc()
    is_currency = Listing.currency == bindparam(f"price_currency_{number}", type_=Text)
    rest = shape.without(PRICE_LIMITS).matching().where(is_currency, is_other_kept)
    return _look_at(f"{name}_{number}", rest, price, way)


def _look_at(name: str, rest: Select[Any], value: Any, way: Any) -> Select[Any]:
    first = rest.with_only_columns(cast(value, Text).label("value")).order_by(way).limit(1).subquery()
    return select(_text(name), first.c.value)


def _text(name: str) -> Any:
    return literal_column(f"'{name}'", Text).label("name")


async def _count(
    reader: Reader, nothing: Nothing, candidates: Sequence[Candidate], found: Mapping[str, str]
) -> list[tuple[Candidate, int]]:
    """The candidates with how many listings each would find."""
    if not candidates:
        return []
    meant = {words: found[f"q_{place}"] for place, words in enumerate(_fewer_words(nothing.search))}
    named, forms = dict(nothing.named), []
    for number, candidate in enumerate(candidates):
        own = _own_values(nothing, candidate.search, meant)
        changed = tuple(name for name, value in own.items() if named[name] != value)
        named |= {_renamed(name, number): own[name] for name in changed}
        forms.append((given(candidate.search), changed))
    rows = await reader.fetch(_counting(nothing.shape, tuple(forms)), named)
    return [(candidates[row["number"]], row["total"]) for row in rows]


def _own_values(nothing: Nothing, search: ListingSearch, meant: Mapping[str, str]) -> Values:
    own = values(search, nothing.columns)
    if search.q:
        own["q"] = meant.get(search.q, nothing.named["q"])
    return own | (nothing.prices.limits(search) if nothing.prices and are_limited(search) else {})


@lru_cache(maxsize=1000)
def _counting(shape: "Shape", forms: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]) -> Statement:
    counts = []
    for number, (names, changed) in enumerate(forms):
        found = _with_own_values(replace(shape, given=names).matching(), number, changed).limit(TOTAL_CAP + 1)
        columns: tuple[Any, ...] = (literal_column(str(number)).label("number"), func.count().label("total"))
        counts.append(select(*columns).select_from(found.subquery()))
    counted = union_all(*counts).subquery("counted")
    return compiled(select(*counted.c), is_selective=True)


def _renamed(name: str, number: int) -> str:
    return f"{name}_of_{number}"


def _with_own_values(found: Select[Any], number: int, changed: tuple[str, ...]) -> Select[Any]:
    """The same select, these of its parameters called otherwise."""

    def renamed(element: Any, **_: Any) -> Any:
        if isinstance(element, BindParameter) and element.key in changed:
            return bindparam(_renamed(element.key, number), type_=element.type)
        return None

    return typing.cast("Select[Any]", replacement_traverse(found, {}, renamed))
