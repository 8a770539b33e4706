"""What happens to sessions."""

from uuid import UUID

from src.core.events import Event


class SessionOpened(Event, name="session.opened"):
    """Somebody signed in."""

    user_id: UUID
    session_id: UUID


class SessionEnded(Event, name="session.ended"):
    """Somebody signed out, or ended one of their sessions."""

    user_id: UUID
    session_id: UUID


class RefreshTokenReused(Event, name="session.reused"):
    """A refresh token was used long after its successor was issued: one of the two holders is a thief."""

    user_id: UUID
    session_id: UUID
