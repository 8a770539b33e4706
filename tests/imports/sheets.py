"""CSV files for a test, and what comes of landing them."""

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import select

from src.core import database
from src.imports import landing
from src.imports.landing import Verdict
from src.imports.models import Outcome
from src.imports.sheet import Sheet
from src.listings.models import Listing

DEMO = Path(__file__).parents[2] / "demo"

Row = dict[str, str]


def car(external_id: str, /, **cells: str) -> Row:
    """A vehicle complete enough to publish."""
    return {
        "external_id": external_id,
        "kind": "vehicle",
        "purpose": "sale",
        "title": "Toyota Vitz 2012",
        "price": "1850000",
        "currency": "ETB",
        "country": "ET",
        "city": "Addis Ababa",
        "make": "Toyota",
        "model_year": "2012",
        "mileage": "98000",
    } | cells


def home(external_id: str, /, **cells: str) -> Row:
    """A property complete enough to publish."""
    return {
        "external_id": external_id,
        "kind": "property",
        "purpose": "sale",
        "title": "Two bedrooms in Bole",
        "price": "7200000",
        "currency": "ETB",
        "country": "ET",
        "city": "Addis Ababa",
        "property_type": "residential",
        "living_area_m2": "85.5",
    } | cells


def written(rows: Sequence[Sequence[str]]) -> bytes:
    """Records as a spreadsheet writes them."""
    file = io.StringIO()
    csv.writer(file).writerows(rows)
    return file.getvalue().encode()


def sheet(*rows: Row) -> bytes:
    """A file of rows, with a column for each of their cells."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return written([columns, *([row.get(name, "") for name in columns] for row in rows)])


async def land(content: bytes, owner_id: UUID, defaults: Mapping[str, str] = {}, **options: Any) -> list[Verdict]:
    """The verdicts on a file, in the order in which they are told."""
    batches = landing.land(Sheet(io.BytesIO(content), defaults), owner_id, **options)
    return [verdict async for batch in batches for verdict in batch]


def outcomes(verdicts: Sequence[Verdict]) -> Counter[Outcome]:
    """How often each came out."""
    return Counter(verdict.outcome for verdict in verdicts)


def faults(verdicts: Sequence[Verdict]) -> dict[int, list[str]]:
    """By line, the columns of what is wrong."""
    return {verdict.line: [problem.field for problem in verdict.problems] for verdict in verdicts if verdict.problems}


async def stored(owner_id: UUID) -> dict[str, Listing]:
    """The owner's listings by external id."""
    async with database.transaction() as session:
        found = await session.scalars(select(Listing).where(Listing.owner_id == owner_id))
        return {row.external_id or "": row for row in found}
