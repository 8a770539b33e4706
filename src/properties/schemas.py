"""Properties as clients write, read and search them; names from the RESO Data Dictionary 2.1."""

from typing import Annotated, Literal

from pydantic import Field

from src.core.money import Money
from src.core.schemas import Day, Line, Schema, Slug, Trimmed, left_out
from src.listings.filters import FACETS, ListingSearch
from src.listings.models import ListingKind
from src.listings.schemas import ListingFields, ListingRead, ListingUpdate
from src.properties.models import Cooling, Furnished, PropertyCondition, PropertySubType, PropertyType, Tenure

Count = Annotated[int, Field(ge=0, le=1000)]
Level = Annotated[int, Field(ge=-20, le=1000, description="Floor of the entrance; 0 is the ground", examples=[3])]
Year = Annotated[int, Field(ge=1000, le=2100, examples=[2018])]
LivingArea = Annotated[float, Field(gt=0, le=10_000_000, description="Square metres", examples=[153.8])]
LotSize = Annotated[float, Field(gt=0, le=100_000_000_000, description="Square metres", examples=[300])]


class PropertyFacts(Schema):
    """What is written and read alike."""

    property_type: PropertyType | None = None
    property_sub_type: PropertySubType | None = None
    bedrooms_total: Count | None = None
    bathrooms_full: Count | None = None
    bathrooms_half: Count | None = None
    living_area_m2: LivingArea | None = None
    lot_size_m2: LotSize | None = None
    year_built: Year | None = None
    year_renovated: Year | None = None
    rooms_total: Count | None = None
    stories_total: Count | None = None
    entry_level: Level | None = None
    garage_spaces: Count | None = None
    furnished: Furnished | None = None
    property_condition: PropertyCondition | None = None
    cooling: Cooling | None = None
    pets_allowed: bool | None = None
    availability_date: Day | None = None
    tenure: Tenure | None = None
    water_source: Slug | None = Field(None, examples=["municipal"])
    electric: Slug | None = Field(None, examples=["grid"])
    association_fee: Money | None = Field(None, description="A month")


class PropertyFields(PropertyFacts):
    """What an owner says; publishing needs property_type and living_area_m2 (for land, lot_size_m2)."""

    title_number: Annotated[Line, Trimmed, Field(pattern=r"[^\W_]", min_length=1, max_length=60)] | None = Field(
        None, description="Number of the title deed; kept as a keyed hash and never shown"
    )


class PropertyCreate(ListingFields):
    """A property listing to be saved as a draft."""

    property: PropertyFields = PropertyFields()


class PropertyUpdate(ListingUpdate):
    """Any part of a property listing."""

    property: PropertyFields = left_out()


class PropertyRead(PropertyFacts):
    """A property."""

    has_title_number: bool = Field(description="Whether the owner gave the number of the title deed")


class PropertyListing(ListingRead):
    """A whole property listing."""

    kind: Literal[ListingKind.PROPERTY]
    property: PropertyRead


PropertySort = Literal["newest", "price_asc", "price_desc", "nearest", "relevance", "area_desc"]


PropertyFacet = Literal[
    "property_type", "property_sub_type", "bedrooms_total", "year_built", "purpose", "city", "price"
]


class PropertySearch(ListingSearch):
    """What a search for properties understands."""

    property_type: tuple[PropertyType, ...] = Field((), max_length=10)
    property_sub_type: tuple[PropertySubType, ...] = Field((), max_length=20)
    bedrooms_total: tuple[Count, ...] = Field((), max_length=20)
    bedrooms_total_min: Count | None = None
    bedrooms_total_max: Count | None = None
    bathrooms_full: tuple[Count, ...] = Field((), max_length=20)
    bathrooms_full_min: Count | None = None
    bathrooms_full_max: Count | None = None
    bathrooms_half: tuple[Count, ...] = Field((), max_length=20)
    bathrooms_half_min: Count | None = None
    bathrooms_half_max: Count | None = None
    living_area_m2_min: LivingArea | None = None
    living_area_m2_max: LivingArea | None = None
    lot_size_m2_min: LotSize | None = None
    lot_size_m2_max: LotSize | None = None
    year_built: tuple[Year, ...] = Field((), max_length=20)
    year_built_min: Year | None = None
    year_built_max: Year | None = None
    year_renovated: tuple[Year, ...] = Field((), max_length=20)
    year_renovated_min: Year | None = None
    year_renovated_max: Year | None = None
    rooms_total: tuple[Count, ...] = Field((), max_length=20)
    rooms_total_min: Count | None = None
    rooms_total_max: Count | None = None
    stories_total: tuple[Count, ...] = Field((), max_length=20)
    stories_total_min: Count | None = None
    stories_total_max: Count | None = None
    entry_level: tuple[Level, ...] = Field((), max_length=20)
    entry_level_min: Level | None = None
    entry_level_max: Level | None = None
    garage_spaces: tuple[Count, ...] = Field((), max_length=20)
    garage_spaces_min: Count | None = None
    garage_spaces_max: Count | None = None
    furnished: tuple[Furnished, ...] = Field((), max_length=5)
    property_condition: tuple[PropertyCondition, ...] = Field((), max_length=10)
    cooling: tuple[Cooling, ...] = Field((), max_length=5)
    pets_allowed: bool | None = None
    availability_date_min: Day | None = None
    availability_date_max: Day | None = Field(None, description="Available by then")
    tenure: tuple[Tenure, ...] = Field((), max_length=10)
    water_source: tuple[Slug, ...] = Field((), max_length=10)
    electric: tuple[Slug, ...] = Field((), max_length=10)
    sort: PropertySort | None = None
    facets: tuple[PropertyFacet, ...] = FACETS
