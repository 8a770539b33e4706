"""The generic listing and what belongs to it."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Computed, ForeignKey, Index, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import UserDefinedType

from src.core.database import Base, new_id
from src.core.errors import on_constraint
from src.listings.errors import ExternalIdTaken

EARTH_RADIUS_KM = 6371.0088


class ListingKind(StrEnum):
    """What is offered; each kind is a module of its own."""

    VEHICLE = "vehicle"
    PROPERTY = "property"


class Purpose(StrEnum):
    """What for."""

    SALE = "sale"
    RENT = "rent"


class RentPeriod(StrEnum):
    """What a rent's price pays for."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


class ListingStatus(StrEnum):
    """Where a listing is in its life."""

    DRAFT = "draft"
    PENDING_REVIEW = "pending_review"
    CHANGES_REQUESTED = "changes_requested"
    REJECTED = "rejected"
    PUBLISHED = "published"
    RESERVED = "reserved"
    ON_HOLD = "on_hold"
    SOLD = "sold"
    RENTED = "rented"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    SUSPENDED = "suspended"
    ARCHIVED = "archived"


class Told(StrEnum):
    """What everybody may have seen happen to a listing. `paused` is any time off the market that may end."""

    PUBLISHED = "published"
    PRICE_CHANGED = "price_changed"
    EDITED = "edited"
    RESERVED = "reserved"
    RELEASED = "released"
    PAUSED = "paused"
    RESUMED = "resumed"
    RENEWED = "renewed"
    SOLD = "sold"
    RENTED = "rented"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


class HoldReason(StrEnum):
    """Why a listing is on hold; it returns when the last reason goes."""

    OWNER = "owner"
    LICENCE = "licence"
    COMPANY = "company"


class Cube(UserDefinedType[str]):
    """A point in space of the `cube` extension; distances between two are chords of the earth, in kilometres."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """The type's name in DDL."""
        return "cube"


def one_of(column: str, values: type[StrEnum]) -> CheckConstraint:
    """A check that the column holds a member of the enum."""
    members = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({members})", name=column)


_LAT, _LON = "radians(public_latitude)", "radians(public_longitude)"
_SPHERE = (
    "CASE WHEN public_latitude IS NOT NULL THEN "
    f"cube(ARRAY[{EARTH_RADIUS_KM} * cos({_LAT}) * cos({_LON}), "
    f"{EARTH_RADIUS_KM} * cos({_LAT}) * sin({_LON}), {EARTH_RADIUS_KM} * sin({_LAT})]) END"
)


