"""What the query parameters of a search ask of the rows.

A parameter named like a column asks for equality (a list: for any of them), `_min` and `_max` for a range; the few that
mean something else have a function here. Conditions hold names, never values, so that a search is compiled once for all
values; `values` gives those.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import cos, radians, sin
from typing import Any

from sqlalchemy import ColumnElement, and_, any_, bindparam, cast, func, or_
from sqlalchemy.dialects.postgresql import TSQUERY, array
from sqlalchemy.types import ARRAY, Boolean, Double, Integer, Text, UserDefinedType

from src.core.text import name_key
from src.listings.filters import ListingSearch
from src.listings.models import EARTH_RADIUS_KM, Cube, Listing
from src.listings.places import numbers, ring

Values = dict[str, Any]


def _as_it_is(value: Any, _: Any) -> Any:
    return value


def _lowered(names: Iterable[str], _: Any) -> list[str]:
    # The server has folded the column; where its locale knows less of capitals than Python, the name stands as it was.
    return [*dict.fromkeys([*(name.lower() for name in names), *names])]


@dataclass(frozen=True, slots=True)
class Compared:
    """A column that parameters are compared with, and how a parameter's value (of this search) is put for that.

    `undo` is the way back, from what the column holds to what a parameter says. `is_known` where the column stands for
    unknown values too: these are not more than any minimum. `scale` is by how much a limit moves at the cost of giving
    it up (`relaxations.py`); without it, by as much as was asked.
    """

    column: Any
    convert: Callable[[Any, Any], Any] = _as_it_is
    is_known: ColumnElement[bool] | None = None
    undo: Callable[[Any, Any], Any] = _as_it_is
    scale: float | None = None


Columns = Mapping[str, Compared]


YEARS = 10


def years(column: Any) -> Compared:
    """A column of years, each as far from the next."""
    return Compared(column, scale=YEARS)


def lowered(column: Any) -> Compared:
    """A column of names, compared whatever their case."""
    return Compared(func.lower(column, type_=Text), _lowered)


LISTING_COLUMNS: Columns = {
    name: Compared(getattr(Listing, name))
    for name in ("kind", "purpose", "rent_period", "negotiable", "country", "owner_id", "language")
} | {
    "features": Compared(Listing.features),
    "region": lowered(Listing.region),
    "subdivision": lowered(Listing.subdivision),
    "woreda": lowered(Listing.woreda),
    "postal_code": lowered(Listing.postal_code),
}


@dataclass(frozen=True, slots=True)
class Special:
    """A parameter that is no comparison: its condition, and the values that the condition names."""

    condition: Callable[[], ColumnElement[bool]]
    values: Callable[[Any], Values]


def words_query() -> ColumnElement[Any]:
    """What the words mean (`lookups`), as a `tsquery` whose words the planner knows."""
    return cast(bindparam("q", type_=Text), TSQUERY)


def centre() -> ColumnElement[Any]:
    """The point asked for as `near` on the sphere of `Listing.sphere`, in kilometres."""
    return func.cube(array([bindparam(f"near_{axis}", type_=Double) for axis in "xyz"]), type_=Cube())


def _centre_values(search: ListingSearch) -> Values:
    assert search.near is not None
    latitude, longitude = map(radians, numbers(search.near, 2))
    place = (cos(latitude) * cos(longitude), cos(latitude) * sin(longitude), sin(latitude))
    # The straight line through the earth between two points that far apart on its surface.
    chord = 2 * EARTH_RADIUS_KM * sin(search.radius_km / (2 * EARTH_RADIUS_KM))
    axes = {f"near_{axis}": EARTH_RADIUS_KM * part for axis, part in zip("xyz", place, strict=True)}
    return axes | {"near_chord": chord}


def _around() -> ColumnElement[bool]:
    chord: Any = bindparam("near_chord", type_=Double)
    return and_(
        Listing.sphere.op("<@")(func.cube_enlarge(centre(), chord, 3, type_=Cube())),
        Listing.sphere.op("<->", return_type=Double())(centre()) <= chord,
    )


def _in_box() -> ColumnElement[bool]:
    west, south, east, north = (bindparam(name, type_=Double) for name in ("west", "south", "east", "north"))
    longitude = Listing.public_longitude
    # A box may lie across the antimeridian.
    across = or_(longitude.between(west, east), and_(west > east, or_(longitude >= west, longitude <= east)))
    return and_(Listing.public_latitude.between(south, north), across)


def _box_values(search: ListingSearch) -> Values:
    assert search.bbox is not None
    return dict(zip(("west", "south", "east", "north"), numbers(search.bbox, 4), strict=True))


class _Polygon(UserDefinedType[str]):
    """PostgreSQL's polygon."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "polygon"


