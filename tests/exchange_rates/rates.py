"""Exchange rates for a test."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from src.core import clock, database
from src.exchange_rates import service
from src.exchange_rates.models import RateSet
from src.exchange_rates.schemas import RateSetCreate

PATH = "/api/v1/exchange-rates"


def today() -> date:
    return clock.now().date()


def rate_data(**overrides: Any) -> dict[str, Any]:
    """What an administrator would post."""
    return {
        "base": "ETB",
        "as_of": (today() - timedelta(days=1)).isoformat(),
        "source": "National Bank of Ethiopia",
        "rates": {"USD": "0.0064", "JPY": "0.99", "KWD": "0.00197"},
    } | overrides


async def add(created_by: UUID | None = None, **overrides: Any) -> RateSet:
    """A set that a job has added."""
    async with database.transaction() as session:
        return await service.create(session, RateSetCreate.model_validate(rate_data(**overrides)), created_by)


def figures(rate_set: RateSet) -> dict[str, Decimal]:
    return {rate.currency: rate.rate for rate in rate_set.rates}