class Listing(Base):
    """What vehicles and properties have in common.

    `public_latitude/longitude` is what everybody may know of the place (rounded for properties); all searching by
    place uses it, so that a search cannot find out more than a reader sees.
    """

    __tablename__ = "listings"
    __table_args__ = (
        one_of("kind", ListingKind),
        one_of("status", ListingStatus),
        one_of("purpose", Purpose),
        one_of("rent_period", RentPeriod),
        CheckConstraint("price_amount BETWEEN 1 AND 1000000000000000", name="price_amount"),
        CheckConstraint("close_price_amount BETWEEN 1 AND 1000000000000000", name="close_price_amount"),
        CheckConstraint("(price_amount IS NULL) = (currency IS NULL)", name="price_has_currency"),
        CheckConstraint("rent_period IS NULL OR purpose = 'rent'", name="rent_period_of_rent"),
        # PostgreSQL holds NaN to be greater than any number, so BETWEEN refuses it.
        CheckConstraint("latitude BETWEEN -90 AND 90", name="latitude"),
        CheckConstraint("longitude BETWEEN -180 AND 180", name="longitude"),
        CheckConstraint("(latitude IS NULL) = (longitude IS NULL)", name="point"),
        CheckConstraint(
            "status NOT IN ('published', 'reserved') OR (published_at IS NOT NULL AND expires_at IS NOT NULL"
            " AND price_amount IS NOT NULL AND country IS NOT NULL AND city IS NOT NULL)",
            name="complete_when_public",
        ),
        Index("uq_listings_owner_id_external_id", "owner_id", "external_id", unique=True),
        Index("ix_listings_owner_id_id", "owner_id", "id"),
        Index("ix_listings_timer_at", "timer_at", "id", postgresql_where=text("timer_at IS NOT NULL")),
        Index("ix_listings_newest", "kind", "published_at", "id", postgresql_where=text("is_public")),
        Index("ix_listings_newest_mixed", "published_at", "id", postgresql_where=text("is_public")),
        Index("ix_listings_price", "kind", "currency", "price_amount", "id", postgresql_where=text("is_public")),
        Index("ix_listings_price_currency", "currency", "price_amount", "id", postgresql_where=text("is_public")),
        Index("ix_listings_city_id", "city_id", postgresql_where=text("is_public")),
        Index("ix_listings_city_key", "city_key", postgresql_where=text("is_public")),
        # Not partial: PostgreSQL would not use the statistics of these expressions.
        Index("ix_listings_region", text("lower(region)")),
        Index("ix_listings_subdivision", text("lower(subdivision)")),
        Index("ix_listings_search", "search", postgresql_using="gin", postgresql_where=text("is_public")),
        Index("ix_listings_features", "features", postgresql_using="gin", postgresql_where=text("is_public")),
        Index("ix_listings_sphere", "sphere", postgresql_using="gist", postgresql_where=text("is_public")),
        Index("ix_listings_folding", "folding"),
        Index("ix_listings_latitude", "public_latitude", "public_longitude", postgresql_where=text("is_public")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    kind: Mapped[str]
    status: Mapped[str] = mapped_column(default=ListingStatus.DRAFT)
    is_public: Mapped[bool] = mapped_column(Computed("status IN ('published', 'reserved')", persisted=True))
    owner_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    external_id: Mapped[str | None]
    title: Mapped[str]
    description: Mapped[str | None]
    language: Mapped[str | None]
    purpose: Mapped[str]
    rent_period: Mapped[str | None]
    price_amount: Mapped[int | None] = mapped_column(BigInteger)
    currency: Mapped[str | None]
    negotiable: Mapped[bool] = mapped_column(default=False)
    country: Mapped[str | None] = mapped_column(ForeignKey("countries.code"))
    region: Mapped[str | None]
    city: Mapped[str | None]
    city_key: Mapped[str | None]
    city_id: Mapped[int | None] = mapped_column(ForeignKey("cities.id", ondelete="SET NULL"))
    subdivision: Mapped[str | None]
    woreda: Mapped[str | None]
    landmark: Mapped[str | None]
    postal_code: Mapped[str | None]
    latitude: Mapped[float | None]
    longitude: Mapped[float | None]
    public_latitude: Mapped[float | None]
    public_longitude: Mapped[float | None]
    sphere: Mapped[str | None] = mapped_column(Cube, Computed(_SPHERE, persisted=True))
    features: Mapped[list[str]]
    search: Mapped[str] = mapped_column(TSVECTOR)
    # With which folding `search` and `city_key` were made.
    folding: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    completeness: Mapped[int]
    version: Mapped[int] = mapped_column(default=1)
    hold_reasons: Mapped[list[str]] = mapped_column(default=list)
    held_at: Mapped[datetime | None]
    is_edited_since_review: Mapped[bool] = mapped_column(default=False)
    status_before_suspension: Mapped[str | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    moved_at: Mapped[datetime]
    published_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    # The next warning that its owner gets, in days before `expires_at`, and what `life.timer_of` says.
    warning_days: Mapped[int] = mapped_column(SmallInteger, default=0)
    timer_at: Mapped[datetime | None]
    price_changed_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    close_price_amount: Mapped[int | None] = mapped_column(BigInteger)
    close_price_currency: Mapped[str | None]


on_constraint("uq_listings_owner_id_external_id", ExternalIdTaken, "/external_id")


class ListingPrice(Base):
    """A price that a listing has had since `since`."""

    __tablename__ = "listing_prices"
    __table_args__ = (Index("ix_listing_prices_listing_id_since", "listing_id", "since"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    listing_id: Mapped[UUID] = mapped_column(ForeignKey("listings.id", ondelete="CASCADE"))
    since: Mapped[datetime]
    amount: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str]


class MarketSpell(Base):
    """A stretch of time in which a listing was public at one price and as the same asset; the open one has no end.

    It outlives its listing, so that deleting and posting again does not make an asset new. `asset_keys` are keyed
    hashes (of a VIN, of a title number); `is_continued` tells it from a return to the market; `left_as` is the status
    in which the listing left the market, null where only the price or the asset changed.
    """

    __tablename__ = "market_spells"
    __table_args__ = (
        CheckConstraint("ended_at >= started_at", name="ends_after_start"),
        Index("uq_market_spells_listing_id_open", "listing_id", unique=True, postgresql_where=text("ended_at IS NULL")),
        Index("ix_market_spells_listing_id_started_at", "listing_id", "started_at"),
        Index("ix_market_spells_asset_keys", "asset_keys", postgresql_using="gin"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    listing_id: Mapped[UUID]
    asset_keys: Mapped[list[str]]
    price_amount: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str]
    is_continued: Mapped[bool]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    left_as: Mapped[str | None]


class ListingChange(Base):
    """An entry of a listing's public change feed; `seen_at` is null until the public could see it."""

    __tablename__ = "listing_changes"
    __table_args__ = (
        one_of("what", Told),
        Index("ix_listing_changes_listing_id_seen_at", "listing_id", "seen_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    listing_id: Mapped[UUID] = mapped_column(ForeignKey("listings.id", ondelete="CASCADE"))
    seen_at: Mapped[datetime | None]
    what: Mapped[str]
    fields: Mapped[list[str] | None]


class PendingChange(Base):
    """The one change of what a live listing offers that waits for a moderator.

    `changes` is what `Kind.apply` takes once it is approved, `shown` the same as owner and moderators read it.
    """

    __tablename__ = "listing_pending_changes"

    listing_id: Mapped[UUID] = mapped_column(ForeignKey("listings.id", ondelete="CASCADE"), primary_key=True)
    changes: Mapped[dict[str, Any]] = mapped_column(JSONB)
    shown: Mapped[dict[str, Any]] = mapped_column(JSONB)
    submitted_at: Mapped[datetime]


class ListingDecision(Base):
    """What a moderator decided on a listing, and why."""

    __tablename__ = "listing_decisions"
    __table_args__ = (Index("ix_listing_decisions_listing_id_id", "listing_id", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    listing_id: Mapped[UUID] = mapped_column(ForeignKey("listings.id", ondelete="CASCADE"))
    moderator_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    action: Mapped[str]
    reason: Mapped[str | None]
    decided_at: Mapped[datetime]


class Favourite(Base):
    """A listing that somebody keeps an eye on."""

    __tablename__ = "favourites"
    __table_args__ = (Index("ix_favourites_user_id_created_at", "user_id", "created_at", "listing_id"),)

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    listing_id: Mapped[UUID] = mapped_column(ForeignKey("listings.id", ondelete="CASCADE"), primary_key=True)
    created_at: Mapped[datetime]


Index("ix_favourites_listing_id", Favourite.listing_id)


class ListingWord(Base):
    """A lexeme of some listing that is, or was, public: what a mistyped word may have meant. Never removed."""

    __tablename__ = "listing_words"
    __table_args__ = (
        Index("ix_listing_words_word", "word", postgresql_using="gin", postgresql_ops={"word": "gin_trgm_ops"}),
    )

    word: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)


class PhraseKind(StrEnum):
    """What a suggestion is. A phrase that is several of these is the first in the alphabet."""

    MAKE = "make"
    MODEL = "model"
    PLACE = "place"
    TYPE = "type"
    WORD = "word"


class ListingPhrase(Base):
    """What a search may be completed to, from some listing that is, or was, public; `key` is its folded words."""

    __tablename__ = "listing_phrases"
    __table_args__ = (
        one_of("kind", PhraseKind),
        Index("ix_listing_phrases_search", "search", postgresql_using="gin"),
    )

    key: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
    kind: Mapped[str] = mapped_column(Text(collation="C"))
    text: Mapped[str]
    search: Mapped[str] = mapped_column(TSVECTOR)
