"""Prices of many currencies, as a search asks for them in one (ADR 0008)."""

import time
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, Text, and_, bindparam, false, or_, select
from sqlalchemy.orm import aliased

from src.core import database
from src.core.pagination import bad_cursor
from src.core.reads import Reader, Statement, compiled
from src.exchange_rates import service as exchange_rates
from src.exchange_rates.conversion import NO_RATES, Conversion, Place, RateTable
from src.exchange_rates.errors import ExchangeRatesNotFound
from src.exchange_rates.queries import distinct, lane_values
from src.listings.filters import ListingSearch
from src.listings.models import Listing

ORDERS = ("price_asc", "price_desc")
# How long a process may not know that there are listings in a currency that there were none in.
CACHE_SECONDS = 3.0

_present: tuple[str, ...] = ()
_present_until = 0.0


def are_asked(search: ListingSearch) -> bool:
    """Whether the search compares prices, sorts by them or counts them."""
    return search.order() in ORDERS or are_limited(search) or "price" in search.counted()


def are_limited(search: ListingSearch) -> bool:
    """Whether the search compares prices."""
    return search.price_min is not None or search.price_max is not None


@dataclass(frozen=True, slots=True)
class Prices:
    """What prices are compared by: `rates` is the id of a set of them, empty where there are none yet."""

    rates: str
    conversion: Conversion
    # Those that there are, with and without a rate.
    present: tuple[str, ...]

    @property
    def currencies(self) -> list[str]:
        """Those that have a rate."""
        return list(self.conversion.worth)

    def values(self, search: ListingSearch, last: list[Any]) -> dict[str, Any]:
        """The values that `are_within` and `PriceOrder` name; `last` are the sort keys that a page begins behind."""
        limits = search.price_min, search.price_max
        named: dict[str, Any] = {}
        if search.order() in ORDERS:
            behind = Place(*last) if last else None
            lanes = self.conversion.lanes(*limits, behind=behind, is_descending=search.order() == "price_desc")
            named |= lane_values(lanes, self.present)
        if "price" in search.counted():
            weights = self.conversion.weights
            named |= {"priced_currencies": list(weights), "priced_weights": list(weights.values())}
        return named | self.limits(search)

    def limits(self, search: ListingSearch) -> dict[str, Any]:
        """The values that `are_within` names."""
        named: dict[str, Any] = {}
        ranges = self.conversion.price_range(search.price_min, search.price_max)
        each = zip(ranges.currencies, ranges.lows, ranges.highs, strict=True)
        for number, (currency, low, high) in enumerate(each):
            named |= {f"price_currency_{number}": currency, f"price_low_{number}": low, f"price_high_{number}": high}
        return named


def ranges(currencies: int) -> list[ColumnElement[bool]]:
    """Where the price is in the range of its currency, for each of so many, spelled out for the planner to judge."""
    return [
        and_(
            Listing.currency == bindparam(f"price_currency_{number}", type_=Text),
            Listing.price_amount.between(
                bindparam(f"price_low_{number}", type_=BigInteger), bindparam(f"price_high_{number}", type_=BigInteger)
            ),
        )
        for number in range(currencies)
    ]


def are_within(currencies: int) -> ColumnElement[bool]:
    """Where the price is in one of the `ranges`."""
    return or_(false(), *ranges(currencies))


async def asked(reader: Reader, search: ListingSearch, rates: str, *, is_continued: bool) -> Prices:
    """What this search compares by: the current rates; or, on later pages, those of the first one.

    Raises:
        BadCursor: there are no such rates any more.
    """
    table = await _table(UUID(rates) if rates else None) if rates or not is_continued else NO_RATES
    # Converted to whichever currency, prices stand in the same order.
    currency = search.currency or next(iter(table.factors), "")
    present = await _currencies(reader)
    return Prices(str(table.id or ""), _conversion(table, currency, present), present)


@lru_cache(maxsize=500)
def _conversion(table: RateTable, asked: str, present: tuple[str, ...]) -> Conversion:
    """Of the currencies that there are alone: what it calculates is kept with it."""
    worth = table.conversion_to(asked).worth
    return Conversion(asked, {currency: worth[currency] for currency in present if currency in worth})


async def _table(set_id: UUID | None) -> RateTable:
    if known := exchange_rates.known_table(set_id):
        return known
    async with database.transaction() as session:
        if set_id is None:
            return await exchange_rates.current_table(session)
        try:
            return await exchange_rates.table(session, set_id)
        except ExchangeRatesNotFound:
            # As after an older state of the database was restored.
            raise bad_cursor() from None


async def _currencies(reader: Reader) -> tuple[str, ...]:
    global _present, _present_until  # noqa: PLW0603 - one cache per process
    if time.monotonic() >= _present_until:
        found = await reader.fetch(_present_currencies(), {})
        _present = tuple(row["currency"] for row in found if row["currency"] is not None)
        _present_until = time.monotonic() + CACHE_SECONDS
    return _present


@cache
def _present_currencies() -> Statement:
    other = aliased(Listing)
    return compiled(select(distinct(select(other.currency).where(other.is_public)).c.currency))


def forget() -> None:
    """Ask the database, the next time, which currencies there are."""
    global _present_until  # noqa: PLW0603
    _present_until = 0.0
