"""Property details, on the listing's key."""

from datetime import date
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from src.core.database import Base
from src.listings.models import one_of


class PropertyType(StrEnum):
    """RESO PropertyType."""

    RESIDENTIAL = "residential"
    COMMERCIAL = "commercial"
    LAND = "land"
    FARM = "farm"


class PropertySubType(StrEnum):
    """RESO PropertySubType."""

    APARTMENT = "apartment"
    CONDOMINIUM = "condominium"
    SINGLE_FAMILY_RESIDENCE = "single_family_residence"
    VILLA = "villa"
    TOWNHOUSE = "townhouse"
    DUPLEX = "duplex"
    MULTI_FAMILY = "multi_family"
    OFFICE = "office"
    RETAIL = "retail"
    WAREHOUSE = "warehouse"
    LAND = "land"


class Furnished(StrEnum):
    """RESO Furnished."""

    FURNISHED = "furnished"
    PARTIALLY = "partially"
    UNFURNISHED = "unfurnished"


class PropertyCondition(StrEnum):
    """RESO PropertyCondition."""

    NEW_CONSTRUCTION = "new_construction"
    UNDER_CONSTRUCTION = "under_construction"
    EXCELLENT = "excellent"
    GOOD = "good"
    AVERAGE = "average"
    FAIR = "fair"
    POOR = "poor"


class Cooling(StrEnum):
    """RESO Cooling."""

    NONE = "none"
    CENTRAL = "central"
    SPLIT = "split"
    OTHER = "other"


class Tenure(StrEnum):
    """How the land or the flat is held in Ethiopia, or freehold elsewhere."""

    LEASE = "lease"
    OLD_POSSESSION = "old_possession"
    CONDOMINIUM = "condominium"
    COOPERATIVE = "cooperative"
    FREEHOLD = "freehold"


class Property(Base):
    """What a property listing offers. Of the title number only a keyed hash is kept: to match, not to read."""

    __tablename__ = "properties"
    __table_args__ = (
        one_of("property_type", PropertyType),
        one_of("property_sub_type", PropertySubType),
        one_of("furnished", Furnished),
        one_of("property_condition", PropertyCondition),
        one_of("cooling", Cooling),
        one_of("tenure", Tenure),
        CheckConstraint("living_area_m2 > 0 AND living_area_m2 <= 10000000", name="living_area_m2"),
        CheckConstraint("lot_size_m2 > 0 AND lot_size_m2 <= 100000000000", name="lot_size_m2"),
        CheckConstraint("association_fee_amount BETWEEN 1 AND 1000000000000000", name="association_fee_amount"),
    )

    listing_id: Mapped[UUID] = mapped_column(ForeignKey("listings.id", ondelete="CASCADE"), primary_key=True)
    property_type: Mapped[str | None]
    property_sub_type: Mapped[str | None]
    bedrooms_total: Mapped[int | None]
    bathrooms_full: Mapped[int | None]
    bathrooms_half: Mapped[int | None]
    living_area_m2: Mapped[float | None]
    lot_size_m2: Mapped[float | None]
    year_built: Mapped[int | None]
    year_renovated: Mapped[int | None]
    rooms_total: Mapped[int | None]
    stories_total: Mapped[int | None]
    entry_level: Mapped[int | None]
    garage_spaces: Mapped[int | None]
    furnished: Mapped[str | None]
    property_condition: Mapped[str | None]
    cooling: Mapped[str | None]
    pets_allowed: Mapped[bool | None]
    availability_date: Mapped[date | None]
    tenure: Mapped[str | None]
    water_source: Mapped[str | None]
    electric: Mapped[str | None]
    association_fee_amount: Mapped[int | None] = mapped_column(BigInteger)
    association_fee_currency: Mapped[str | None]
    title_number_hash: Mapped[str | None] = mapped_column(index=True)


# The area that a buyer compares: the living area, or the lot of land without one.
area = func.coalesce(Property.living_area_m2, Property.lot_size_m2, text("0"))

Index("ix_properties_area", area, Property.listing_id)
