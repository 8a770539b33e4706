"""One-time tokens: what a mail carries, and whoever reads it may do once.

Several of one user and purpose may be good at a time, since a mail is sent again; the first that is used voids the
others. They are random, so a plain SHA-256 at rest is enough: there is nothing to guess (NIST SP 800-63B, 5.1.2.2).
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Select, and_, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from src.auth.errors import InvalidOneTimeToken
from src.auth.models import OneTimeToken
from src.core import clock
from src.core.config import settings
from src.core.errors import FieldError
from src.users.errors import UserNotFound
from src.users.models import User, UserStatus

# Of one user and purpose; an older one is voided, as if nobody had ever been sent it.
MOST_KEPT = 5


class Purpose(StrEnum):
    """What a token allows."""

    VERIFY_EMAIL = "verify_email"
    RESET_PASSWORD = "reset_password"  # noqa: S105 - the name of a purpose


@dataclass(frozen=True, slots=True)
class Minted:
    """A token fresh from the mint; nobody can read it again."""

    token: str
    expires_at: datetime


async def mint(session: AsyncSession, user_id: UUID, purpose: Purpose) -> Minted:
    """Make a token for the address that the user has now; commit before the mail leaves.

    Raises:
        UserNotFound: there is none, or they have left.
    """
    # `use` takes this lock as well: of two that change the same tokens, one goes first.
    living = select(User).where(User.id == user_id, User.status != UserStatus.DELETED)
    user = await session.scalar(living.with_for_update(key_share=True))
    if user is None:
        raise UserNotFound
    now = clock.now()
    minted = Minted(secrets.token_urlsafe(32), now + _life(purpose))
    session.add(
        OneTimeToken(
            user_id=user_id,
            purpose=purpose,
            token_hash=_hash(minted.token),
            email_key=user.email_key,
            created_at=now,
            expires_at=minted.expires_at,
        )
    )
    await session.flush()
    await _drop_oldest(session, user_id, purpose)
    return minted


async def _drop_oldest(session: AsyncSession, user_id: UUID, purpose: Purpose) -> None:
    theirs = and_(OneTimeToken.user_id == user_id, OneTimeToken.purpose == purpose)
    newest = select(OneTimeToken.id).where(theirs).order_by(OneTimeToken.id.desc()).limit(MOST_KEPT)
    await session.execute(
        delete(OneTimeToken).where(theirs, OneTimeToken.id.not_in(newest)).execution_options(synchronize_session=False)
    )


def _life(purpose: Purpose) -> timedelta:
    auth = settings().auth
    if purpose is Purpose.VERIFY_EMAIL:
        return timedelta(hours=auth.verification_hours)
    return timedelta(minutes=auth.reset_minutes)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


async def check(session: AsyncSession, token: str, purpose: Purpose) -> None:
    """Whether it could be used now, before work is done that only its owner may ask for.

    Raises:
        InvalidOneTimeToken: it could not.
    """
    if await session.scalar(_owner(token, purpose)) is None:
        raise _refusal()


async def use(session: AsyncSession, token: str, purpose: Purpose) -> UUID:
    """Spend a token, and with it all others of its user and purpose; the user, whose row stays locked.

    Raises:
        InvalidOneTimeToken: in any case but one: it is good, and nobody was faster.
    """
    user_id = await session.scalar(_owner(token, purpose).with_for_update(of=User, key_share=True))
    if user_id is None or _hash(token) not in await void(session, user_id, purpose):
        raise _refusal()
    return user_id


async def void(session: AsyncSession, user_id: UUID, purpose: Purpose) -> set[bytes]:
    """Void what the user was sent for this purpose; the hashes of what was unused until now."""
    voided = await session.scalars(
        update(OneTimeToken)
        .where(OneTimeToken.user_id == user_id, OneTimeToken.purpose == purpose, OneTimeToken.used_at.is_(None))
        .values(used_at=clock.now())
        .returning(OneTimeToken.token_hash)
        .execution_options(synchronize_session=False)
    )
    return set(voided)


async def remove_expired(session: AsyncSession, most: int) -> int:
    """Remove some of what can no longer be used; how many that were."""
    expired = select(OneTimeToken.id).where(OneTimeToken.expires_at <= clock.now()).limit(most)
    removed = await session.scalars(
        delete(OneTimeToken)
        .where(OneTimeToken.id.in_(expired))
        .returning(OneTimeToken.id)
        .execution_options(synchronize_session=False)
    )
    return len(removed.all())


def _owner(token: str, purpose: Purpose) -> Select[UUID]:
    """Whose token it is, as long as they have the address that it was sent to."""
    return (
        select(OneTimeToken.user_id)
        .join(User, and_(User.id == OneTimeToken.user_id, User.email_key == OneTimeToken.email_key))
        .where(
            OneTimeToken.token_hash == _hash(token),
            OneTimeToken.purpose == purpose,
            OneTimeToken.used_at.is_(None),
            OneTimeToken.expires_at > clock.now(),
            User.status != UserStatus.DELETED,
        )
    )


def _refusal() -> InvalidOneTimeToken:
    """One for all cases: what was wrong with a token is nobody's business."""
    detail = InvalidOneTimeToken.title
    return InvalidOneTimeToken(errors=[FieldError("body", "/token", InvalidOneTimeToken.code, detail)])
