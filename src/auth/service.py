"""Use cases of signing in and out; the only writer of `credentials` and `sessions`."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from src.auth import passwords, refresh_tokens
from src.auth.errors import BadCredentials, InvalidRefreshToken, SessionNotFound
from src.auth.events import RefreshTokenReused, SessionEnded, SessionOpened, VerificationRequested
from src.auth.models import AuthSession, Credential
from src.auth.refresh_tokens import RefreshToken
from src.core import audit, clock, revocation
from src.core.config import settings
from src.core.database import independent, transaction
from src.core.events import emit
from src.core.security import Actor, Role, Standing, issue_access_token
from src.users import service as users
from src.users.models import User, UserStatus

# For whoever asks where they were signed in, after something happened.
KEPT_AFTER_EXPIRY = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Tokens:
    """A pair fresh from the press; `expires_in` in seconds."""

    access_token: str
    refresh_token: str
    expires_in: int


async def new_hash(password: str, pointer: str = "/password") -> str:
    """The hash of a password that somebody chooses; to be made before the first query.

    Raises:
        WeakPassword: it is among the first that are tried.
    """
    passwords.check(password, pointer)
    return await passwords.digest(password)


async def register(session: AsyncSession, *, full_name: str, email: str, password_hash: str) -> User:
    """Open an account with a password.

    Raises:
        users.EmailTaken: the address has an account.
    """
    user = await users.create(session, full_name=full_name, email=email)
    await keep_hash(session, user.id, password_hash)
    await emit(session, VerificationRequested(user_id=user.id))
    return user


async def set_password(session: AsyncSession, user_id: UUID, password: str) -> None:
    """Give a user this password, whatever they had before."""
    await keep_hash(session, user_id, await passwords.digest(password))


async def keep_hash(session: AsyncSession, user_id: UUID, password_hash: str) -> None:
    """Give a user the password of this hash, whatever they had before."""
    await session.merge(Credential(user_id=user_id, password_hash=password_hash, changed_at=clock.now()))
    await session.flush()


async def is_current(session: AsyncSession, checked: Credential) -> bool:
    """Whether the password that was checked is still theirs; if so, it stays until this transaction ends."""
    current = select(Credential.user_id).where(
        Credential.user_id == checked.user_id, Credential.password_hash == checked.password_hash
    )
    return await session.scalar(current.with_for_update()) is not None


async def log_in(session: AsyncSession, *, email: str, password: str, user_agent: str | None, ip: str | None) -> Tokens:
    """Start a session.

    Raises:
        BadCredentials: unknown address, wrong password or deleted account; which of them is not told.
    """
    # A transaction of its own, so that no connection is held while the hash runs.
    async with transaction() as lookup:
        user = await users.find_by_email(lookup, email)
        credential = await lookup.get(Credential, user.id) if user else None
    is_right = await passwords.matches(password, credential.password_hash if credential else None)
    if user is None or credential is None or not is_right or user.status == UserStatus.DELETED:
        await _leave_trace_of_failure(user)
        raise BadCredentials
    # Whoever changes it now waits for the session of the old one, and ends it.
    if not await is_current(session, credential):
        raise BadCredentials
    opened = _open(user.id, user_agent, ip)
    session.add(opened)
    await session.flush()
    audit.record(session, "auth.logged_in", actor_id=user.id, subject_id=opened.id)
    await emit(session, SessionOpened(user_id=user.id, session_id=opened.id))
    return _tokens(user, opened)


async def _leave_trace_of_failure(user: User | None) -> None:
    async with independent() as trace:
        audit.record(trace, "auth.login_failed", actor_id=None, subject_id=user.id if user else None)


def _open(user_id: UUID, user_agent: str | None, ip: str | None) -> AuthSession:
    now = clock.now()
    return AuthSession(
        user_id=user_id,
        salt=secrets.token_bytes(32),
        generation=1,
        created_at=now,
        refreshed_at=now,
        expires_at=_expiry(now, now),
        user_agent=(user_agent or "")[:500] or None,
        ip=ip,
    )


def _expiry(created_at: datetime, refreshed_at: datetime) -> datetime:
    """Unused for so long, or in use for so long: whichever comes first."""
    auth = settings().auth
    return min(refreshed_at + timedelta(days=auth.refresh_token_days), created_at + timedelta(days=auth.session_days))


async def refresh(session: AsyncSession, token: str) -> Tokens:
    """Exchange a refresh token for the next one; asked again within the grace window, the answer is the same.

    Raises:
        InvalidRefreshToken: in any other case; a reuse also ends the session, and that is kept.
    """
    presented = refresh_tokens.parse(token)
    found = await session.get(AuthSession, presented.session_id)
    if found is None or not presented.belongs_to(found):
        raise InvalidRefreshToken
    now = clock.now()
    if not await _rotate(session, found, presented.generation, now):
        await session.refresh(found)
        if not _is_retry(found, presented, now):
            await _refuse(found, presented)
    user = await users.find(session, found.user_id)
    if user is None:
        raise InvalidRefreshToken
    return _tokens(user, found, presented.generation + 1)


async def _rotate(session: AsyncSession, found: AuthSession, generation: int, now: datetime) -> bool:
    """Whether it is this request that takes the live session from `generation` to the next."""
    rotation = (
        update(AuthSession)
        .where(
            AuthSession.id == found.id,
            AuthSession.generation == generation,
            AuthSession.ended_at.is_(None),
            AuthSession.expires_at > now,
        )
        .values(generation=generation + 1, refreshed_at=now, expires_at=_expiry(found.created_at, now))
        .returning(AuthSession.id)
        .execution_options(synchronize_session=False)
    )
    async with session.begin_nested() as attempt:
        rotated = await session.scalar(rotation)
        if rotated is None:
            # PostgreSQL keeps a row locked that changed while we waited for it, and `_refuse` writes it from elsewhere.
            await attempt.rollback()
    return rotated is not None


def _is_retry(found: AuthSession, presented: RefreshToken, now: datetime) -> bool:
    grace = timedelta(seconds=settings().auth.refresh_grace_seconds)
    is_live = found.ended_at is None and found.expires_at > now
    return is_live and found.generation == presented.generation + 1 and now - found.refreshed_at <= grace


async def _refuse(found: AuthSession, presented: RefreshToken) -> None:
    """A used token of a live session ends it; in a transaction of its own, since the request is rolled back."""
    if presented.generation < found.generation and found.ended_at is None:
        async with independent() as trace:
            if await _end(trace, AuthSession.id == found.id):
                audit.record(trace, "auth.refresh_reused", actor_id=found.user_id, subject_id=found.id)
                await emit(trace, RefreshTokenReused(user_id=found.user_id, session_id=found.id))
    raise InvalidRefreshToken


def _tokens(user: User, opened: AuthSession, generation: int = 1) -> Tokens:
    access, expires_in = issue_access_token(user.id, opened.id, Role(user.role), standing_of(user))
    return Tokens(access, refresh_tokens.issue(opened, generation), expires_in)


def standing_of(user: User) -> Standing:
    """What the state of the account leaves of the role's permissions."""
    if user.status != UserStatus.ACTIVE:
        return Standing.SUSPENDED
    if settings().auth.require_verified and user.email_verified_at is None:
        return Standing.UNVERIFIED
    return Standing.GOOD


