"""Converting prices, exactly: nothing that is compared or sorted has been rounded, and there is no float.

Amounts are integers of minor units, of which currencies have different numbers (JPY 0, ETB 2, KWD 3).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from functools import cached_property
from uuid import UUID

from src.core.money import LARGEST_AMOUNT, exponent

# Two prices (15 digits) at two rates (24 digits) that differ at all differ by more than one part in 10^40, so weights
# of 50 digits never change their order. `tests/exchange_rates/test_conversion.py` compares with fractions.
PRECISION = Context(prec=50)


@dataclass(frozen=True, eq=False)
class RateTable:
    """The rates of one set, ready to calculate with; of no set (`id` None), where there is none yet.

    `factors`: how many minor units of each currency are one minor unit of the base, itself among them.
    """

    id: UUID | None
    factors: Mapping[str, Fraction]

    @classmethod
    def of(cls, set_id: UUID, base: str, rates: Mapping[str, Decimal]) -> "RateTable":
        """The table of a set whose `rates` are major units for one major unit of `base`."""
        all_rates = {**rates, base: Decimal(1)}
        return cls(set_id, {currency: Fraction(rate) * _minor(currency, base) for currency, rate in all_rates.items()})

    def conversion_to(self, asked: str) -> "Conversion":
        """Into the asked currency: from all that the set has if it has that one, else from itself alone."""
        if asked not in self.factors:
            return Conversion(asked, {asked: Fraction(1)})
        return Conversion(asked, {currency: self.factors[asked] / factor for currency, factor in self.factors.items()})


NO_RATES = RateTable(None, {})


def _minor(currency: str, base: str) -> Fraction:
    """A rate of major units times this is one of minor units."""
    digits, base_digits = exponent(currency), exponent(base)
    assert digits is not None
    assert base_digits is not None
    return Fraction(10) ** (digits - base_digits)


@dataclass(frozen=True)
class Place:
    """The sort keys of a row in the order of converted prices; rows without a rate come last, both ways."""

    is_unrated: bool
    key: Decimal
    id: UUID


@dataclass(frozen=True)
class PriceRange:
    """In each currency that has a rate, from which to which amount; columns for `unnest` or `array_position`."""

    currencies: list[str]
    lows: list[int]
    highs: list[int]


@dataclass(frozen=True)
class Lane:
    """The part of one currency's prices in which the next rows are: behind `(start, start_id)`, up to `end`."""

    weight: Decimal
    start: int
    start_id: UUID
    end: int


@dataclass(frozen=True)
class Lanes:
    """Those of the currencies that have a rate, and the one of all the others."""

    rated: Mapping[str, Lane]
    unrated: Lane
    is_descending: bool


FIRST_ID, LAST_ID = UUID(int=0), UUID(int=2**128 - 1)
_ANYTHING, _NOTHING = (1, LARGEST_AMOUNT), (LARGEST_AMOUNT + 1, 0)


@dataclass(frozen=True)
class Conversion:
    """Into `asked`. `worth`: how many minor units of it one minor unit of each currency is."""

    asked: str
    worth: Mapping[str, Fraction]

    @cached_property
    def weights(self) -> dict[str, Decimal]:
        """`worth` to 50 digits: amounts times these sort as converted prices do."""
        return {
            currency: PRECISION.divide(Decimal(worth.numerator), Decimal(worth.denominator))
            for currency, worth in self.worth.items()
        }

    def convert(self, amount: int, currency: str) -> int | None:
        """The amount in minor units of the asked currency, to show: rounded half to even. None without a rate."""
        return round(amount * self.worth[currency]) if currency in self.worth else None

    def price_range(self, minimum: int | None, maximum: int | None) -> PriceRange:
        """The prices that are at least `minimum` and at most `maximum` minor units of the asked currency, unrounded."""
        return PriceRange(
            list(self.worth),
            [_lowest(minimum, worth) for worth in self.worth.values()],
            [_highest(maximum, worth) for worth in self.worth.values()],
        )

    def lanes(
        self, minimum: int | None, maximum: int | None, *, behind: Place | None = None, is_descending: bool = False
    ) -> Lanes:
        """Where in each currency the rows of the next page begin and end, `behind` the last row of the page before.

        Rows without a rate come last, by their bare amounts; if a price is asked for, they are left out.
        """
        prices = self.price_range(minimum, maximum)
        is_past_rated = behind is not None and behind.is_unrated
        rated = {}
        for currency, *amounts in zip(prices.currencies, prices.lows, prices.highs, strict=True):
            low, high = _NOTHING if is_past_rated else amounts
            start = None if is_past_rated else behind
            rated[currency] = _lane(self.weights[currency], low, high, start, is_descending=is_descending)
        low, high = _ANYTHING if minimum is None and maximum is None else _NOTHING
        start = behind if is_past_rated else None
        return Lanes(rated, _lane(Decimal(1), low, high, start, is_descending=is_descending), is_descending)


def _lowest(minimum: int | None, worth: Fraction) -> int:
    # Rounded up, all in integers.
    return 1 if minimum is None else min(max(1, -(-minimum * worth.denominator // worth.numerator)), LARGEST_AMOUNT + 1)


def _highest(maximum: int | None, worth: Fraction) -> int:
    return LARGEST_AMOUNT if maximum is None else min(maximum * worth.denominator // worth.numerator, LARGEST_AMOUNT)


def _lane(weight: Decimal, low: int, high: int, behind: Place | None, *, is_descending: bool) -> Lane:
    if is_descending:
        starts = [(high + 1, FIRST_ID)] + ([_below(behind, weight)] if behind else [])
        return Lane(weight, *min(starts), low)
    starts = [(low - 1, LAST_ID)] + ([_above(behind, weight)] if behind else [])
    return Lane(weight, *max(starts), high)


def _above(place: Place, weight: Decimal) -> tuple[int, UUID]:
    """What all `(amount, id)` of this weight that sort behind the place are greater than."""
    amount, rest = divmod(Fraction(place.key), Fraction(weight))
    return _within(amount), LAST_ID if rest else place.id


def _below(place: Place, weight: Decimal) -> tuple[int, UUID]:
    """What all `(amount, id)` of this weight that sort behind the place, downwards, are less than."""
    amount, rest = divmod(Fraction(place.key), Fraction(weight))
    return (_within(amount + 1), FIRST_ID) if rest else (_within(amount), place.id)


def _within(amount: int) -> int:
    """An amount that a bigint holds, on the same side of every price."""
    return max(0, min(amount, LARGEST_AMOUNT + 1))
