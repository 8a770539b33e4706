"""Money: integer minor units and an ISO 4217 code. Never a float."""

from decimal import Decimal
from functools import cache
from typing import Annotated

import moneyed
from pydantic import AfterValidator, Field, Strict

from src.core.schemas import Schema

LARGEST_AMOUNT = 10**15
_NOT_MONEY = {"XXX", "XTS"}


@cache
def exponent(currency: str) -> int | None:
    """How many decimal digits the currency's minor unit has (ETB 2, JPY 0, KWD 3), or None if there is no such code."""
    if currency not in moneyed.CURRENCIES or currency in _NOT_MONEY:
        return None
    return len(str(moneyed.get_currency(currency).sub_unit)) - 1


def _known(code: str) -> str:
    if exponent(code) is None:
        raise ValueError("is not an ISO 4217 currency code")
    return code


Currency = Annotated[
    str, Field(pattern=r"^[A-Z]{3}$", max_length=3, description="ISO 4217", examples=["ETB"]), AfterValidator(_known)
]
Amount = Annotated[
    int, Strict(), Field(ge=1, le=LARGEST_AMOUNT, description="Minor units (cents)", examples=[185000000])
]


class Money(Schema):
    """An amount in the minor units of its currency."""

    amount: Amount
    currency: Currency


def minor_units(major: Decimal, currency: str) -> int:
    """An amount in major units, as people write it, in minor units.

    Raises:
        ValueError: unknown currency, or more decimals than the currency has.
    """
    digits = exponent(_known(currency))
    assert digits is not None
    minor = major.scaleb(digits)
    if minor != minor.to_integral_value():
        raise ValueError(f"has more than {digits} decimals, which {currency} does not have")
    return int(minor)
