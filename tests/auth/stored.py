"""What authentication leaves in the database, and the one thing no route of this module changes: the user's row."""

from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update

from src.auth.models import AuthSession
from src.core import database
from src.core.audit import AuditEntry
from src.core.events import EventRecord
from src.users.models import User


async def change_user(user_id: UUID, **values: Any) -> None:
    """What a moderator, an admin or an erasure would do."""
    async with database.transaction() as session:
        await session.execute(update(User).where(User.id == user_id).values(**values))


async def count_users() -> int:
    async with database.transaction() as session:
        return await session.scalar(select(func.count()).select_from(User)) or 0


async def sessions_of(user_id: UUID) -> list[AuthSession]:
    """The user's sessions, oldest first."""
    async with database.transaction() as session:
        found = await session.scalars(
            select(AuthSession).where(AuthSession.user_id == user_id).order_by(AuthSession.id)
        )
        return list(found)


async def audited(action: str) -> list[AuditEntry]:
    async with database.transaction() as session:
        return list(await session.scalars(select(AuditEntry).where(AuditEntry.action == action)))


async def facts(name: str) -> list[dict[str, Any]]:
    """The data of each event of that name."""
    async with database.transaction() as session:
        return list(await session.scalars(select(EventRecord.data).where(EventRecord.name == name)))
