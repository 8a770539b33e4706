"""The vehicle kind, and reads that only vehicles have."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, case, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from src.core.security import keyed_hash
from src.core.text import Weight
from src.listings import kinds
from src.listings.conditions import Compared, lowered, years
from src.listings.facets import LISTING_FACETS, of_names, of_values, of_years
from src.listings.kinds import is_same
from src.listings.models import Listing, ListingKind, PhraseKind
from src.listings.orders import Order
from src.listings.queries import only_if
from src.listings.schemas import ListingFields
from src.listings.search import Catalogue
from src.vehicles.models import KM_PER_MILE, ItemCondition, MileageUnit, Vehicle, mileage_order, year_order
from src.vehicles.schemas import VehicleCreate, VehicleFields, VehicleListing, VehicleSearch
from src.vehicles.vin import LENGTH, judge


class VehicleKind(kinds.Kind):
    """Vehicles, as `listings` knows them."""

    name = ListingKind.VEHICLE
    table = Vehicle
    read_model = VehicleListing
    fields = tuple(VehicleFields.model_fields)
    high_risk = frozenset({"vin", "plate_code", "make", "model_year"})

    def apply(self, details: kinds.Details, fields: Any) -> set[str]:
        """An odometer without a unit counts kilometres, and a VIN is judged with what is said beside it."""
        if fields.get("mileage", details.mileage) is not None:
            unit = fields.get("mileage_unit") or details.mileage_unit or MileageUnit.KM
            fields = {**fields, "mileage_unit": unit}
        changed = super().apply(details, fields)
        if changed & _JUDGED or details.vin_verdict is None:
            details.vin_verdict = _verdict(details)
        return changed

    def asset_keys(self, details: kinds.Details) -> list[str]:
        """The VIN; a plate code is only the class of a plate."""
        return [f"vin:{keyed_hash('asset-vin', details.vin)}"] if details.vin else []

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
        """The VIN in full, and the verdict on it, are for the owner and moderators."""
        stars = "**********"
        # Of a shorter number the ends would be most of it.
        masked = case(
            (func.length(Vehicle.vin) == LENGTH, func.left(Vehicle.vin, 3) + stars + func.right(Vehicle.vin, 4)),
            (Vehicle.vin.is_not(None), stars),
        )
        return super().members(is_private) | {
            "vin": case((is_private, Vehicle.vin), else_=masked),
            "charge_ports": func.to_json(Vehicle.charge_ports),
            "vin_verdict": only_if(is_private, Vehicle.vin_verdict),
        }

    def similarity(self, origin: Any, details: Any) -> ColumnElement[Any]:  # noqa: ARG002 - where it is does not matter
        """Make 2, model 3, body 1; up to 2 for the year, none from 8 years on."""
        is_make = is_same(func.lower(Vehicle.make), func.lower(details.make))
        is_model = is_make * is_same(func.lower(Vehicle.model), func.lower(details.model))
        years_apart = func.abs(Vehicle.model_year - details.model_year)
        year = func.coalesce(func.greatest(0, 2 - years_apart / YEARS_OF_A_POINT), 0)
        return 2 * is_make + 3 * is_model + is_same(Vehicle.body_type, details.body_type) + year

    def look_alikes(self, origin: Any, details: Any) -> Iterable[Select[Any]]:
        """Of the same model, and of the same make."""
        is_make = func.lower(Vehicle.make) == func.lower(details.make)
        is_model = func.lower(Vehicle.model) == func.lower(details.model)
        for alike in (and_(is_make, is_model), is_make):
            found = select(Listing.id).join(Vehicle, Vehicle.listing_id == Listing.id)
            found = found.where(Listing.is_public, Listing.purpose == origin.purpose, alike)
            yield select(found.limit(MOST_LOOK_ALIKES).correlate(origin, details).subquery())


# A model year further away is that much less of a point.
YEARS_OF_A_POINT = 4
MOST_LOOK_ALIKES = 100
_JUDGED = {"vin", "make", "model_year"}


def _verdict(details: kinds.Details) -> dict[str, Any] | None:
    if details.vin is None:
        return None
    return judge(details.vin, details.make, details.model_year).model_dump(mode="json")


def draft(data: VehicleCreate) -> tuple[ListingFields, dict[str, Any]]:
    """What `listings.create` takes: the common fields, and the details apart."""
    return data, data.vehicle.model_dump()


kind = VehicleKind()
kinds.register(kind)


def _in_km(mileage: int, search: VehicleSearch) -> Decimal:
    return mileage * _km(search)


def _in_asked_unit(km: Decimal, search: VehicleSearch) -> Decimal:
    return km / _km(search)


def _km(search: VehicleSearch) -> Decimal:
    return KM_PER_MILE if search.mileage_unit is MileageUnit.MI else Decimal(1)


CATALOGUE = Catalogue(
    ListingKind.VEHICLE,
    columns={name: Compared(getattr(Vehicle, name)) for name in kind.fields}
    | {name: lowered(getattr(Vehicle, name)) for name in ("make", "model", "trim", "color", "plate_code")}
    # Through the expression of the sort, so that its index serves; there, unknown mileages stand last.
    | {"mileage": Compared(mileage_order, _in_km, is_known=Vehicle.mileage_km.is_not(None), undo=_in_asked_unit)}
    | {"model_year": years(Vehicle.model_year)},
    orders={
        "mileage_asc": Order((mileage_order, Vehicle.listing_id)),  # type: ignore[arg-type]
        "year_desc": Order((year_order, Vehicle.listing_id), is_descending=True),  # type: ignore[arg-type]
    },
    facets={
        **LISTING_FACETS,
        **{name: of_names(name, getattr(Vehicle, name)) for name in ("make", "model")},
        **{name: of_values(name, getattr(Vehicle, name)) for name in ("body_type", "fuel_type", "transmission")},
        "model_year": of_years("model_year", Vehicle.model_year),
    },
)


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
