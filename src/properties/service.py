"""The property kind."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Double, Select, case, func, null, select

from src.core.security import keyed_hash
from src.core.text import Weight, name_key
from src.listings import kinds
from src.listings.conditions import Compared, years
from src.listings.facets import LISTING_FACETS, of_values, of_years
from src.listings.kinds import is_same, nearness, object_of
from src.listings.models import Listing, ListingKind, PhraseKind
from src.listings.orders import Order
from src.listings.schemas import ListingFields
from src.listings.search import Catalogue
from src.properties.models import Property, PropertyType, area
from src.properties.schemas import PropertyCreate, PropertyFacts, PropertyListing

# Columns whose values are not as the client wrote them, and what the client calls them.
_WRITTEN_AS = {
    "association_fee_amount": "association_fee",
    "association_fee_currency": "association_fee",
    "title_number_hash": "title_number",
}
_PLAIN = tuple(name for name in PropertyFacts.model_fields if name != "association_fee")


class PropertyKind(kinds.Kind):
    """Properties, as `listings` knows them."""

    name = ListingKind.PROPERTY
    table = Property
    read_model = PropertyListing
    fields = (*_PLAIN, "association_fee_amount", "title_number_hash")
    high_risk = frozenset({"property_type", "living_area_m2", "lot_size_m2", "title_number"})
    is_address_staged = True

    def columns(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The fee becomes two columns, the title number a hash."""
        columns = {name: value for name, value in fields.items() if name in self.fields}
        if "association_fee" in fields:
            fee = fields["association_fee"] or {"amount": None, "currency": None}
            columns |= {"association_fee_amount": fee["amount"], "association_fee_currency": fee["currency"]}
        if "title_number" in fields:
            number = fields["title_number"]
            columns["title_number_hash"] = keyed_hash("title-number", name_key(number)) if number else None
        return columns

    def names(self, columns: Iterable[str]) -> set[str]:
        """Not every column is called what the field is."""
        return {_WRITTEN_AS.get(name, name) for name in columns}

    def readable(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        """Of the title number, only whether there is to be one."""
        shown = {name: value for name, value in columns.items() if name != "title_number_hash"}
        if "title_number_hash" in columns:
            shown["has_title_number"] = columns["title_number_hash"] is not None
        return shown

    def asset_keys(self, details: kinds.Details) -> list[str]:
        """The title deed."""
        return [f"title:{details.title_number_hash}"] if details.title_number_hash else []

    def needed(self, details: kinds.Details) -> Iterable[str]:
        """Land is its lot; anything else has a living area."""
        is_land = details.property_type == PropertyType.LAND
        return ("property_type", "lot_size_m2" if is_land else "living_area_m2")

    def search_text(self, details: kinds.Details) -> Iterable[tuple[Weight, str]]:
        """What it is."""
        yield "B", " ".join(filter(None, (details.property_type, details.property_sub_type)))
        yield "C", " ".join(filter(None, (details.furnished, details.tenure)))

    def phrases(self, details: kinds.Details) -> Iterable[tuple[PhraseKind, str]]:
        """The type, and the type within it."""
        for name in filter(None, (details.property_type, details.property_sub_type)):
            yield PhraseKind.TYPE, name.replace("_", " ")

    def similarity(self, origin: Any, details: Any) -> ColumnElement[Any]:
        """Type 1, sub type 1, bedrooms 1; up to 2 for the size, and up to 3 for the place: 1.5 at two kilometres."""
        kilometres: Any = func.cube_distance(Listing.sphere, origin.sphere, type_=Double())
        place = func.coalesce(HALF_KM / (HALF_KM + kilometres), 0)
        same = ("property_type", "property_sub_type", "bedrooms_total")
        shared = [is_same(getattr(Property, name), getattr(details, name)) for name in same]
        size = nearness(area, func.coalesce(details.living_area_m2, details.lot_size_m2))
        return sum(shared[1:], shared[0]) + 2 * size + 3 * place

    def look_alikes(self, origin: Any, details: Any) -> Iterable[Select[Any]]:
        """The nearest of the same type, and some in the same city."""
        of_type = (
            select(Listing.id)
            .join(Property, Property.listing_id == Listing.id)
            .where(
                Listing.is_public, Listing.purpose == origin.purpose, Property.property_type == details.property_type
            )
        )
        nearest = of_type.where(origin.sphere.is_not(None)).order_by(Listing.sphere.op("<->")(origin.sphere))
        for alike in (nearest, of_type.where(Listing.city_key == origin.city_key)):
            yield select(alike.limit(MOST_LOOK_ALIKES).correlate(origin, details).subquery())

    def members(self, is_private: ColumnElement[bool]) -> dict[str, Any]:  # noqa: ARG002 - nothing here is private
        """The facts; of the title number, only whether there is one."""
        amount, currency = Property.association_fee_amount, Property.association_fee_currency
        fee = case((amount.is_not(None), object_of(amount=amount, currency=currency)), else_=null())
        return {name: getattr(Property, name) for name in _PLAIN} | {
            "association_fee": fee,
            "has_title_number": Property.title_number_hash.is_not(None),
        }


def draft(data: PropertyCreate) -> tuple[ListingFields, dict[str, Any]]:
    """What `listings.create` takes: the common fields, and the details apart."""
    return data, data.property.model_dump()


# So far away the place is worth half.
HALF_KM = 2
MOST_LOOK_ALIKES = 100

kind = PropertyKind()
kinds.register(kind)

CATALOGUE = Catalogue(
    ListingKind.PROPERTY,
    columns={name: Compared(getattr(Property, name)) for name in _PLAIN}
    | {name: years(getattr(Property, name)) for name in ("year_built", "year_renovated")},
    orders={"area_desc": Order((area, Property.listing_id), is_descending=True)},  # type: ignore[arg-type]
    facets={
        **LISTING_FACETS,
        **{
            name: of_values(name, getattr(Property, name))
            for name in ("property_type", "property_sub_type", "bedrooms_total")
        },
        "year_built": of_years("year_built", Property.year_built),
    },
)
