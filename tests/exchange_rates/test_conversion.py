"""Conversion is exact: everything agrees with fractions."""

from decimal import Decimal
from fractions import Fraction
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from src.core.money import LARGEST_AMOUNT, exponent
from src.exchange_rates.conversion import FIRST_ID, LAST_ID, NO_RATES, Conversion, Lane, Place, RateTable

SET_ID = UUID(int=7)
CURRENCIES = ("ETB", "USD", "EUR", "JPY", "KWD", "UGX")

amounts = st.integers(1, LARGEST_AMOUNT)
limits = st.one_of(st.none(), st.integers(0, LARGEST_AMOUNT))
exact_rates = st.decimals("0.000000000001", "999999999999.999999999999", places=12)
plain_rates = st.sampled_from([Decimal(text) for text in ("1", "2", "0.5", "0.0064", "156.25", "3", "7.1")])
tables = st.dictionaries(
    st.sampled_from(CURRENCIES[1:]), st.one_of(plain_rates, exact_rates), min_size=1, max_size=5
).map(lambda rates: RateTable.of(SET_ID, "ETB", rates))
ids = st.one_of(st.sampled_from([FIRST_ID, LAST_ID]), st.uuids())


def conversions(asked: str = "USD") -> st.SearchStrategy[Conversion]:
    return tables.map(lambda table: table.conversion_to(asked))


def table(**rates: str) -> RateTable:
    return RateTable.of(SET_ID, "ETB", {currency: Decimal(rate) for currency, rate in rates.items()})


@pytest.mark.parametrize(
    ("amount", "currency", "asked", "converted"),
    [
        (100_00, "ETB", "USD", 64),
        (64, "USD", "ETB", 100_00),
        (100_00, "ETB", "JPY", 99),
        (99, "JPY", "ETB", 100_00),
        (100_00, "ETB", "KWD", 197),
        (197, "KWD", "USD", 64),
        (64, "USD", "JPY", 99),
        (5, "USD", "USD", 5),
        (78, "ETB", "USD", 0),
        (79, "ETB", "USD", 1),
        (LARGEST_AMOUNT, "KWD", "JPY", 502538071065990),
    ],
)
def test_P13_minor_units_are_those_of_each_currency(amount: int, currency: str, asked: str, converted: int) -> None:
    rates = table(USD="0.0064", JPY="0.99", KWD="0.00197")
    assert rates.conversion_to(asked).convert(amount, currency) == converted


def test_a_half_is_rounded_to_even() -> None:
    conversion = table(USD="0.5").conversion_to("USD")
    assert [conversion.convert(amount, "ETB") for amount in (1, 2, 3, 4, 5)] == [0, 1, 2, 2, 2]


@given(rate=exact_rates, amount=amounts, currency=st.sampled_from(CURRENCIES[1:]))
def test_factors_are_the_rates_shifted_by_the_minor_units(rate: Decimal, amount: int, currency: str) -> None:
    rates = RateTable.of(SET_ID, "ETB", {currency: rate})
    digits = exponent(currency)
    assert digits is not None
    assert amount * rates.factors[currency] == Fraction(amount, 100) * Fraction(rate) * 10**digits


@given(table=tables, asked=st.sampled_from(CURRENCIES), minimum=limits, maximum=limits, amount=amounts)
def test_a_price_is_in_range_if_and_only_if_its_exact_conversion_is(
    table: RateTable, asked: str, minimum: int | None, maximum: int | None, amount: int
) -> None:
    conversion = table.conversion_to(asked)
    prices = conversion.price_range(minimum, maximum)
    lanes = [conversion.lanes(minimum, maximum, is_descending=way).rated for way in (False, True)]
    for currency, low, high in zip(prices.currencies, prices.lows, prices.highs, strict=True):
        factor = table.factors.get(currency, Fraction(1))
        edges = {low - 1, low, low + 1, high - 1, high, high + 1, amount}
        for price in {edge for edge in edges if 1 <= edge <= LARGEST_AMOUNT}:
            converted = price / factor * table.factors.get(asked, Fraction(1))
            is_wanted = (minimum or 0) <= converted and (maximum is None or converted <= maximum)
            assert (low <= price <= high) == is_wanted
            for way, lane in enumerate(lanes):
                assert is_in(lane[currency], price, SET_ID, is_up=not way) == is_wanted


def is_in(lane: Lane, amount: int, row_id: UUID, *, is_up: bool) -> bool:
    """As the SQL decides it."""
    here, start = (amount, row_id), (lane.start, lane.start_id)
    return (here > start and amount <= lane.end) if is_up else (here < start and amount >= lane.end)


