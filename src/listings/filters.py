"""The query parameters of searches, and what they ask of the rows.

A parameter named like a column asks for equality (given twice: either), `_min` and `_max` for a range; the few that
mean something else have a function here.
"""

from collections.abc import Callable, Iterator, Mapping
from math import cos, radians, sin
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, Field, PrivateAttr, ValidationInfo, field_validator
from sqlalchemy import ColumnElement, and_, cast, func, literal, or_, select, union_all
from sqlalchemy.dialects.postgresql import TSQUERY, array
from sqlalchemy.orm import aliased
from sqlalchemy.types import ARRAY, Boolean, Double, Text

from src.core.money import LARGEST_AMOUNT, Currency
from src.core.pagination import PageQuery
from src.core.schemas import Line, Slug
from src.core.text import name_key
from src.geo import service as geo
from src.geo.schemas import CountryCode
from src.listings.models import EARTH_RADIUS_KM, Cube, Listing, Purpose, RentPeriod
from src.listings.schemas import LanguageTag

# What parameters are compared with: columns, or what answers to >= and <= in a way of its own.
Columns = Mapping[str, Any]

Name = Annotated[Line, Field(min_length=1, max_length=120)]
Names = Annotated[list[Name], Field(max_length=20)]
Price = Annotated[int, Field(ge=0, le=LARGEST_AMOUNT)]


def numbers(text: str, count: int) -> list[float]:
    """Comma-separated finite numbers. Raises ValueError for anything else."""
    parts = text.split(",")
    if len(parts) != count:
        raise ValueError(f"must be {count} numbers, separated by commas")
    values = [float(part) for part in parts if len(part) <= 24 and "_" not in part and part.isascii()]
    if len(values) != count or not all(abs(value) <= 180 for value in values):
        raise ValueError("must be degrees")
    return values


def _point(text: str) -> str:
    latitude, _ = numbers(text, 2)
    if abs(latitude) > 90:
        raise ValueError("a latitude is between -90 and 90")
    return text


def _box(text: str) -> str:
    _, south, _, north = numbers(text, 4)
    if not -90 <= south <= north <= 90:
        raise ValueError("must be west,south,east,north with south below north")
    return text


