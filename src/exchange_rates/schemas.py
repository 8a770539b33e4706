"""Exchange rates as clients see them: decimals are text, so that no parser makes floats of them."""

import re
from datetime import date
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from src.core.money import Currency
from src.core.schemas import Day, Instant, Line, Schema, Trimmed

_RATE = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")
MOST_RATES = 200


def _written(value: Any) -> Any:
    if isinstance(value, Decimal) or (isinstance(value, str) and _RATE.fullmatch(value)):
        return value
    raise ValueError('must be a decimal in quotes, as "0.0064", with at most 12 digits before and after the point')


def plain(rate: Decimal) -> str:
    """Without an exponent and without zeros at the end."""
    return f"{rate.normalize():f}"


Rate = Annotated[
    Decimal,
    Field(gt=0),
    BeforeValidator(_written),
    PlainSerializer(plain),
    WithJsonSchema({"type": "string", "pattern": f"^{_RATE.pattern}$", "maxLength": 25, "examples": ["0.0064"]}),
]
Rates = Annotated[
    dict[Currency, Rate],
    Field(
        min_length=1,
        max_length=MOST_RATES,
        description="Units of each currency for one unit of `base`",
        examples=[{"EUR": "0.0055", "USD": "0.0064"}],
    ),
]
Base = Annotated[Currency, Field(description="ISO 4217; what one unit of is meant", examples=["ETB"])]
AsOf = Annotated[Day, Field(description="The day the rates are of; the latest one's are current")]
Source = Annotated[
    Line, Trimmed, Field(min_length=1, max_length=200, description="Whose figures", examples=["National Bank"])
]


class RateSetCreate(Schema):
    """Rates of one day. `base` itself may be left out of `rates`; where it stands, it is 1."""

    base: Base
    as_of: AsOf
    source: Source
    rates: Rates


class RateSetRead(Schema):
    """Rates of one day, never changed."""

    id: UUID
    base: Base
    as_of: date = Field(description="The day the rates are of")
    source: Source
    created_at: Instant
    rates: Rates
