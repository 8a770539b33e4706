"""What publishing needs, and what a listing lacks of it."""

from typing import Any

from src.core.errors import FieldError
from src.listings import kinds
from src.listings.errors import ListingIncomplete
from src.listings.models import Listing


def require_complete(listing: Listing, details: Any) -> None:
    """Raises ListingIncomplete naming each field that publishing needs and the listing lacks."""
    lacking = missing(listing, details)
    if lacking:
        errors = [FieldError("body", pointer, "missing", "is needed to publish") for pointer in lacking]
        raise ListingIncomplete("Needed to publish: " + ", ".join(lacking), errors=errors)


def missing(listing: Listing, details: Any) -> list[str]:
    """JSON pointers to what publishing needs and the listing lacks."""
    needed = {"/price": listing.price_amount, "/location/country": listing.country, "/location/city": listing.city}
    lacking = [pointer for pointer, value in needed.items() if value is None]
    return lacking + [f"/{listing.kind}/{name}" for name in kinds.get(listing.kind).missing(details)]
