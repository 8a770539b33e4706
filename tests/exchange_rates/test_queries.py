"""The SQL over listings in many currencies finds what fractions say, in their order, page by page."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from decimal import Decimal
from fractions import Fraction
from itertools import cycle
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import BigInteger, ColumnElement, Row, Select, bindparam, select
from sqlalchemy.orm import aliased

from src.core import database
from src.exchange_rates import queries, service
from src.exchange_rates.conversion import NO_RATES, Conversion, Place, RateTable
from src.listings.models import Listing, ListingKind
from tests.exchange_rates.rates import add
from tests.factories import property_data, vehicle_data
from tests.listings.published import publish

RATES = {"USD": "0.0064", "EUR": "0.0055", "JPY": "0.99", "KWD": "0.00197"}
# 100.00 birr are exactly 64 cents, 99 yen and 197 fils; KES and GBP have no rate.
PRICES = [
    (10000, "ETB"), (64, "USD"), (99, "JPY"), (197, "KWD"), (55, "EUR"),
    (10001, "ETB"), (9999, "ETB"), (65, "USD"), (63, "USD"), (98, "JPY"), (198, "KWD"),
    (10000, "KES"), (1, "KES"), (5000, "GBP"), (10000, "GBP"), (10**15, "ETB"), (10**15, "KWD"), (1, "JPY"), (1, "ETB"),
]  # fmt: skip

Priced = tuple[UUID, int, str]


@pytest.fixture(name="priced")
async def _priced(storage: None) -> list[Priced]:
    """Each price twice, so that equal ones are told apart by id alone."""
    make = cycle((vehicle_data, property_data))
    drafts = [next(make)(price={"amount": amount, "currency": currency}) for amount, currency in [*PRICES] * 2]
    ids = await publish(*drafts)
    await publish(*drafts[:1])
    return [(UUID(row_id), *price) for row_id, price in zip(ids, [*PRICES] * 2, strict=True)]


@pytest.fixture(name="rates")
async def _rates(storage: None) -> RateTable:
    rate_set = await add(rates=RATES)
    async with database.transaction() as session:
        return await service.table(session, rate_set.id)


def public(*conditions: Any) -> Select[Any]:
    return select(Listing.id).where(Listing.is_public, *conditions)


def in_order(matching: Select[Any], *, is_descending: bool) -> Select[Any]:
    limit: ColumnElement[int] = bindparam("limit", type_=BigInteger)
    return queries.in_price_order(Listing, matching, is_descending=is_descending, limit=limit)


async def page(conversion: Conversion, matching: Select[Any], *, limit: int = 100, **wanted: Any) -> Sequence[Row[Any]]:
    lanes = conversion.lanes(wanted.pop("minimum", None), wanted.pop("maximum", None), **wanted)
    other = aliased(Listing)
    currencies = select(queries.distinct(select(other.currency).where(other.is_public)).c.currency)
    async with database.transaction() as session:
        present = [currency for currency in await session.scalars(currencies) if currency is not None]
        found = in_order(matching, is_descending=lanes.is_descending)
        rows: Sequence[Row[Any]] = (
            await session.execute(found, {**queries.lane_values(lanes, present), "limit": limit})
        ).all()
    return rows


async def walk(conversion: Conversion, matching: Select[Any], *, limit: int, **wanted: Any) -> list[UUID]:
    seen: list[UUID] = []
    behind = None
    while rows := await page(conversion, matching, limit=limit, behind=behind, **wanted):
        seen += [row.id for row in rows]
        behind = Place(rows[-1].is_unrated, rows[-1].key, rows[-1].id)
    return seen


def expected(rows: list[Priced], conversion: Conversion, *, is_descending: bool = False) -> Iterator[UUID]:
    """Rows with a rate by the weights (which sort as fractions do, see test_conversion), then the others."""
    weights = {currency: Fraction(weight) for currency, weight in conversion.weights.items()}
    for is_unrated in (False, True):
        part = [row for row in rows if (row[2] not in weights) == is_unrated]
        part.sort(key=lambda row: (row[1] * weights.get(row[2], Fraction(1)), row[0]), reverse=is_descending)
        yield from (row[0] for row in part)


@pytest.mark.parametrize("is_descending", [False, True])
@pytest.mark.parametrize("asked", ["ETB", "USD", "JPY", "KWD", "GBP", "CHF"])
async def test_pages_have_every_row_once_in_the_order_of_converted_prices(
    asked: str, is_descending: bool, priced: list[Priced], rates: RateTable
) -> None:
    conversion = rates.conversion_to(asked)
    mine = public(Listing.id.in_([row[0] for row in priced]))
    wanted = list(expected(priced, conversion, is_descending=is_descending))
    assert len(wanted) == len(PRICES) * 2
    for limit in (3, 100):
        assert await walk(conversion, mine, limit=limit, is_descending=is_descending) == wanted


async def test_the_key_is_the_converted_price_unrounded(priced: list[Priced], rates: RateTable) -> None:
    conversion = rates.conversion_to("USD")
    prices = {row[0]: row[1:] for row in priced}
    for row in await page(conversion, public(Listing.id.in_(list(prices)))):
        amount, currency = prices[row.id]
        if row.is_unrated:
            assert (currency in RATES, row.key) == (False, amount)
        else:
            assert Fraction(row.key) == amount * Fraction(conversion.weights[currency])
            assert round(row.key) == conversion.convert(amount, currency)


RANGES = [(64, 64), (64, None), (None, 64), (63, 65), (0, 0), (1, 10**15), (65, 64), (10**15, 10**15)]


@pytest.mark.parametrize(("minimum", "maximum"), RANGES)
@pytest.mark.parametrize("asked", ["USD", "GBP"])
async def test_ranges_hold_what_is_exactly_within_and_nothing_without_a_rate(
    asked: str, minimum: int | None, maximum: int | None, priced: list[Priced], rates: RateTable
) -> None:
    conversion = rates.conversion_to(asked)

    def is_wanted(row: Priced) -> bool:
        worth = conversion.worth.get(row[2])
        return worth is not None and (minimum or 0) <= row[1] * worth <= (maximum or (0 if maximum == 0 else 10**40))

    wanted = {row[0] for row in priced if is_wanted(row)}
    mine = public(Listing.id.in_([row[0] for row in priced]))
    for is_descending in (False, True):
        found = await walk(conversion, mine, limit=4, minimum=minimum, maximum=maximum, is_descending=is_descending)
        assert found == list(
            expected([row for row in priced if row[0] in wanted], conversion, is_descending=is_descending)
        )


async def test_other_conditions_are_kept(priced: list[Priced], rates: RateTable) -> None:
    conversion = rates.conversion_to("EUR")
    async with database.transaction() as session:
        homes = set(await session.scalars(public(Listing.kind == ListingKind.PROPERTY)))
    mine = [row for row in priced if row[0] in homes]
    found = await page(conversion, public(Listing.kind == ListingKind.PROPERTY))
    assert [row.id for row in found] == list(expected(mine, conversion))


async def test_without_any_rates_one_currency_comes_first_in_its_order(priced: list[Priced]) -> None:
    conversion = NO_RATES.conversion_to("KES")
    shillings = [row for row in priced if row[2] == "KES"]
    found = await page(conversion, public(), limit=len(shillings))
    assert [row.id for row in found] == list(expected(shillings, conversion))
    assert not any(row.is_unrated for row in found)


async def test_where_nothing_is_public_nothing_is_found(rates: RateTable) -> None:
    assert await page(rates.conversion_to("USD"), public()) == []


async def test_pages_that_began_with_a_set_go_on_with_it(
    priced: list[Priced], rates: RateTable, count_queries: Callable[[], AbstractContextManager[list[str]]]
) -> None:
    assert rates.id is not None
    reversed_rates = {currency: str(1 / Decimal(rate))[:12] for currency, rate in RATES.items()}
    newer = await add(rates=reversed_rates)
    async with database.transaction() as session:
        assert (await service.current_table(session)).id == newer.id
        with count_queries() as statements:
            assert await service.table(session, rates.id) is rates
            assert (await service.current_table(session)).id == newer.id
        assert statements == []
    mine = public(Listing.id.in_([row[0] for row in priced]))
    first = await page(rates.conversion_to("USD"), mine, limit=10)
    behind = Place(first[-1].is_unrated, first[-1].key, first[-1].id)
    rest = await page(rates.conversion_to("USD"), mine, behind=behind)
    assert [row.id for row in [*first, *rest]] == list(expected(priced, rates.conversion_to("USD")))
