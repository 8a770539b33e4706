"""Vehicles as clients write, read and search them; names from schema.org/Vehicle."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from src.core.schemas import Line, Schema, Slug, Trimmed, left_out
from src.listings.filters import FACETS, ListingSearch, Names
from src.listings.models import ListingKind
from src.listings.schemas import ListingFields, ListingRead, ListingUpdate
from src.vehicles.models import (
    AccidentHistory,
    BodyType,
    DriveWheels,
    DutyStatus,
    FuelType,
    InteriorType,
    ItemCondition,
    MileageUnit,
    SteeringPosition,
    Transmission,
)
from src.vehicles.vin import FIRST_STANDARD_YEAR, LENGTH, Vin, VinVerdict, is_too_short

Name = Annotated[Line, Trimmed, Field(min_length=1, max_length=60)]
Year = Annotated[int, Field(ge=1885, le=2100, examples=[2012])]
Displacement = Annotated[int, Field(ge=1, le=100_000, description="Cubic centimetres", examples=[1300])]
Cylinders = Annotated[int, Field(ge=0, le=48, examples=[4])]
Doors = Annotated[int, Field(ge=0, le=20, examples=[5])]
Seats = Annotated[int, Field(ge=0, le=300, examples=[5])]
PreviousOwners = Annotated[int, Field(ge=0, le=100, examples=[1])]
RangeKm = Annotated[int, Field(ge=0, le=10_000, description="Kilometres on a full battery", examples=[400])]
Mileage = Annotated[int, Field(ge=0, le=5_000_000, examples=[98000])]


class VehicleFields(Schema):
    """What an owner says of a vehicle; publishing needs make, model_year and, unless it is new, mileage."""

    vin: Vin | None = None
    make: Name | None = Field(None, examples=["Toyota"])
    model: Name | None = Field(None, examples=["Vitz"])
    trim: Name | None = None
    body_type: BodyType | None = None
    model_year: Year | None = None
    mileage: Mileage | None = None
    mileage_unit: MileageUnit | None = Field(None, description="Kilometres if left out")
    fuel_type: FuelType | None = None
    transmission: Transmission | None = None
    drive_wheel_configuration: DriveWheels | None = None
    engine_displacement_cc: Displacement | None = None
    engine_power_kw: float | None = Field(None, gt=0, le=10_000)
    cylinders: Cylinders | None = None
    number_of_doors: Doors | None = None
    seating_capacity: Seats | None = None
    color: Name | None = None
    interior_type: InteriorType | None = None
    item_condition: ItemCondition | None = None
    number_of_previous_owners: PreviousOwners | None = None
    accident_history: AccidentHistory | None = None
    steering_position: SteeringPosition | None = None
    battery_kwh: float | None = Field(None, gt=0, le=10_000)
    battery_soh_pct: float | None = Field(None, ge=0, le=100, description="State of health, percent")
    range_km: RangeKm | None = None
    # A factory is no documented default: in a change, what is left out stays.
    charge_ports: list[Slug] = Field(default_factory=list, max_length=10, examples=[["type2", "ccs2"]])
    plate_code: Annotated[Line, Trimmed, Field(min_length=1, max_length=10)] | None = Field(
        None, description="Class of the Ethiopian plate, not its number", examples=["2"]
    )
    duty_status: DutyStatus | None = None


def _refuse_short_vin(vin: str | None, model_year: int | None) -> None:
    if not is_too_short(vin, model_year):
        return
    sentence = (
        f"a VIN has {LENGTH} characters; a shorter number needs a model_year before {FIRST_STANDARD_YEAR} beside it"
    )
    error = PydanticCustomError("vin_too_short", sentence)
    raise ValidationError.from_exception_data("vin", [InitErrorDetails(type=error, loc=("vin",), input=None)])


def _numbered_as_of_its_year(fields: VehicleFields) -> VehicleFields:
    _refuse_short_vin(fields.vin, fields.model_year)
    return fields


WrittenFields = Annotated[VehicleFields, AfterValidator(_numbered_as_of_its_year)]


class VehicleCreate(ListingFields):
    """A vehicle listing to be saved as a draft."""

    vehicle: WrittenFields = VehicleFields()


class VehicleUpdate(ListingUpdate):
    """Any part of a vehicle listing."""

    vehicle: WrittenFields = left_out()


class VehicleRead(VehicleFields):
    """A vehicle; of the VIN, everybody sees the maker's part and the last four, owner and moderators all of it.

    The verdict on it is for owner and moderators.
    """

    vin: str | None = Field(max_length=17, examples=["JTD**********3456"])
    vin_verdict: VinVerdict | None


class VehicleListing(ListingRead):
    """A whole vehicle listing."""

    kind: Literal[ListingKind.VEHICLE]
    vehicle: VehicleRead


VehicleSort = Literal["newest", "price_asc", "price_desc", "nearest", "relevance", "mileage_asc", "year_desc"]


VehicleFacet = Literal[
    "make", "model", "body_type", "fuel_type", "transmission", "model_year", "purpose", "city", "price"
]


class VehicleSearch(ListingSearch):
    """What a search for vehicles understands."""

    make: Names = Field((), examples=[["Toyota"]])
    model: Names = ()
    trim: Names = ()
    body_type: tuple[BodyType, ...] = Field((), max_length=20)
    model_year: tuple[Year, ...] = Field((), max_length=20)
    model_year_min: Year | None = None
    model_year_max: Year | None = None
    mileage_unit: MileageUnit = Field(MileageUnit.KM, description="The unit of `mileage_min` and `mileage_max`")
    mileage_min: Mileage | None = Field(None, description="Compared across units")
    mileage_max: Mileage | None = Field(None, description="Compared across units")
    fuel_type: tuple[FuelType, ...] = Field((), max_length=10)
    transmission: tuple[Transmission, ...] = Field((), max_length=10)
    drive_wheel_configuration: tuple[DriveWheels, ...] = Field((), max_length=10)
    engine_displacement_cc: tuple[Displacement, ...] = Field((), max_length=10)
    engine_displacement_cc_min: Displacement | None = None
    engine_displacement_cc_max: Displacement | None = None
    engine_power_kw_min: float | None = Field(None, ge=0, le=10_000)
    engine_power_kw_max: float | None = Field(None, ge=0, le=10_000)
    cylinders: tuple[Cylinders, ...] = Field((), max_length=10)
    cylinders_min: Cylinders | None = None
    cylinders_max: Cylinders | None = None
    number_of_doors: tuple[Doors, ...] = Field((), max_length=10)
    number_of_doors_min: Doors | None = None
    number_of_doors_max: Doors | None = None
    seating_capacity: tuple[Seats, ...] = Field((), max_length=10)
    seating_capacity_min: Seats | None = None
    seating_capacity_max: Seats | None = None
    color: Names = ()
    interior_type: tuple[InteriorType, ...] = Field((), max_length=10)
    item_condition: tuple[ItemCondition, ...] = Field((), max_length=10)
    number_of_previous_owners: tuple[PreviousOwners, ...] = Field((), max_length=10)
    number_of_previous_owners_min: PreviousOwners | None = None
    number_of_previous_owners_max: PreviousOwners | None = None
    accident_history: tuple[AccidentHistory, ...] = Field((), max_length=10)
    steering_position: tuple[SteeringPosition, ...] = Field((), max_length=2)
    battery_kwh_min: float | None = Field(None, ge=0, le=10_000)
    battery_kwh_max: float | None = Field(None, ge=0, le=10_000)
    battery_soh_pct_min: float | None = Field(None, ge=0, le=100)
    battery_soh_pct_max: float | None = Field(None, ge=0, le=100)
    range_km: tuple[RangeKm, ...] = Field((), max_length=10)
    range_km_min: RangeKm | None = None
    range_km_max: RangeKm | None = None
    charge_ports: Annotated[tuple[Slug, ...], Field(max_length=10, description="All of them")] = ()
    plate_code: Names = ()
    duty_status: tuple[DutyStatus, ...] = Field((), max_length=10)
    sort: VehicleSort | None = None
    facets: tuple[VehicleFacet, ...] = FACETS


class NameCount(Schema):
    """A name and how many public listings have it."""

    name: str = Field(max_length=60)
    listings: int = Field(ge=1, le=2**31 - 1)


class NameCounts(Schema):
    """Names, the most listed first."""

    items: list[NameCount] = Field(max_length=500)


class VinCheck(Schema):
    """A VIN to judge, and what is said of the vehicle."""

    vin: Vin
    make: Name | None = Field(None, examples=["Toyota"])
    model_year: Year | None = None

    @model_validator(mode="after")
    def _as_of_its_year(self) -> "VinCheck":
        _refuse_short_vin(self.vin, self.model_year)
        return self
