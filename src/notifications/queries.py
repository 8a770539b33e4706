"""What is read of notifications."""

from uuid import UUID

from sqlalchemy import Select, exists, func, select
from sqlalchemy.orm import aliased

from src.auth.models import AuthSession
from src.notifications.models import Notification


def feed(user_id: UUID, unread: bool | None) -> Select[Notification]:
    """Somebody's notifications."""
    found = select(Notification).where(Notification.user_id == user_id)
    return found if unread is None else found.where(Notification.read_at.is_(None) == unread)


def unread(user_id: UUID, most: int) -> Select[int]:
    """How many somebody has not read, counted as far as `most`."""
    some = select(Notification.id).where(Notification.user_id == user_id, Notification.read_at.is_(None)).limit(most)
    return select(func.count()).select_from(some.subquery())


def is_from_new_device(session_id: UUID) -> Select[bool]:
    """Whether a session that is not its user's first was opened with what opened none of the earlier ones."""
    opened, earlier = aliased(AuthSession), aliased(AuthSession)
    before = (earlier.user_id == opened.user_id, earlier.id < opened.id)
    is_known = exists().where(*before, earlier.user_agent.is_not_distinct_from(opened.user_agent))
    return select(exists().where(*before) & ~is_known).where(opened.id == session_id)
