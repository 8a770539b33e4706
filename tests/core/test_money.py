"""Money is whole minor units of a currency that exists."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from src.core.money import LARGEST_AMOUNT, Money, exponent, minor_units


@pytest.mark.parametrize(
    ("currency", "digits"), [("ETB", 2), ("USD", 2), ("JPY", 0), ("UGX", 0), ("KWD", 3), ("BHD", 3)]
)
def test_P13_minor_units_are_those_of_iso_4217(currency: str, digits: int) -> None:
    assert exponent(currency) == digits
    assert minor_units(Decimal(7), currency) == 7 * 10**digits


@pytest.mark.parametrize("code", ["XXX", "XTS", "ZZZ", "etb", "", "ET", "ETBB", "E B"])
def test_a_code_that_is_no_currency_is_refused(code: str) -> None:
    assert exponent(code) is None
    with pytest.raises(ValidationError):
        Money(amount=1, currency=code)
    with pytest.raises(ValueError, match="is not an ISO 4217 currency code"):
        minor_units(Decimal(1), code)


@pytest.mark.parametrize("amount", [1, LARGEST_AMOUNT - 1, LARGEST_AMOUNT])
def test_amounts_go_up_to_the_largest(amount: int) -> None:
    assert Money(amount=amount, currency="ETB").amount == amount


@pytest.mark.parametrize(
    "amount", [0, -1, LARGEST_AMOUNT + 1, 2**63, 1.0, 0.1, "1", True, None, Decimal(1), float("nan")]
)
def test_P13_an_amount_is_a_whole_number_and_nothing_like_one(amount: Any) -> None:
    with pytest.raises(ValidationError):
        Money(amount=amount, currency="ETB")


@settings(deadline=None)
@given(st.integers(1, LARGEST_AMOUNT), st.sampled_from(["ETB", "JPY", "KWD"]))
def test_P13_major_units_become_minor_units_exactly(amount: int, currency: str) -> None:
    digits = exponent(currency)
    assert digits is not None
    assert minor_units(Decimal(amount).scaleb(-digits), currency) == amount


@pytest.mark.parametrize(("major", "currency"), [("10.005", "ETB"), ("1.5", "JPY"), ("0.0001", "KWD")])
def test_P13_a_fraction_of_a_minor_unit_is_refused(major: str, currency: str) -> None:
    with pytest.raises(ValueError, match="decimals"):
        minor_units(Decimal(major), currency)


@pytest.mark.parametrize("major", ["NaN", "sNaN", "Infinity", "-Infinity"])
def test_P13_what_is_no_number_is_refused(major: str) -> None:
    with pytest.raises((ValueError, ArithmeticError)):
        minor_units(Decimal(major), "ETB")