def _in_area() -> ColumnElement[bool]:
    # The box around it is what the index knows.
    west, south, east, north = (bindparam(f"area_{name}", type_=Double) for name in ("west", "south", "east", "north"))
    drawn = cast(bindparam("area", type_=Text), _Polygon)
    place = func.point(Listing.public_longitude, Listing.public_latitude)
    return and_(
        Listing.public_latitude.between(south, north),
        Listing.public_longitude.between(west, east),
        drawn.op("@>", return_type=Boolean())(place),
    )


def _area_values(search: ListingSearch) -> Values:
    assert search.polygon is not None
    corners = ring(search.polygon)
    longitudes, latitudes = zip(*corners, strict=True)
    return {
        "area": ",".join(f"({longitude!r},{latitude!r})" for longitude, latitude in corners),
        "area_west": min(longitudes),
        "area_south": min(latitudes),
        "area_east": max(longitudes),
        "area_north": max(latitudes),
    }


def _called() -> ColumnElement[bool]:
    # The ids are looked up before, see `lookups`.
    is_one_of = Listing.city_id == any_(bindparam("city_ids", type_=ARRAY(Integer)))
    return or_(Listing.city_key == any_(bindparam("city", type_=ARRAY(Text))), is_one_of)


_SPECIAL: Mapping[str, Special] = {
    "q": Special(lambda: Listing.search.op("@@")(words_query()), lambda _: {}),
    "city": Special(_called, lambda search: {"city": [name_key(name) for name in search.city]}),
    "near": Special(_around, _centre_values),
    "bbox": Special(_in_box, _box_values),
    "polygon": Special(_in_area, _area_values),
}
_NO_CONDITION = {"limit", "cursor", "sort", "explain", "facets", "radius_km", "mileage_unit", "currency"}
# Both limits are one condition; its values take the rates: see `prices`.
PRICE_LIMITS = {"price_min", "price_max"}


def given(search: ListingSearch) -> tuple[str, ...]:
    """The parameters that ask something of the rows, by name, so that equal searches are equal SQL."""
    sent = sorted(search.model_fields_set - _NO_CONDITION)
    return tuple(name for name in sent if getattr(search, name) not in (None, ()))


def conditions(search: ListingSearch, columns: Columns, names: Iterable[str]) -> Iterator[ColumnElement[bool]]:
    """What these of the given parameters, but for limits of the price, ask of the rows, whatever their values."""
    for name in names:
        if name in PRICE_LIMITS:
            continue
        if name in _SPECIAL:
            yield _SPECIAL[name].condition()
        else:
            yield _comparison(name, columns, is_list=isinstance(getattr(search, name), tuple))


def values(search: ListingSearch, columns: Columns) -> Values:
    """The values that `conditions` names."""
    named: Values = {}
    for name in given(search):
        if name in PRICE_LIMITS:
            continue
        if name in _SPECIAL:
            named |= _SPECIAL[name].values(search)
        else:
            named[name] = columns[column_name(name, columns)].convert(getattr(search, name), search)
    return named


def column_name(name: str, columns: Columns) -> str:
    """What the parameter is compared with: the column of its name, or of which it is a bound."""
    return name if name in columns else name.removesuffix("_min").removesuffix("_max")


def _comparison(name: str, columns: Columns, *, is_list: bool) -> ColumnElement[bool]:
    compared = columns[column_name(name, columns)]
    column: ColumnElement[Any] = compared.column
    if isinstance(column.type, ARRAY):
        return column.op("@>", return_type=Boolean())(bindparam(name, type_=ARRAY(Text)))
    if is_list:
        return column == any_(bindparam(name, type_=ARRAY(column.type)))
    value: ColumnElement[Any] = bindparam(name, type_=column.type)
    if name in columns:
        return column == value
    if name.endswith("_max"):
        return column <= value
    return column >= value if compared.is_known is None else and_(column >= value, compared.is_known)
