"""What happens to sessions, passwords and addresses."""

from uuid import UUID

from src.core.events import Event


class VerificationRequested(Event, name="user.verification_requested"):
    """Somebody should show that their address is theirs: a mail with a token is due."""

    user_id: UUID


class PasswordResetRequested(Event, name="user.password_reset_requested"):
    """Somebody says that they forgot their password: a mail with a token is due."""

    user_id: UUID


class PasswordChanged(Event, name="user.password_changed"):
    """A password was changed or reset; its owner should hear of it."""

    user_id: UUID


class EmailVerified(Event, name="user.email_verified"):
    """Somebody showed that they read what is sent to their address."""

    user_id: UUID


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