async def log_out(session: AsyncSession, actor: Actor) -> None:
    """End the session the caller is using."""
    await end_session(session, actor, actor.session_id)


async def end_session(session: AsyncSession, actor: Actor, session_id: UUID) -> None:
    """End one of the caller's sessions; its access tokens stop within seconds.

    Raises:
        SessionNotFound: it is not theirs, or has ended.
    """
    if not await _end(session, AuthSession.id == session_id, AuthSession.user_id == actor.id):
        raise SessionNotFound
    audit.record(session, "auth.session_ended", actor_id=actor.id, subject_id=session_id)
    await emit(session, SessionEnded(user_id=actor.id, session_id=session_id))


async def end_all_sessions(session: AsyncSession, actor: Actor) -> None:
    """End every session of the caller."""
    await end_sessions_of(session, actor.id)
    audit.record(session, "auth.all_sessions_ended", actor_id=actor.id, subject_id=actor.id)


async def end_sessions_of(session: AsyncSession, user_id: UUID, *, but: UUID | None = None) -> None:
    """End every session of a user but one; an expired one too, since its last access token may still be good."""
    ended = await _end(session, AuthSession.user_id == user_id, AuthSession.id.is_distinct_from(but))
    await emit(session, *(SessionEnded(user_id=user_id, session_id=session_id) for session_id in ended))


async def _end(session: AsyncSession, *which: ColumnElement[bool]) -> list[UUID]:
    ended = await session.scalars(
        update(AuthSession)
        .where(*which, AuthSession.ended_at.is_(None))
        .values(ended_at=clock.now())
        .returning(AuthSession.id)
        .execution_options(synchronize_session=False)
    )
    ids = list(ended)
    await revocation.revoke(session, *ids)
    return ids


async def remove_old_sessions(session: AsyncSession, most: int) -> int:
    """Remove some of the sessions that nobody can have used for long; how many that were.

    One that was ended expires as well, since nobody refreshes it.
    """
    old = select(AuthSession.id).where(AuthSession.expires_at <= clock.now() - KEPT_AFTER_EXPIRY).limit(most)
    removed = await session.scalars(
        delete(AuthSession)
        .where(AuthSession.id.in_(old))
        .returning(AuthSession.id)
        .execution_options(synchronize_session=False)
    )
    return len(removed.all())


async def list_sessions(session: AsyncSession, actor: Actor) -> list[AuthSession]:
    """The caller's live sessions, newest first."""
    found = await session.scalars(
        select(AuthSession)
        .where(AuthSession.user_id == actor.id, AuthSession.ended_at.is_(None), AuthSession.expires_at > clock.now())
        .order_by(AuthSession.id.desc())
        .limit(1000)
    )
    return list(found)
