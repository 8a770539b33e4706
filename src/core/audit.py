"""The audit log: who did what to whom, from where. Append-only; a trigger refuses the rest."""

from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from src.core import clock
from src.core.database import Base, new_id


class AuditEntry(Base):
    """One act worth answering for."""

    __tablename__ = "audit_log"
    __table_args__ = (Index("ix_audit_log_subject_id_occurred_at", "subject_id", "occurred_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    occurred_at: Mapped[datetime]
    action: Mapped[str]
    actor_id: Mapped[UUID | None]
    subject_id: Mapped[UUID | None]
    ip: Mapped[str | None]
    request_id: Mapped[str | None]
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)


def record(session: AsyncSession, action: str, *, actor_id: UUID | None, subject_id: UUID | None, **data: Any) -> None:
    """Add an entry to the caller's transaction. `data` holds no secrets and no personal values.

    A denial that rolls its request back records itself in `database.independent()`.
    """
    context = structlog.contextvars.get_contextvars()
    session.add(
        AuditEntry(
            occurred_at=clock.now(),
            action=action,
            actor_id=actor_id,
            subject_id=subject_id,
            ip=context.get("ip"),
            request_id=context.get("request_id"),
            data=data,
        )
    )
