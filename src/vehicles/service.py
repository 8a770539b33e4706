"""The vehicle kind, and reads that only vehicles have."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, case, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from src.core.text import Weight
from src.listings import kinds
from src.listings.filters import Columns
from src.listings.models import Listing, ListingKind, PhraseKind
from src.listings.schemas import ListingFields
from src.listings.search import Order
from src.vehicles.models import KM_PER_MILE, ItemCondition, MileageUnit, Vehicle, mileage_order, year_order
from src.vehicles.schemas import VehicleCreate, VehicleFields, VehicleListing, VehicleSearch


class VehicleKind(kinds.Kind):
    """Vehicles, as `listings` knows them."""

    name = ListingKind.VEHICLE
    table = Vehicle
    read_model = VehicleListing
    fields = tuple(VehicleFields.model_fields)
    high_risk = frozenset({"vin", "plate_code", "make", "model_year"})

    def apply(self, details: kinds.Details, fields: Any) -> set[str]:
        """An odometer without a unit counts kilometres."""
        if fields.get("mileage", details.mileage) is not None:
            unit = fields.get("mileage_unit") or details.mileage_unit or MileageUnit.KM
            fields = {**fields, "mileage_unit": unit}
        return super().apply(details, fields)

    def needed(self, details: kinds.Details) -> Iterable[str]:
        """A new vehicle has no mileage to tell."""
        always = ("make", "model_year")
        return always if details.item_condition == ItemCondition.NEW else (*always, "mileage")

    def search_text(self, details: kinds.Details) -> Iterable[tuple[Weight, str]]:
        """Make, model and year first."""
        names = (details.make, details.model, details.trim, details.model_year)
        traits = (details.body_type, details.fuel_type, details.transmission, details.color)
        yield "B", " ".join(str(name) for name in names if name)
        yield "C", " ".join(trait for trait in traits if trait)

    def phrases(self, details: kinds.Details) -> Iterable[tuple[PhraseKind, str]]:
        """The make, and the model with it."""
        if details.make:
            yield PhraseKind.MAKE, details.make
        if details.make and details.model:
            yield PhraseKind.MODEL, f"{details.make} {details.model}"

    def members(self, is_private: ColumnElement[bool]) -> dict[str, Any]:
        """The VIN in full is for the owner and moderators."""
        masked = func.left(Vehicle.vin, 3) + "**********" + func.right(Vehicle.vin, 4)
        return super().members(is_private) | {
            "vin": case((is_private, Vehicle.vin), else_=masked),
            "charge_ports": func.to_json(Vehicle.charge_ports),
        }


def draft(data: VehicleCreate) -> tuple[ListingFields, dict[str, Any]]:
    """What `listings.create` takes: the common fields, and the details apart."""
    return data, data.vehicle.model_dump()


kind = VehicleKind()
kinds.register(kind)

COLUMNS: Columns = {name: getattr(Vehicle, name) for name in kind.fields} | {
    name: func.lower(getattr(Vehicle, name)) for name in ("make", "model", "trim", "color", "plate_code")
}
ORDERS = {
    "mileage_asc": Order((mileage_order, Vehicle.listing_id)),  # type: ignore[arg-type]
    "year_desc": Order((year_order, Vehicle.listing_id), is_descending=True),  # type: ignore[arg-type]
}


@dataclass(frozen=True, slots=True)
class _Mileage:
    """Compares mileages with a number of kilometres or miles: exactly, and so that the index of the sort serves."""

    km_per_unit: Decimal

    def __ge__(self, least: int) -> ColumnElement[bool]:
        return and_(mileage_order >= least * self.km_per_unit, Vehicle.mileage_km.is_not(None))

    def __le__(self, most: int) -> ColumnElement[bool]:
        return mileage_order <= most * self.km_per_unit


def columns(search: VehicleSearch) -> Columns:
    """What this search compares with: the columns, and mileage in the unit it was asked in."""
    return {**COLUMNS, "mileage": _Mileage(KM_PER_MILE if search.mileage_unit is MileageUnit.MI else Decimal(1))}


async def count_makes(session: AsyncSession) -> list[Row[tuple[str, int]]]:
    """Makes of public vehicles with how many there are, the most listed first."""
    return await _count(session, _public(Vehicle.make))


async def count_models(session: AsyncSession, make: str) -> list[Row[tuple[str, int]]]:
    """Models of a make among public vehicles, the most listed first."""
    return await _count(session, _public(Vehicle.model).where(func.lower(Vehicle.make) == func.lower(make)))


def _public(name: Any) -> Select[tuple[str, int]]:
    count = func.count().label("listings")
    return (
        select(func.min(name).label("name"), count)
        .join(Listing, Listing.id == Vehicle.listing_id)
        .where(Listing.is_public, name.is_not(None))
        .group_by(func.lower(name))
        .order_by(count.desc(), func.min(name))
        .limit(500)
    )


async def _count(session: AsyncSession, counted: Select[tuple[str, int]]) -> list[Row[tuple[str, int]]]:
    return list((await session.execute(counted)).all())
