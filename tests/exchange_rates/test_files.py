"""Which files of exchange rates are read, and what is said of the others."""

import io
import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from src.exchange_rates import files
from src.exchange_rates.errors import RatesFileRefused
from src.exchange_rates.schemas import RateSetCreate
from tests.exchange_rates.rates import rate_data
from tests.imports.sheets import DEMO

HEADER = "base,as_of,source,currency,rate\n"
# The first lines of what the ECB publishes as eurofxref.csv and eurofxref-hist.csv; the figures are made up.
ECB_DAY = "Date, USD, JPY, BGN, GBP, \n20 November 2026, 1.1520, 181.03, N/A, 0.88090, \n"
ECB_HISTORY = "Date,USD,JPY,CYP,GBP,\n2026-11-20,1.1520,181.03,N/A,0.88090,\n2026-11-19,1.1,180,N/A,0.9,\n"


def read(content: str | bytes) -> RateSetCreate:
    return files.read(io.BytesIO(content if isinstance(content, bytes) else content.encode()))


def test_json_is_what_the_api_takes() -> None:
    assert read(json.dumps(rate_data())) == RateSetCreate.model_validate(rate_data())


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_csv_says_the_same_in_rows(mark: str) -> None:
    rows = 'ETB,2026-11-20,"Bank, National",USD,0.0064\n ETB ,2026-11-20,"Bank, National",JPY, 0.99\n\n'
    assert read(mark + HEADER + rows) == RateSetCreate.model_validate(
        rate_data(as_of="2026-11-20", source="Bank, National", rates={"USD": "0.0064", "JPY": "0.99"})
    )


@pytest.mark.parametrize("text", [ECB_DAY, ECB_HISTORY, ECB_DAY.replace("\n", "\r\n")])
def test_the_latest_row_of_the_ecb_is_taken(text: str) -> None:
    made = read(text)
    assert (made.base, made.as_of, made.source) == ("EUR", date(2026, 11, 20), files.ECB)
    assert made.rates == {"USD": Decimal("1.152"), "JPY": Decimal("181.03"), "GBP": Decimal("0.8809")}


def test_the_demo_says_that_its_figures_are_none_of_a_market() -> None:
    made = read((DEMO / "exchange_rates.json").read_bytes())
    assert made.source == "Key2Key demo figures, not market rates"
    assert {"USD", "EUR", "GBP", "KES", "JPY", "KWD"} <= set(made.rates)


def our_csv(*rows: str) -> str:
    return HEADER + "\n".join(rows)


REFUSED: list[tuple[str | bytes, str]] = [
    ("", "needs a header and at least one row"),
    (HEADER, "needs a header and at least one row"),
    ("Date, USD\n", "needs a header and at least one row"),
    ("{", "is not JSON"),
    (json.dumps(rate_data(rates={"USD": "1e5"})), "rates.USD: must be a decimal in quotes"),
    (json.dumps(rate_data(rates={"XXX": "1"})), "rates.XXX: is not an ISO 4217 currency code"),
    (json.dumps(rate_data(more=1)), "more: Extra inputs are not permitted"),
    (b"\xff\xfe", "is not UTF-8"),
    (b"x" * (files.LARGEST_FILE + 1), "larger than a megabyte"),
    ("base,as_of,source,currency\nETB,2026-11-20,B,USD\n", "header must name base, as_of, source, currency, rate"),
    ("base,as_of,source,currency,rate,rate\nETB,2026-11-20,B,USD,1,1\n", "header must name"),
    (our_csv("ETB,2026-11-20,B,USD"), "not all as many cells as the header"),
    (our_csv("ETB,2026-11-20,B,USD,1", "ETB,2026-11-19,B,JPY,1"), "same base, as_of and source"),
    (our_csv("ETB,2026-11-20,B,USD,1", "ETB,2026-11-20,B,USD,1"), "USD has more than one rate"),
    (our_csv("ETB,2026-11-20,B,USD,0"), "rates.USD: Input should be greater than 0"),
    (our_csv("ETB,2026-11-20,B,USD,nan"), "rates.USD: must be a decimal"),
    (our_csv('ETB,2026-11-20,"B"x,USD,1'), "is not CSV"),
    ("Date, USD, \n20 Brumaire 2026, 1.1, \n", "as_of: must be a date"),
    ("Date, USD, \n2026-11-20, N/A, \n", "rates: Dictionary should have at least 1 item"),
    ("Date, USD, USD\n2026-11-20, 1, 2\n", "USD has more than one rate"),
    ("\x00", "needs a header"),
]


@pytest.mark.parametrize(("content", "reason"), REFUSED, ids=lambda value: str(value)[:30])
def test_what_cannot_be_read_is_refused_with_a_reason(content: Any, reason: str) -> None:
    with pytest.raises(RatesFileRefused) as refused:
        read(content)
    assert reason in str(refused.value)