@given(
    conversion=conversions(),
    one=st.tuples(st.sampled_from(CURRENCIES), amounts, ids),
    other=st.tuples(st.sampled_from(CURRENCIES), amounts, ids),
    is_descending=st.booleans(),
    is_near=st.booleans(),
)
def test_a_lane_begins_exactly_behind_the_place(
    conversion: Conversion,
    one: tuple[str, int, UUID],
    other: tuple[str, int, UUID],
    is_descending: bool,
    is_near: bool,
) -> None:
    (left, amount, left_id), (right, price, right_id) = one, other
    assume({left, right} <= conversion.worth.keys())
    weights = {currency: Fraction(weight) for currency, weight in conversion.weights.items()}
    if is_near:  # where the price of one is about that of the other
        price = min(max(1, int(amount * weights[left] / weights[right])), LARGEST_AMOUNT)
    key = exact_product(amount, conversion.weights[left])
    lanes = conversion.lanes(None, None, behind=Place(False, key, left_id), is_descending=is_descending)
    lane = lanes.rated[right]
    assert -(2**63) <= lane.start < 2**63
    before, after = (amount * weights[left], left_id), (price * weights[right], right_id)
    is_behind = after < before if is_descending else after > before
    assert is_in(lane, price, right_id, is_up=not is_descending) == is_behind
    assert is_in(lanes.unrated, price, right_id, is_up=not is_descending)


def exact_product(amount: int, weight: Decimal) -> Decimal:
    """As PostgreSQL multiplies numerics."""
    sign, digits, shift = weight.as_tuple()
    assert isinstance(shift, int)
    assert sign == 0
    product = amount * int("".join(map(str, digits)))
    return Decimal((0, tuple(map(int, str(product))), shift))


@given(conversion=conversions(), rows=st.lists(st.tuples(st.sampled_from(CURRENCIES), amounts), min_size=2, max_size=6))
def test_weights_sort_as_exact_conversions_do(conversion: Conversion, rows: list[tuple[str, int]]) -> None:
    known = [(currency, amount) for currency, amount in rows if currency in conversion.worth]
    for left, amount in known:
        for right in conversion.worth:
            # The two prices of that currency next to this one, where an error would show first.
            about = int(amount * conversion.worth[left] / conversion.worth[right])
            for price in (about, about + 1):
                if not 1 <= price <= LARGEST_AMOUNT:
                    continue
                exact = amount * conversion.worth[left] - price * conversion.worth[right]
                weighed = amount * Fraction(conversion.weights[left]) - price * Fraction(conversion.weights[right])
                assert exact == 0 or (weighed != 0 and (weighed > 0) == (exact > 0))


@pytest.mark.parametrize("more", [1, -1])
def test_weights_tell_apart_the_closest_prices_that_there_can_be(more: int) -> None:
    dollars, euros = LARGEST_AMOUNT, LARGEST_AMOUNT - 1
    # The longest rates at which the one is worth more, or less, than the other by the least that 24 digits allow.
    euro = more * pow(dollars, -1, euros) % euros + 999_999_999 * euros
    dollar = (dollars * euro - more) // euros
    shifted = {"USD": Decimal(dollar).scaleb(-12), "EUR": Decimal(euro).scaleb(-12)}
    conversion = RateTable.of(SET_ID, "ETB", shifted).conversion_to("ETB")
    worth, weights = conversion.worth, {name: Fraction(weight) for name, weight in conversion.weights.items()}
    assert 0 < more * (dollars * worth["USD"] / (euros * worth["EUR"]) - 1) < Fraction(1, 10**38)
    assert more * (dollars * weights["USD"] - euros * weights["EUR"]) > 0


@given(amount=amounts, row_id=ids, is_descending=st.booleans())
def test_behind_a_row_without_a_rate_there_are_only_such_rows(amount: int, row_id: UUID, is_descending: bool) -> None:
    conversion = table(USD="0.0064").conversion_to("USD")
    place = Place(True, Decimal(amount), row_id)
    lanes = conversion.lanes(None, None, behind=place, is_descending=is_descending)
    for price in (1, amount, LARGEST_AMOUNT):
        assert not any(is_in(lane, price, SET_ID, is_up=not is_descending) for lane in lanes.rated.values())
    assert not is_in(lanes.unrated, amount, row_id, is_up=not is_descending)
    assert is_in(lanes.unrated, amount + (-1 if is_descending else 1), row_id, is_up=not is_descending) == (
        1 <= amount + (-1 if is_descending else 1) <= LARGEST_AMOUNT
    )


@pytest.mark.parametrize("rates", [NO_RATES, table(USD="0.0064")], ids=["none", "others"])
def test_a_currency_is_itself_without_any_rate(rates: RateTable) -> None:
    conversion = rates.conversion_to("KES")
    assert conversion.convert(125, "KES") == 125
    assert conversion.convert(125, "USD") is None
    prices = conversion.price_range(100, 200)
    assert (prices.currencies, prices.lows, prices.highs) == (["KES"], [100], [200])


def test_a_price_that_is_asked_for_leaves_out_what_has_no_rate() -> None:
    conversion = table(USD="0.0064").conversion_to("USD")
    for minimum, maximum in ((1, None), (None, LARGEST_AMOUNT), (0, 0)):
        for way in (False, True):
            lane = conversion.lanes(minimum, maximum, is_descending=way).unrated
            assert not any(is_in(lane, price, SET_ID, is_up=not way) for price in (1, 100, LARGEST_AMOUNT))
