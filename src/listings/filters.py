"""The query parameters that every search understands."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from src.core.money import LARGEST_AMOUNT, Currency
from src.core.pagination import PageQuery
from src.core.schemas import Line, Slug
from src.geo.schemas import CountryCode
from src.listings.models import Purpose, RentPeriod
from src.listings.places import area, box, point
from src.listings.schemas import LanguageTag

Name = Annotated[Line, Field(min_length=1, max_length=120)]
Names = Annotated[tuple[Name, ...], Field(max_length=20)]
# A search has its own list of those that it offers.
FACETS: Any = Field(
    (),
    max_length=10,
    description="What to count what is found by; each under all filters but those on itself. `price` needs `currency`",
)
Price = Annotated[int, Field(ge=0, le=LARGEST_AMOUNT)]


class ListingSearch(PageQuery):
    """What every search understands."""

    q: Annotated[Line, Field(min_length=1, max_length=200)] | None = Field(
        None, description="Up to twelve words, each of which may be the beginning of one", examples=["toyota vit"]
    )
    explain: bool = Field(False, description="With `q`: adds to each item the `score` that relevance sorts by")
    purpose: tuple[Purpose, ...] = Field((), max_length=2)
    rent_period: tuple[RentPeriod, ...] = Field((), max_length=4)
    currency: Currency | None = Field(
        None, description="What `price_min` and `price_max` are in; prices in others are converted. No filter by itself"
    )
    price_min: Price | None = Field(None, description="Minor units of `currency`")
    price_max: Price | None = Field(None, description="Minor units of `currency`")
    negotiable: bool | None = None
    country: tuple[CountryCode, ...] = Field((), max_length=20)
    region: Names = ()
    city: Names = Field((), description="By name in any language", examples=[["አዲስ አበባ"]])
    subdivision: Names = ()
    woreda: Names = ()
    postal_code: Names = ()
    language: tuple[LanguageTag, ...] = Field((), max_length=10)
    features: Annotated[tuple[Slug, ...], Field(max_length=20, description="All of them")] = ()
    owner_id: UUID | None = None
    near: Annotated[str, Field(max_length=60), AfterValidator(point)] | None = Field(
        None, description="`latitude,longitude`, with `radius_km`", examples=["8.99,38.79"]
    )
    radius_km: float = Field(50, gt=0, le=1000, description="Around `near`")
    bbox: Annotated[str, Field(max_length=110), AfterValidator(box)] | None = Field(
        None, description="`west,south,east,north`", examples=["38.6,8.8,38.9,9.1"]
    )
    polygon: Annotated[str, Field(max_length=8000), AfterValidator(area)] | None = Field(
        None,
        description="A drawn area: a GeoJSON Polygon of one ring, or the ring as an encoded polyline (five digits)",
        examples=["_vtu@_h{kF_pR?~oR_pR"],
    )

    @field_validator("price_min", "price_max")
    @classmethod
    def _needs_currency(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and not info.data.get("currency"):
            raise ValueError("needs `currency`")
        return value

    @field_validator("radius_km")
    @classmethod
    def _needs_centre(cls, value: float, info: ValidationInfo) -> float:
        # Generated clients send the defaults that the document names.
        if value != cls.model_fields["radius_km"].default and not info.data.get("near"):
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

    @field_validator("facets", check_fields=False)
    @classmethod
    def _can_count(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if "price" in value and not info.data.get("currency"):
            raise ValueError("price needs `currency`")
        return tuple(dict.fromkeys(value))

    def counted(self) -> tuple[str, ...]:
        """The names of the facets asked for."""
        return tuple(getattr(self, "facets", ()))

    def order(self) -> str:
        """The name of the order asked for; `relevance` where there are words, else `newest`."""
        return str(getattr(self, "sort", None) or ("relevance" if self.q else "newest"))

    def scope(self) -> str:
        """What a cursor of this search is good for: the same filters and order."""
        return self.order() + self.model_dump_json(exclude={"limit", "cursor", "sort", "explain", "facets"})
