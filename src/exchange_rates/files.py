"""Files of exchange rates, for the operator's job: JSON as the API takes it, our CSV, and the ECB's."""

import csv
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from io import StringIO
from itertools import pairwise
from typing import Any, BinaryIO

import orjson
from pydantic import ValidationError

from src.exchange_rates.errors import RatesFileRefused
from src.exchange_rates.schemas import RateSetCreate

LARGEST_FILE = 1_000_000
COLUMNS = ("base", "as_of", "source", "currency", "rate")
_COMMON = COLUMNS[:3]
ECB = "European Central Bank, euro foreign exchange reference rates"
_ECB_DATES = ("%Y-%m-%d", "%d %B %Y")
# What the ECB writes where it has no rate, and what the comma at the end of its lines makes.
_ECB_NOTHING = ("", "N/A")


def read(file: BinaryIO) -> RateSetCreate:
    """The rates that the file holds, as the API would take them.

    JSON: the body of `POST /exchange-rates`. CSV: the columns base, as_of, source, currency and rate, one rate a row;
    or the ECB's eurofxref.csv and eurofxref-hist.csv, whose first row, the latest, is taken.

    Raises:
        RatesFileRefused: naming everything that is wrong with it.
    """
    text = _text(file)
    document = _json(text) if text.lstrip().startswith("{") else _csv(text)
    try:
        return RateSetCreate.model_validate(document)
    except ValidationError as refused:
        raise RatesFileRefused("\n".join(_sentences(refused))) from None


def _text(file: BinaryIO) -> str:
    content = file.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise RatesFileRefused("The file is larger than a megabyte, which is no table of exchange rates")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RatesFileRefused("The file is not UTF-8") from None


def _json(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as refused:
        raise RatesFileRefused(f"The file is not JSON: {refused}") from None


def _csv(text: str) -> Mapping[str, Any]:
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader(StringIO(text), strict=True) if any(row)]
    except csv.Error as refused:
        raise RatesFileRefused(f"The file is not CSV: {refused}") from None
    if len(rows) < 2:
        raise RatesFileRefused("The file needs a header and at least one row")
    header, *rows = rows
    if any(len(row) != len(header) for row in rows):
        raise RatesFileRefused("The rows have not all as many cells as the header")
    return _ecb(header, rows[0]) if header[0] == "Date" else _ours(header, rows)


def _ours(header: list[str], rows: Iterable[list[str]]) -> Mapping[str, Any]:
    if sorted(header) != sorted(COLUMNS):
        raise RatesFileRefused(f"The header must name {', '.join(COLUMNS)}; or be the ECB's, from Date on")
    records = [dict(zip(header, row, strict=True)) for row in rows]
    common = [{name: record[name] for name in _COMMON} for record in records]
    if any(one != other for one, other in pairwise(common)):
        raise RatesFileRefused("All rows must have the same base, as_of and source")
    return {**common[0], "rates": _rates((record["currency"], record["rate"]) for record in records)}


def _ecb(header: list[str], row: list[str]) -> Mapping[str, Any]:
    cells = zip(header[1:], row[1:], strict=True)
    rates = _rates((currency, rate) for currency, rate in cells if rate not in _ECB_NOTHING)
    return {"base": "EUR", "as_of": _ecb_date(row[0]), "source": ECB, "rates": rates}


def _ecb_date(text: str) -> str:
    for form in _ECB_DATES:
        with suppress(ValueError):
            return datetime.strptime(text, form).replace(tzinfo=UTC).date().isoformat()
    return text


def _rates(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    rates: dict[str, str] = {}
    for currency, rate in pairs:
        if currency in rates:
            raise RatesFileRefused(f"{currency} has more than one rate")
        rates[currency] = rate
    return rates


def _sentences(refused: ValidationError) -> Iterable[str]:
    for error in refused.errors():
        place = ".".join(str(part) for part in error["loc"] if part != "[key]") or "file"
        yield f"{place}: {error['msg'].removeprefix('Value error, ')}"
