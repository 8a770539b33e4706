"""From the cells of a file to the drafts they describe, through the very models that the API validates with."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, BinaryIO

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from src.core.money import exponent, minor_units
from src.core.strict import UNSAFE_TEXT
from src.imports.errors import DefaultRefusedError, ImportRefusedError, Problem, RowRefusedError
from src.imports.records import Record, Records
from src.listings.kinds import Kind
from src.listings.models import ListingKind
from src.listings.schemas import ListingFields, Location
from src.properties import service as properties
from src.properties.schemas import PropertyCreate, PropertyFields
from src.vehicles import service as vehicles
from src.vehicles.schemas import VehicleCreate, VehicleFields

REQUIRED = ("external_id", "kind", "title", "purpose", "price", "currency")
ROW = "row"
SEPARATOR = ";"
LONGEST_NAME = 60
MOST_COLUMNS = 200

Cells = Mapping[str, str]
# Few enough digits for a Decimal to shift without rounding.
_AMOUNT = re.compile(r"[+-]?[0-9]{1,16}(?:\.[0-9]{1,8})?")
_CURRENCY = re.compile(r"[A-Z]{3}")
# What decoding made of bytes that are not UTF-8.
_UNDECODED = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True, slots=True)
class Form:
    """How rows of one kind become drafts."""

    kind: Kind
    model: type[ListingFields]
    details: frozenset[str]
    draft: Callable[[Any], tuple[ListingFields, dict[str, Any]]]


FORMS: dict[str, Form] = {
    ListingKind.VEHICLE: Form(vehicles.kind, VehicleCreate, frozenset(VehicleFields.model_fields), vehicles.draft),
    ListingKind.PROPERTY: Form(
        properties.kind, PropertyCreate, frozenset(PropertyFields.model_fields), properties.draft
    ),
}

_LOCATION = frozenset(Location.model_fields)
_LISTING = frozenset(ListingFields.model_fields) - {"location"}
_DETAILS = frozenset[str]().union(*(form.details for form in FORMS.values()))
_AMOUNTS = frozenset({"price", "association_fee"})
_LISTS = frozenset({"features", "charge_ports"})
COLUMNS = _LISTING | _LOCATION | _DETAILS | {"kind", "currency"}


@dataclass(frozen=True, slots=True)
class Draft:
    """A row that is in order; `fields` and `details` are what `listings.create` takes."""

    line: int
    external_id: str
    form: Form
    fields: ListingFields
    details: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that is not."""

    line: int
    problems: tuple[Problem, ...]


class Columns:
    """What the cells of a record mean: by the names in the header, with defaults for the empty ones.

    Raises:
        DefaultRefusedError: a default is for no column.
        ImportRefusedError: the header is not one of such a file.
    """

    def __init__(self, names: Sequence[str], defaults: Cells) -> None:
        self.names = names
        self.defaults = defaults
        if strangers := sorted(set(defaults) - COLUMNS):
            raise DefaultRefusedError(f"There is no field {strangers[0]} to give a default for")
        if len(names) > MOST_COLUMNS:
            raise ImportRefusedError(f"The header has more than {MOST_COLUMNS} columns")
        if missing := [name for name in REQUIRED if name not in {*names, *defaults}]:
            raise ImportRefusedError(f"The header lacks {', '.join(missing)}")
        if repeated := [name for name in COLUMNS if names.count(name) > 1]:
            raise ImportRefusedError(f"The header names {', '.join(sorted(repeated))} more than once")

    def read(self, record: Record) -> Draft | Refusal:
        """The draft that a record describes, or what is wrong with it."""
        try:
            return self._draft(record.line, record.cells, record.fault)
        except RowRefusedError as refused:
            return Refusal(record.line, refused.problems)

    def _draft(self, line: int, cells: list[str], fault: str | None) -> Draft:
        if fault is not None:
            raise RowRefusedError([Problem(ROW, fault)])
        values = self._values(cells)
        form = _form(values.get("kind") or self.defaults.get("kind"))
        if strangers := [name for name in values if not _suits(name, form)]:
            raise RowRefusedError([Problem(name, f"does not go with kind {form.kind.name}") for name in strangers])
        values = {name: value for name, value in self.defaults.items() if _suits(name, form)} | values
        fields, details = form.draft(_validated(form, values))
        return Draft(line, values["external_id"], form, fields, details)

    def _values(self, cells: list[str]) -> dict[str, str]:
        """What the row says, by column; an empty cell says nothing."""
        named = dict(zip(self.names, cells, strict=True))
        if unsafe := [Problem(name, _fault(cell)) for name, cell in named.items() if UNSAFE_TEXT.search(cell)]:
            raise RowRefusedError(unsafe)
        return {name: cell.strip() for name, cell in named.items() if name in COLUMNS and cell.strip()}


