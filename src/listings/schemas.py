"""Listings as clients write and read them; the kinds extend these with their details."""

from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

from pydantic import Field, ValidationInfo, field_validator, model_validator

from src.core.money import Money
from src.core.schemas import Instant, Line, Schema, Slug, Text, Trimmed, left_out
from src.core.security import Role
from src.geo.schemas import CountryCode, Latitude, Longitude
from src.listings.models import HoldReason, ListingKind, ListingStatus, PhraseKind, Purpose, RentPeriod, Told

Title = Annotated[Line, Trimmed, Field(min_length=3, max_length=120, examples=["Toyota Vitz 2012"])]
Description = Annotated[Text, Field(max_length=10_000, examples=["One owner, full service history."])]
PlaceName = Annotated[Line, Trimmed, Field(min_length=1, max_length=120)]
LanguageTag = Annotated[str, Field(pattern=r"^[a-z]{2,3}$", description="ISO 639", examples=["am"], max_length=3)]
ExternalId = Annotated[Line, Trimmed, Field(min_length=1, max_length=100, description="The owner's own id of it")]
Days = Annotated[int, Field(ge=0, le=100_000)]
Features = Annotated[list[Slug], Field(max_length=50, examples=[["air_conditioning", "alarm"]])]


class Location(Schema):
    """Where it is. Everybody sees a property's point rounded; the owner sees the pin."""

    country: CountryCode | None = None
    region: PlaceName | None = None
    city: PlaceName | None = Field(None, examples=["Addis Ababa"])
    subdivision: PlaceName | None = Field(None, examples=["Bole"])
    woreda: PlaceName | None = None
    landmark: PlaceName | None = None
    postal_code: Annotated[Line, Trimmed, Field(min_length=1, max_length=20)] | None = None
    latitude: Latitude | None = None
    longitude: Longitude | None = None

    @model_validator(mode="after")
    def _point_is_whole(self) -> "Location":
        given = {"latitude", "longitude"} & self.model_fields_set
        if len(given) == 1 or (self.latitude is None) != (self.longitude is None):
            raise ValueError("latitude and longitude go together")
        return self


class ListingFields(Schema):
    """What an owner says of any listing; a draft needs `title` and `purpose`."""

    title: Title
    purpose: Purpose
    description: Description | None = None
    price: Money | None = None
    negotiable: bool = False
    rent_period: RentPeriod | None = Field(None, description="Only with purpose `rent`", examples=[None])
    location: Location = Location()
    language: LanguageTag | None = None
    features: Features = []
    external_id: ExternalId | None = None

    @field_validator("rent_period")
    @classmethod
    def _period_is_of_rent(cls, value: RentPeriod | None, info: ValidationInfo) -> RentPeriod | None:
        if value is not None and info.data.get("purpose", Purpose.RENT) is not Purpose.RENT:
            raise ValueError("rent_period goes with purpose rent")
        return value


class ListingUpdate(Schema):
    """Any part of a listing; what is left out stays, and null clears what may be empty."""

    title: Title = left_out()
    purpose: Purpose = left_out()
    description: Description | None = None
    price: Money | None = None
    negotiable: bool = left_out()
    rent_period: RentPeriod | None = Field(None, examples=[None])
    location: Location = left_out()
    language: LanguageTag | None = None
    features: Features = left_out()
    external_id: ExternalId | None = None

    def changes(self) -> dict[str, Any]:
        """Only what the client sent, nested parts included."""
        return self.model_dump(exclude_unset=True)


class OwnerCard(Schema):
    """Whose listing it is."""

    id: UUID
    full_name: str = Field(max_length=120)
    role: Role
    member_since: Instant


class LocationRead(Schema):
    """Where it is, as precisely as the reader may know."""

    country: CountryCode | None
    region: PlaceName | None
    city: PlaceName | None
    subdivision: PlaceName | None
    woreda: PlaceName | None
    landmark: PlaceName | None
    postal_code: str | None = Field(max_length=20)
    latitude: Latitude | None
    longitude: Longitude | None


class PhotoRead(Schema):
    """A photo in its variants."""

    id: UUID
    url: str = Field(max_length=2000)


class DecisionRead(Schema):
    """The last thing a moderator decided; for the owner and moderators."""

    action: str = Field(max_length=30)
    reason: Text | None = Field(max_length=2000)
    decided_at: Instant


