"""Use cases of profiles; the only writer of `users`."""

import unicodedata
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from src.core import clock
from src.core.errors import FieldError
from src.core.events import emit
from src.core.security import Role
from src.users.errors import EmailTaken, UserNotFound
from src.users.events import UserEdited, UserRegistered
from src.users.models import User, UserStatus


def email_key(email: str) -> str:
    """The address as it is compared: two that look the same are the same."""
    return unicodedata.normalize("NFKC", email.strip()).casefold()


async def create(
    session: AsyncSession, *, full_name: str, email: str, role: Role = Role.USER, is_verified: bool = False
) -> User:
    """Open an account.

    Raises:
        EmailTaken: the address has one.
    """
    if await find_by_email(session, email) is not None:
        raise EmailTaken(errors=[FieldError("body", "/email", EmailTaken.code, EmailTaken.title)])
    now = clock.now()
    user = User(
        full_name=full_name,
        email=email.strip(),
        email_key=email_key(email),
        email_verified_at=now if is_verified else None,
        role=role,
        created_at=now,
        updated_at=now,
    )
    session.add(user)
    await session.flush()
    await emit(session, UserRegistered(user_id=user.id))
    return user


async def trust(session: AsyncSession, user: User) -> None:
    """Let what this user submits go live without a moderator's look, where listings are reviewed."""
    user.is_trusted = True
    await session.flush()


async def verify_email(session: AsyncSession, user_id: UUID) -> bool:
    """Note that the user reads what is sent to their address; False if that was known.

    Raises:
        UserNotFound: there is none.
    """
    user = await get(session, user_id)
    if user.email_verified_at is not None:
        return False
    user.email_verified_at = user.updated_at = clock.now()
    await session.flush()
    return True


async def find_by_email(session: AsyncSession, email: str) -> User | None:
    """The user with this address, compared as people compare addresses."""
    return await session.scalar(select(User).where(User.email_key == email_key(email)))


async def get(session: AsyncSession, user_id: UUID) -> User:
    """A user who has not left.

    Raises:
        UserNotFound: there is none.
    """
    user = await find(session, user_id)
    if user is None:
        raise UserNotFound
    return user


async def find(session: AsyncSession, user_id: UUID) -> User | None:
    """A user who has not left, or None."""
    user = await session.get(User, user_id)
    return user if user and user.status != UserStatus.DELETED else None


async def edit(session: AsyncSession, user_id: UUID, changes: dict[str, Any]) -> User:
    """Change one's own profile.

    Raises:
        UserNotFound: there is none.
    """
    user = await get(session, user_id)
    changed = [field for field, value in changes.items() if getattr(user, field) != value]
    for field in changed:
        setattr(user, field, changes[field])
    if changed:
        user.updated_at = clock.now()
        await session.flush()
        await emit(session, UserEdited(user_id=user.id, fields=changed))
    return user