class Sheet:
    """A CSV file of listings. Its columns are the flat field names of the API; amounts are in major units.

    Raises:
        ImportRefusedError: the header is not one of such a file, or a default is for no column.
    """

    def __init__(self, file: BinaryIO, defaults: Cells) -> None:
        self._file = Records(file)
        self.records = iter(self._file)
        self.columns = Columns(self._read_header(), defaults)

    @property
    def position(self) -> int:
        """How many bytes of the file have been dealt with."""
        return self._file.position

    @property
    def unknown_columns(self) -> list[str]:
        """The columns that are passed over."""
        return [name for name in self.columns.names if name not in COLUMNS]

    def _read_header(self) -> list[str]:
        first = next(self.records, None)
        if first is None:
            raise ImportRefusedError("The file is empty: it needs a header with the names of its columns")
        if first.fault is not None:
            raise ImportRefusedError(f"The header, in line {first.line}, {first.fault}")
        return [_name(cell, number) for number, cell in enumerate(first.cells, 1)]

    def __iter__(self) -> Iterator[Draft | Refusal]:
        for record in self.records:
            yield self.columns.read(record)


def _name(cell: str, number: int) -> str:
    name = UNSAFE_TEXT.sub("\ufffd", cell.strip().lower())[:LONGEST_NAME]
    return name or f"(column {number}, without a name)"


def _fault(cell: str) -> str:
    return "is not UTF-8" if _UNDECODED.search(cell) else "contains a character that cannot be stored"


def _form(kind: str | None) -> Form:
    if kind is None:
        raise RowRefusedError([Problem("kind", "is missing")])
    if kind not in FORMS:
        raise RowRefusedError([Problem("kind", f"is neither {' nor '.join(FORMS)}")])
    return FORMS[kind]


def _suits(column: str, form: Form) -> bool:
    return column in form.details or column not in _DETAILS


def _validated(form: Form, values: Cells) -> ListingFields:
    """The row as the API would take it. Raises RowRefusedError, naming everything that is wrong with it."""
    problems = [Problem(name, "is missing") for name in REQUIRED if name not in values]
    amounts = _amounts(values, problems)
    try:
        data = form.model.model_validate(_document(form, values, amounts))
    except ValidationError as refused:
        problems += [_problem(error) for error in refused.errors() if error["type"] != "missing"]
    if problems:
        raise RowRefusedError(problems)
    return data


def _amounts(values: Cells, problems: list[Problem]) -> dict[str, Any]:
    """The amounts of the row, in minor units; what is wrong with one is added to `problems`."""
    amounts: dict[str, Any] = {}
    currency = values.get("currency", "")
    if currency and not (_CURRENCY.fullmatch(currency) and exponent(currency) is not None):
        problems.append(Problem("currency", "is not an ISO 4217 currency code"))
    elif currency:
        for name in _AMOUNTS & values.keys():
            try:
                amounts[name] = {"amount": _minor_units(values[name], currency), "currency": currency}
            except ValueError as refused:
                problems.append(Problem(name, str(refused)))
    return amounts


def _minor_units(text: str, currency: str) -> int:
    if not _AMOUNT.fullmatch(text):
        raise ValueError("is not an amount such as 1850000 or 22661.05")
    return minor_units(Decimal(text), currency)


def _document(form: Form, values: Cells, amounts: Mapping[str, Any]) -> dict[str, Any]:
    """Flat cells nested as in the API."""
    plain = {name: _split(cell) if name in _LISTS else cell for name, cell in values.items() if name not in _AMOUNTS}
    flat = {**plain, **amounts}
    return {
        **{name: value for name, value in flat.items() if name in _LISTING},
        "location": {name: value for name, value in flat.items() if name in _LOCATION},
        form.kind.name: {name: value for name, value in flat.items() if name in form.details},
    }


def _split(cell: str) -> list[str]:
    return [part.strip() for part in cell.split(SEPARATOR) if part.strip()]


def _problem(error: ErrorDetails) -> Problem:
    columns = [part for part in error["loc"] if part in COLUMNS]
    return Problem(str(columns[-1]) if columns else ROW, error["msg"].removeprefix("Value error, "))
