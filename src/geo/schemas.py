"""Places as clients see them."""

from typing import Annotated

from pydantic import AfterValidator, Field

from src.core.schemas import Line, Schema
from src.geo.countries import is_country

Latitude = Annotated[float, Field(ge=-90, le=90, description="WGS 84 degrees", examples=[8.99])]
Longitude = Annotated[float, Field(ge=-180, le=180, description="WGS 84 degrees", examples=[38.79])]


def _known(code: str) -> str:
    if not is_country(code):
        raise ValueError("is not an ISO 3166-1 alpha-2 country code")
    return code


CountryCode = Annotated[
    str,
    Field(pattern=r"^[A-Z]{2}$", max_length=2, description="ISO 3166-1 alpha-2", examples=["ET"]),
    AfterValidator(_known),
]


class CountryRead(Schema):
    """A country."""

    code: CountryCode
    name: str = Field(max_length=100)
    currency: str = Field(max_length=3, description="ISO 4217")
    phone_prefix: str = Field(max_length=20)


class CountryList(Schema):
    """All countries, by name."""

    items: list[CountryRead] = Field(max_length=300)


class CityRead(Schema):
    """A city with its names in many languages, as GeoNames has them."""

    id: int = Field(ge=1, le=2**31 - 1, description="GeoNames id")
    country: CountryCode
    region: str = Field(max_length=20, description="GeoNames code of the first-level division")
    name: str = Field(max_length=200)
    names: list[Annotated[str, Field(max_length=400)]] = Field(max_length=1000)
    latitude: Latitude
    longitude: Longitude
    population: int = Field(ge=0, le=2**31 - 1)
    timezone: str = Field(max_length=64)


class CityList(Schema):
    """Cities that match, the largest first."""

    items: list[CityRead] = Field(max_length=100)


class CitySearch(Schema):
    """Which cities to list."""

    country: CountryCode | None = None
    q: Annotated[Line, Field(min_length=1, max_length=100)] | None = Field(
        None, description="How a name begins, in any script", examples=["አዲስ"]
    )
    limit: int = Field(20, ge=1, le=100)
