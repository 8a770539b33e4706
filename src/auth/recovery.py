"""Use cases of showing that an address is one's own, and of changing a password.

Whoever asks for a mail learns nothing by it: not whether there is an account, nor from the time that the answer takes.
"""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from src.auth import one_time_tokens, passwords, service
from src.auth.errors import PasswordUnchanged, WrongCurrentPassword
from src.auth.events import EmailVerified, PasswordChanged, PasswordResetRequested, VerificationRequested
from src.auth.models import Credential
from src.auth.one_time_tokens import Purpose
from src.core import audit
from src.core.database import independent, new_id, transaction
from src.core.errors import FieldError
from src.core.events import Event, emit
from src.core.security import Actor
from src.users import service as users
from src.users.models import User, UserStatus


async def request_verification(session: AsyncSession, email: str) -> None:
    """Have a mail sent to the address, if it is that of an account and not verified."""
    user = await _find_by_email(session, email)
    audit.record(session, "auth.verification_requested", actor_id=None, subject_id=user.id if user else None)
    fact = VerificationRequested(user_id=user.id if user else new_id())
    await _emit_if(session, fact, is_due=user is not None and user.email_verified_at is None)


async def request_reset(session: AsyncSession, email: str) -> None:
    """Have a mail sent to the address that lets its reader choose a new password, if it is that of an account."""
    user = await _find_by_email(session, email)
    audit.record(session, "auth.password_reset_requested", actor_id=None, subject_id=user.id if user else None)
    fact = PasswordResetRequested(user_id=user.id if user else new_id())
    await _emit_if(session, fact, is_due=user is not None)


async def _find_by_email(session: AsyncSession, email: str) -> User | None:
    user = await users.find_by_email(session, email)
    return user if user and user.status != UserStatus.DELETED else None


async def _emit_if(session: AsyncSession, fact: Event, *, is_due: bool) -> None:
    """Emit the fact, or take it back: the same work for every address."""
    async with session.begin_nested() as attempt:
        await emit(session, fact)
        if not is_due:
            await attempt.rollback()


async def verify_email(session: AsyncSession, token: str) -> None:
    """Take a mailed token for the proof that the address is its user's.

    Raises:
        InvalidOneTimeToken: it is none, or no longer.
    """
    await _note_verified(session, await one_time_tokens.use(session, token, Purpose.VERIFY_EMAIL))


async def _note_verified(session: AsyncSession, user_id: UUID) -> None:
    if await users.verify_email(session, user_id):
        audit.record(session, "auth.email_verified", actor_id=user_id, subject_id=user_id)
        await emit(session, EmailVerified(user_id=user_id))


async def reset_password(session: AsyncSession, *, token: str, new: str) -> None:
    """Give the reader of a mail a new password, and end every session; the address counts as verified from then on.

    Raises:
        InvalidOneTimeToken: the token is none, or no longer.
        WeakPassword: it is among the first that are tried.
    """
    # Looked up before the hash, so that a guess costs none, and in a transaction that is over when it is made.
    async with transaction() as lookup:
        await one_time_tokens.check(lookup, token, Purpose.RESET_PASSWORD)
    password_hash = await service.new_hash(new, "/new_password")
    user_id = await one_time_tokens.use(session, token, Purpose.RESET_PASSWORD)
    await _note_verified(session, user_id)
    await _replace(session, user_id, password_hash, "auth.password_reset")


async def change_password(session: AsyncSession, actor: Actor, *, current: str, new: str) -> None:
    """Change the caller's password and end their other sessions.

    Raises:
        WrongCurrentPassword: the current one is another.
        PasswordUnchanged: the new one is the current one.
        WeakPassword: it is among the first that are tried.
    """
    if passwords.normalised(new) == passwords.normalised(current):
        raise PasswordUnchanged(
            errors=[FieldError("body", "/new_password", PasswordUnchanged.code, PasswordUnchanged.title)]
        )
    passwords.check(new, "/new_password")
    async with transaction() as lookup:
        credential = await lookup.get(Credential, actor.id)
    is_right = await passwords.matches(current, credential.password_hash if credential else None)
    if credential is None or not is_right:
        async with independent() as trace:
            audit.record(trace, "auth.password_change_failed", actor_id=actor.id, subject_id=actor.id)
        raise _wrong_current()
    password_hash = await passwords.digest(new)
    await one_time_tokens.void(session, actor.id, Purpose.RESET_PASSWORD)
    if not await service.is_current(session, credential):
        raise _wrong_current()
    await _replace(session, actor.id, password_hash, "auth.password_changed", but=actor.session_id)


def _wrong_current() -> WrongCurrentPassword:
    detail = WrongCurrentPassword.title
    return WrongCurrentPassword(errors=[FieldError("body", "/current_password", WrongCurrentPassword.code, detail)])


async def _replace(
    session: AsyncSession, user_id: UUID, password_hash: str, action: str, *, but: UUID | None = None
) -> None:
    """The password before the sessions: a sign-in with the old one, if it is not refused, is among those ended."""
    await service.keep_hash(session, user_id, password_hash)
    await service.end_sessions_of(session, user_id, but=but)
    audit.record(session, action, actor_id=user_id, subject_id=user_id)
    await emit(session, PasswordChanged(user_id=user_id))
