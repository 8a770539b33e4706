"""Imports through the API: what was asked for, the parts that have yet to land, and what became of each row."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from src.core.database import Base, new_id
from src.listings.models import one_of


class ImportStatus(StrEnum):
    """Where an import is."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"


class Outcome(StrEnum):
    """What became of a row."""

    PUBLISHED = "published"
    PENDING_REVIEW = "pending_review"
    DRAFT = "draft"
    UNCHANGED = "unchanged"
    FAILED = "failed"

    @property
    def is_landed(self) -> bool:
        """Whether there is a new listing."""
        return self not in (Outcome.UNCHANGED, Outcome.FAILED)


class Import(Base):
    """A file of listings that somebody sent, and how far it has got."""

    __tablename__ = "imports"
    __table_args__ = (Index("ix_imports_owner_id_id", "owner_id", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    owner_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    columns: Mapped[list[str]]
    defaults: Mapped[dict[str, str]] = mapped_column(JSONB)
    is_draft: Mapped[bool]
    rows_total: Mapped[int]
    counts: Mapped[dict[str, int]] = mapped_column(JSONB)
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    # When its last part landed.
    progressed_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None] = mapped_column(index=True)
    failure: Mapped[str | None]

    @property
    def rows_done(self) -> int:
        """How many rows have their verdict."""
        return sum(self.counts.values())

    @property
    def progress(self) -> float:
        """The share of the rows that is done."""
        return self.rows_done / self.rows_total

    @property
    def status(self) -> ImportStatus:
        """Told by what has happened to it."""
        if self.finished_at is not None:
            return ImportStatus.FINISHED if self.failure is None else ImportStatus.FAILED
        return ImportStatus.QUEUED if self.started_at is None else ImportStatus.RUNNING


class ImportPart(Base):
    """Some records in a row, as `parts` packs them; it goes in the transaction in which they land."""

    __tablename__ = "import_parts"

    import_id: Mapped[UUID] = mapped_column(ForeignKey("imports.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    content: Mapped[bytes]


class ImportVerdict(Base):
    """What became of the row that starts on a line; its listing may have been deleted since."""

    __tablename__ = "import_verdicts"
    __table_args__ = (one_of("outcome", Outcome),)

    import_id: Mapped[UUID] = mapped_column(ForeignKey("imports.id"), primary_key=True)
    line: Mapped[int] = mapped_column(primary_key=True)
    outcome: Mapped[str]
    listing_id: Mapped[UUID | None]
    problems: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
