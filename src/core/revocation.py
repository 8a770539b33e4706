"""Ends access before a token expires: a user's tokens issued up to `not_before`, and all those of an ended session.

The table is read through a cache of a few seconds in each process; committing a revocation clears it at once here.
"""

import asyncio
import time
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Uuid, delete, event, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, Session, mapped_column

from src.core import clock
from src.core.config import settings
from src.core.database import Base, transaction
from src.core.security import Actor

CACHE_SECONDS = 3.0
# Longer than any two clocks differ, and than a refresh that raced with the end of its session takes.
FORGOTTEN_AFTER = timedelta(days=1)


class Revocation(Base):
    """A user whose tokens issued until then no longer count, or a session that ended then."""

    __tablename__ = "revocations"

    subject: Mapped[UUID] = mapped_column(primary_key=True)
    not_before: Mapped[datetime] = mapped_column(index=True)


_cached: dict[UUID, datetime] = {}
_cached_until = 0.0
# One caller asks for all who wait, or they would take the whole pool.
_reloading = asyncio.Lock()


async def revoke(session: AsyncSession, *subjects: UUID) -> None:
    """Void the access tokens of these users issued until now, and of these sessions for good."""
    # One array, since a statement holds no more than 32,767 parameters.
    each = select(func.unnest(literal(subjects, ARRAY(Uuid))), literal(clock.now()))
    rows = insert(Revocation).from_select(["subject", "not_before"], each)
    latest = func.greatest(Revocation.not_before, rows.excluded.not_before)
    await session.execute(rows.on_conflict_do_update(index_elements=["subject"], set_={"not_before": latest}))
    event.listen(session.sync_session, "after_commit", _forget_after_commit)


def _forget_after_commit(_: Session) -> None:
    """Called for each savepoint too; the last call, after the commit itself, is the one that counts."""
    forget()


async def is_revoked(actor: Actor) -> bool:
    """Whether the caller's token was voided; at most `CACHE_SECONDS` old news."""
    if time.monotonic() >= _cached_until:
        async with _reloading:
            if time.monotonic() >= _cached_until:
                await _reload()
    not_before = _cached.get(actor.id)
    # A session never comes back: whatever a refresh that raced with its end has issued is void as well.
    return actor.session_id in _cached or (not_before is not None and actor.issued_at <= not_before)


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


async def forget_old(session: AsyncSession, most: int) -> int:
    """Take away what no token is old enough for any more; how many went."""
    oldest_token = clock.now() - timedelta(minutes=settings().auth.access_token_minutes)
    old = select(Revocation.subject).where(Revocation.not_before < oldest_token - FORGOTTEN_AFTER).limit(most)
    found = old.with_for_update(skip_locked=True).cte("old")
    gone = delete(Revocation).where(Revocation.subject == found.c.subject).returning(Revocation.subject)
    return len((await session.scalars(gone.execution_options(synchronize_session=False))).all())


def forget() -> None:
    """Drop the cache, so that the next check asks the database."""
    global _cached_until  # noqa: PLW0603
    _cached_until = 0.0
