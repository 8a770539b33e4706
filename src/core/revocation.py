"""Ends access before a token expires: tokens of a user or session issued up to `not_before` are void.

The table is read through a cache of a few seconds in each process; committing a revocation clears it at once here.
"""

import time
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import event, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from src.core import clock
from src.core.config import settings
from src.core.database import Base, transaction
from src.core.security import Actor

CACHE_SECONDS = 3.0


class Revocation(Base):
    """A user or session whose tokens issued until then no longer count."""

    __tablename__ = "revocations"

    subject: Mapped[UUID] = mapped_column(primary_key=True)
    not_before: Mapped[datetime] = mapped_column(index=True)


_cached: dict[UUID, datetime] = {}
_cached_until = 0.0


async def revoke(session: AsyncSession, *subjects: UUID) -> None:
    """Void every access token of these users or sessions issued until now."""
    if not subjects:
        return
    rows = insert(Revocation).values([{"subject": subject, "not_before": clock.now()} for subject in subjects])
    latest = func.greatest(Revocation.not_before, rows.excluded.not_before)
    await session.execute(rows.on_conflict_do_update(index_elements=["subject"], set_={"not_before": latest}))
    event.listen(session.sync_session, "after_commit", lambda _: forget(), once=True)


async def is_revoked(actor: Actor) -> bool:
    """Whether the caller's token was voided; at most `CACHE_SECONDS` old news."""
    if time.monotonic() >= _cached_until:
        await _reload()
    return any(actor.issued_at <= _cached[subject] for subject in (actor.id, actor.session_id) if subject in _cached)


async def _reload() -> None:
    global _cached, _cached_until  # noqa: PLW0603 - one cache per process
    until = time.monotonic() + CACHE_SECONDS
    oldest_token = clock.now() - timedelta(minutes=settings().auth.access_token_minutes + 1)
    async with transaction() as session:
        rows = await session.execute(
            select(Revocation.subject, Revocation.not_before).where(Revocation.not_before > oldest_token)
        )
        _cached = {row.subject: row.not_before for row in rows}
    _cached_until = until


def forget() -> None:
    """Drop the cache, so that the next check asks the database."""
    global _cached_until  # noqa: PLW0603
    _cached_until = 0.0