class ListingSearch(PageQuery):
    """What every search understands."""

    q: Annotated[Line, Field(min_length=1, max_length=200)] | None = Field(
        None, description="Up to twelve words, each of which may be the beginning of one", examples=["toyota vit"]
    )
    explain: bool = Field(False, description="With `q`: adds to each item the `score` that relevance sorts by")
    purpose: list[Purpose] = Field([], max_length=2)
    rent_period: list[RentPeriod] = Field([], max_length=4)
    currency: Currency | None = Field(None, description="Needed by `price_min` and `price_max`")
    price_min: Price | None = Field(None, description="Minor units of `currency`")
    price_max: Price | None = Field(None, description="Minor units of `currency`")
    negotiable: bool | None = None
    country: list[CountryCode] = Field([], max_length=20)
    region: Names = []
    city: Names = Field([], description="By name in any language", examples=[["አዲስ አበባ"]])
    subdivision: Names = []
    woreda: Names = []
    postal_code: Names = []
    language: list[LanguageTag] = Field([], max_length=10)
    features: Annotated[list[Slug], Field(max_length=20, description="All of them")] = []
    owner_id: UUID | None = None
    near: Annotated[str, Field(max_length=60), AfterValidator(_point)] | None = Field(
        None, description="`latitude,longitude`, with `radius_km`", examples=["8.99,38.79"]
    )
    radius_km: float = Field(50, gt=0, le=1000, description="Around `near`")
    bbox: Annotated[str, Field(max_length=110), AfterValidator(_box)] | None = Field(
        None, description="`west,south,east,north`", examples=["38.6,8.8,38.9,9.1"]
    )

    _query: str = PrivateAttr("")

    @field_validator("price_min", "price_max")
    @classmethod
    def _needs_currency(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and not info.data.get("currency"):
            raise ValueError("needs `currency`")
        return value

    @field_validator("radius_km")
    @classmethod
    def _needs_centre(cls, value: float, info: ValidationInfo) -> float:
        if not info.data.get("near"):
            raise ValueError("needs `near`")
        return value

    @field_validator("sort", check_fields=False)
    @classmethod
    def _can_sort(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value == "nearest" and not info.data.get("near"):
            raise ValueError("nearest needs `near`")
        if value == "relevance" and not info.data.get("q"):
            raise ValueError("relevance needs `q`")
        return value

    @field_validator("explain")
    @classmethod
    def _can_explain(cls, value: bool, info: ValidationInfo) -> bool:
        if value and not info.data.get("q"):
            raise ValueError("explain needs `q`")
        return value

    def order(self) -> str:
        """The name of the order asked for; `relevance` where there are words, else `newest`."""
        return str(getattr(self, "sort", None) or ("relevance" if self.q else "newest"))

    def mean(self, query: str) -> None:
        """Say what the words of `q` are, as a `tsquery`."""
        self._query = query

    def words(self) -> ColumnElement[Any]:
        """What `mean` was told, as a literal, whose frequency the planner knows."""
        return cast(literal(self._query), TSQUERY)

    def scope(self) -> str:
        """What a cursor of this search is good for: the same filters and order."""
        return self.order() + self.model_dump_json(exclude={"limit", "cursor", "sort", "explain"})


LISTING_COLUMNS: Columns = {
    name: getattr(Listing, name)
    for name in ("kind", "purpose", "rent_period", "currency", "negotiable", "country", "owner_id", "language")
} | {
    "price": Listing.price_amount,
    "features": Listing.features,
    "region": func.lower(Listing.region),
    "subdivision": func.lower(Listing.subdivision),
    "woreda": func.lower(Listing.woreda),
    "postal_code": func.lower(Listing.postal_code),
}


def centre(near: str) -> ColumnElement[Any]:
    """The point `latitude,longitude` on the sphere of `Listing.sphere`, in kilometres."""
    latitude, longitude = map(radians, numbers(near, 2))
    place = (cos(latitude) * cos(longitude), cos(latitude) * sin(longitude), sin(latitude))
    return func.cube(array([cast(EARTH_RADIUS_KM * part, Double) for part in place]), type_=Cube())


def _around(search: ListingSearch) -> ColumnElement[bool]:
    assert search.near is not None
    # The straight line through the earth between two points that far apart on its surface.
    chord = 2 * EARTH_RADIUS_KM * sin(search.radius_km / (2 * EARTH_RADIUS_KM))
    point = centre(search.near)
    return and_(
        Listing.sphere.op("<@")(func.cube_enlarge(point, cast(chord, Double), 3, type_=Cube())),
        Listing.sphere.op("<->", return_type=Double())(point) <= cast(chord, Double),
    )


def _in_box(search: ListingSearch) -> ColumnElement[bool]:
    assert search.bbox is not None
    west, south, east, north = numbers(search.bbox, 4)
    longitude = Listing.public_longitude
    # A box may lie across the antimeridian.
    across = longitude.between(west, east) if west <= east else or_(longitude >= west, longitude <= east)
    return and_(Listing.public_latitude.between(south, north), across)


def _called(search: ListingSearch) -> ColumnElement[bool]:
    # Not `city_key IN … OR city_id IN …`: a union of the two gets both indexes and a fair estimate.
    place = aliased(Listing)
    public = select(place.id).where(place.is_public)
    by_name = public.where(place.city_key.in_([name_key(name) for name in search.city]))
    return Listing.id.in_(union_all(by_name, public.where(place.city_id.in_(geo.cities_called(search.city)))))


_SPECIAL: dict[str, Callable[[Any], ColumnElement[bool]]] = {
    "q": lambda search: Listing.search.op("@@")(search.words()),
    "city": _called,
    "near": _around,
    "bbox": _in_box,
}
_NO_CONDITION = {"limit", "cursor", "sort", "explain", "radius_km", "mileage_unit"}


def conditions(search: ListingSearch, columns: Columns) -> Iterator[ColumnElement[bool]]:
    """What the parameters that were sent ask of the rows, sorted by name so that equal searches are equal SQL."""
    for name in sorted(search.model_fields_set - _NO_CONDITION):
        value = getattr(search, name)
        if value is None or value == []:
            continue
        if name in _SPECIAL:
            yield _SPECIAL[name](search)
        else:
            yield _comparison(name, value, columns)


def _comparison(name: str, value: Any, columns: Columns) -> ColumnElement[bool]:
    compared: ColumnElement[bool]
    if name in columns:
        compared = _equality(columns[name], value)
    elif name.endswith("_min"):
        compared = columns[name.removesuffix("_min")] >= value
    else:
        compared = columns[name.removesuffix("_max")] <= value
    return compared


def _equality(column: ColumnElement[Any], value: Any) -> ColumnElement[bool]:
    if not isinstance(value, list):
        return column.__eq__(value)
    if isinstance(column.type, ARRAY):
        return column.op("@>", return_type=Boolean())(cast(value, ARRAY(Text)))
    # Folded by the server on both sides: locales disagree on capitals.
    is_folded = getattr(column, "name", None) == "lower"
    return column.in_([func.lower(item) if is_folded else item for item in value])
