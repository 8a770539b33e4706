"""What the API says about imports."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from src.core.pagination import CursorText, PageQuery
from src.core.schemas import Instant, Schema
from src.imports.models import ImportStatus, Outcome

_Default = Annotated[
    str, Field(max_length=500, pattern="^[a-z0-9_]+=.+$", description="FIELD=VALUE", examples=["city=Adama"])
]
_Count = Annotated[int, Field(ge=0, le=100_000)]


class ImportOptions(Schema):
    """How to read the rows of a file, and what to do with them."""

    draft: bool = Field(False, description="Land the rows as drafts and publish nothing")
    default: list[_Default] = Field([], max_length=40, description="For rows that leave the field empty")

    @property
    def defaults(self) -> dict[str, str]:
        """By field; of two, the last."""
        return {name: value for name, _, value in (pair.partition("=") for pair in self.default)}


class VerdictQuery(PageQuery):
    """Which verdicts to read."""

    outcome: list[Outcome] = Field([], max_length=5, description="All, unless named")


class ImportCounts(Schema):
    """How many rows came out how."""

    published: _Count
    pending_review: _Count
    draft: _Count
    unchanged: _Count = Field(description="The owner had a listing with the `external_id` already")
    failed: _Count


class ImportRead(Schema):
    """How far an import has got."""

    id: UUID
    status: ImportStatus
    failure: str | None = Field(max_length=200, description="Why it failed; what has landed stays")
    is_draft: bool
    unknown_columns: list[Annotated[str, Field(max_length=60)]] = Field(
        max_length=100, description="Columns that no field goes by: they are passed over"
    )
    rows_total: _Count
    rows_done: _Count
    progress: float = Field(ge=0, le=1, description="`rows_done` of `rows_total`")
    counts: ImportCounts
    created_at: Instant
    started_at: Instant | None
    finished_at: Instant | None


class RowProblem(Schema):
    """What is wrong with a row, or is needed to publish it."""

    field: str = Field(max_length=60, description="The column; `row`: the row as a whole", examples=["price"])
    reason: str = Field(max_length=2000, examples=["is missing"])


class RowVerdict(Schema):
    """What became of a row."""

    line: int = Field(ge=1, le=2**31 - 1, description="The line of the file on which it starts")
    outcome: Outcome
    listing_id: UUID | None = Field(description="Its listing, new or unchanged; it may have been deleted since")
    problems: list[RowProblem] = Field(max_length=100)


class ImportDetail(ImportRead):
    """How far an import has got, and a page of the verdicts on its rows, by line."""

    verdicts: list[RowVerdict] = Field(max_length=100)
    next_cursor: CursorText | None
