"""Vehicle details, on the listing's key."""

from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Computed, ForeignKey, Index, Numeric, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from src.core.database import Base
from src.listings.models import one_of

KM_PER_MILE = Decimal("1.609344")
# Where a vehicle says nothing it sorts last.
UNKNOWN_MILEAGE = 10**9


class BodyType(StrEnum):
    """schema.org/bodyType."""

    SEDAN = "sedan"
    HATCHBACK = "hatchback"
    SUV = "suv"
    PICKUP = "pickup"
    VAN = "van"
    MINIBUS = "minibus"
    BUS = "bus"
    TRUCK = "truck"
    MOTORCYCLE = "motorcycle"
    THREE_WHEELER = "three_wheeler"
    COUPE = "coupe"
    CONVERTIBLE = "convertible"
    WAGON = "wagon"


class MileageUnit(StrEnum):
    """What the odometer counts."""

    KM = "km"
    MI = "mi"


class FuelType(StrEnum):
    """schema.org/fuelType."""

    PETROL = "petrol"
    DIESEL = "diesel"
    HYBRID = "hybrid"
    PLUG_IN_HYBRID = "plug_in_hybrid"
    ELECTRIC = "electric"
    LPG = "lpg"
    CNG = "cng"


class Transmission(StrEnum):
    """schema.org/vehicleTransmission."""

    MANUAL = "manual"
    AUTOMATIC = "automatic"
    CVT = "cvt"
    DCT = "dct"
    SINGLE_SPEED = "single_speed"


class DriveWheels(StrEnum):
    """schema.org/driveWheelConfiguration."""

    FRONT = "fwd"
    REAR = "rwd"
    FOUR = "4wd"
    ALL = "awd"


class InteriorType(StrEnum):
    """schema.org/vehicleInteriorType."""

    CLOTH = "cloth"
    LEATHER = "leather"
    SYNTHETIC = "synthetic"


class ItemCondition(StrEnum):
    """schema.org/itemCondition."""

    NEW = "new"
    USED = "used"
    REFURBISHED = "refurbished"
    DAMAGED = "damaged"


class AccidentHistory(StrEnum):
    """What is known of accidents."""

    NONE = "none"
    REPAIRED = "repaired"
    UNKNOWN = "unknown"
    DAMAGED = "damaged"


class SteeringPosition(StrEnum):
    """schema.org/steeringPosition."""

    LEFT = "lhd"
    RIGHT = "rhd"


class DutyStatus(StrEnum):
    """Whether Ethiopian import duty was paid, or why not."""

    PAID = "paid"
    FREE_NGO = "free_ngo"
    FREE_DIPLOMAT = "free_diplomat"
    FREE_RETURNEE = "free_returnee"
    FREE_INVESTMENT = "free_investment"


class Vehicle(Base):
    """What a vehicle listing offers. `mileage_km` makes odometers in miles and kilometres comparable, exactly."""

    __tablename__ = "vehicles"
    __table_args__ = (
        one_of("body_type", BodyType),
        one_of("mileage_unit", MileageUnit),
        one_of("fuel_type", FuelType),
        one_of("transmission", Transmission),
        one_of("drive_wheel_configuration", DriveWheels),
        one_of("interior_type", InteriorType),
        one_of("item_condition", ItemCondition),
        one_of("accident_history", AccidentHistory),
        one_of("steering_position", SteeringPosition),
        one_of("duty_status", DutyStatus),
        CheckConstraint("model_year BETWEEN 1885 AND 2100", name="model_year"),
        CheckConstraint("mileage BETWEEN 0 AND 5000000", name="mileage"),
        CheckConstraint("engine_power_kw > 0 AND engine_power_kw <= 10000", name="engine_power_kw"),
        CheckConstraint("battery_kwh > 0 AND battery_kwh <= 10000", name="battery_kwh"),
        CheckConstraint("battery_soh_pct BETWEEN 0 AND 100", name="battery_soh_pct"),
    )

    listing_id: Mapped[UUID] = mapped_column(ForeignKey("listings.id", ondelete="CASCADE"), primary_key=True)
    vin: Mapped[str | None]
    make: Mapped[str | None]
    model: Mapped[str | None]
    trim: Mapped[str | None]
    body_type: Mapped[str | None]
    model_year: Mapped[int | None]
    mileage: Mapped[int | None]
    mileage_unit: Mapped[str | None]
    mileage_km: Mapped[Decimal | None] = mapped_column(
        Numeric, Computed(f"mileage * CASE mileage_unit WHEN 'mi' THEN {KM_PER_MILE} ELSE 1 END", persisted=True)
    )
    fuel_type: Mapped[str | None]
    transmission: Mapped[str | None]
    drive_wheel_configuration: Mapped[str | None]
    engine_displacement_cc: Mapped[int | None]
    engine_power_kw: Mapped[float | None]
    cylinders: Mapped[int | None]
    number_of_doors: Mapped[int | None]
    seating_capacity: Mapped[int | None]
    color: Mapped[str | None]
    interior_type: Mapped[str | None]
    item_condition: Mapped[str | None]
    number_of_previous_owners: Mapped[int | None]
    accident_history: Mapped[str | None]
    steering_position: Mapped[str | None]
    battery_kwh: Mapped[float | None]
    battery_soh_pct: Mapped[float | None]
    range_km: Mapped[int | None]
    charge_ports: Mapped[list[str]]
    plate_code: Mapped[str | None]
    duty_status: Mapped[str | None]
    vin_verdict: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))


mileage_order = func.coalesce(Vehicle.mileage_km, text(str(UNKNOWN_MILEAGE)))
year_order = func.coalesce(Vehicle.model_year, text("0"))

Index("ix_vehicles_mileage_order", mileage_order, Vehicle.listing_id)
Index("ix_vehicles_year_order", year_order, Vehicle.listing_id)
Index("ix_vehicles_make_model", func.lower(Vehicle.make), func.lower(Vehicle.model))