class PendingChangeRead(Schema):
    """What is to change once a moderator approves it; for the owner and moderators."""

    fields: dict[ListingKind, dict[Annotated[str, Field(max_length=60)], Any]] = Field(
        max_length=1,
        description="As it would be read. Of a title number, only that there is to be one",
        examples=[{"vehicle": {"model_year": 2014}}],
    )
    submitted_at: Instant


class Score(Schema):
    """Why a listing stands where it does when sorted by relevance; one point more is twice as relevant."""

    total: float = Field(ge=-1000, le=1000, examples=[10.2], description="The sum of the three")
    text: float = Field(ge=-10, le=0, examples=[-1.4], description="How well the words fit")
    freshness: float = Field(ge=-1000, le=1000, examples=[10.8], description="A point for every 30 days, since 2026")
    completeness: float = Field(ge=0, le=1, examples=[0.8], description="How much of what can be told it tells")


class ListingRead(Schema):
    """A whole listing. `external_id` and all from `hold_reasons` on are for owner and moderators, else null."""

    id: UUID
    kind: ListingKind
    status: ListingStatus
    purpose: Purpose
    title: Title
    description: Description | None
    price: Money | None
    negotiable: bool
    rent_period: RentPeriod | None
    location: LocationRead
    language: LanguageTag | None
    features: Features
    owner: OwnerCard
    photos: list[PhotoRead] = Field(max_length=100)
    completeness: int = Field(ge=0, le=100, description="Percent of the optional fields that are filled")
    created_at: Instant
    updated_at: Instant
    published_at: Instant | None
    expires_at: Instant | None
    price_changed_at: Instant | None
    closed_at: Instant | None
    external_id: ExternalId | None
    hold_reasons: list[HoldReason] | None = Field(max_length=3)
    decision: DecisionRead | None
    close_price: Money | None
    pending_change: PendingChangeRead | None
    score: Score = left_out()


class SuggestionQuery(Schema):
    """A search that is being typed."""

    q: Annotated[Line, Field(min_length=1, max_length=100)] = Field(
        description="What there is of it, in any script", examples=["toyo"]
    )
    limit: int = Field(8, ge=1, le=10)


class Suggestion(Schema):
    """What the search may be completed to."""

    text: str = Field(max_length=400, examples=["Toyota Vitz"])
    kind: PhraseKind
    listings: int = Field(
        ge=1, le=100, description="How many public listings hold all of its words; 100 is 100 or more"
    )


class SuggestionList(Schema):
    """Completions, those of the most listings first."""

    items: list[Suggestion] = Field(max_length=10)


class SimilarQuery(Schema):
    """How many similar listings to name."""

    limit: int = Field(6, ge=1, le=20)


T = TypeVar("T")


class SimilarListings(Schema, Generic[T]):
    """Listings like one, the most alike first."""

    items: list[T] = Field(max_length=20)


class CloseRequest(Schema):
    """What it went for, if the owner says."""

    price: Money | None = None


class Decision(Schema):
    """Why a moderator decides so; the owner reads it."""

    reason: Annotated[Text, Trimmed, Field(min_length=3, max_length=2000, examples=["The photos show another car."])]


class PriceRead(Schema):
    """A price and since when the listing had it."""

    since: Instant
    price: Money


class PreviousPrice(Schema):
    """A price that the same thing was offered at; `until` is null where it still is, in another listing."""

    since: Instant
    until: Instant | None
    price: Money
    is_this_listing: bool = Field(description="Whether it was this listing, before it was published again")


class ChangeRead(Schema):
    """Something everybody may have seen happen to a listing."""

    at: Instant
    what: Told
    fields: list[Annotated[str, Field(max_length=60)]] = Field(
        max_length=100, description="What an edit changed", examples=[["title", "vehicle.color"]]
    )


class ListingHistory(Schema):
    """The past of a listing, and of the same vehicle or property in other listings, as far as it was public.

    The same thing is the same VIN or title number; a listing that names neither knows only its own past.
    """

    items: list[PriceRead] = Field(max_length=1000, description="This listing's prices, oldest first")
    previous_prices: list[PreviousPrice] = Field(
        max_length=1000, description="Prices of the same thing before, or in other listings; oldest first"
    )
    changes: list[ChangeRead] = Field(max_length=200, description="The newest changes, oldest first")
    days_on_market: Days = Field(description="Whole days in which this listing was public", examples=[12])
    cumulative_days_on_market: Days = Field(
        description="Whole days in which any listing of the same thing was public", examples=[45]
    )
    first_listed_at: Instant | None = Field(description="When the same thing was first public")
    times_listed: int = Field(ge=0, le=2**31 - 1, description="How often it came to the market", examples=[2])
