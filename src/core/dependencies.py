"""The doors every router shares: the session, the caller, and what the caller may do."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import structlog
from fastapi import Depends, Request
from fastapi.security import OAuth2PasswordBearer
from sqlalchemy.ext.asyncio import AsyncSession

from src.core import revocation
from src.core.database import get_session
from src.core.errors import Forbidden, Unauthorized
from src.core.reads import Reader, readers
from src.core.security import Actor, InvalidToken, Permission, Standing, read_access_token

# scope="function": the commit happens before the answer is sent. With the default it happens after,
# and a commit that fails has already answered 200.
SessionDep = Annotated[AsyncSession, Depends(get_session, scope="function")]


async def get_reader(request: Request) -> Reader:
    """Where this request's hot reads run: a caller who sends a token reads their own writes."""
    return readers.get(is_anonymous="authorization" not in request.headers)


ReaderDep = Annotated[Reader, Depends(get_reader)]

_bearer = OAuth2PasswordBearer(tokenUrl="/api/v1/auth/login", refreshUrl="/api/v1/auth/refresh", auto_error=False)

_CHALLENGE = {"WWW-Authenticate": "Bearer"}


class AccountSuspended(Forbidden):
    """A suspended account reads; it does not act."""

    code, title = "account_suspended", "This account is suspended"


class EmailNotVerified(Forbidden):
    """Publishing, messaging, booking and paying wait for a verified address."""

    code, title = "email_not_verified", "Verify your e-mail address first"


async def find_actor(request: Request, token: Annotated[str | None, Depends(_bearer)]) -> Actor | None:
    """The caller, or None without a token; a token that is not valid is refused, never ignored."""
    if token is None:
        if "authorization" in request.headers:
            raise InvalidToken(headers=_CHALLENGE)
        return None
    try:
        actor = read_access_token(token)
    except InvalidToken:
        raise InvalidToken(headers=_CHALLENGE) from None
    if await revocation.is_revoked(actor):
        raise InvalidToken(headers=_CHALLENGE)
    structlog.contextvars.bind_contextvars(actor_id=str(actor.id))
    return actor


Viewer = Annotated[Actor | None, Depends(find_actor)]


async def get_actor(viewer: Viewer) -> Actor:
    """The signed-in caller."""
    if viewer is None:
        raise Unauthorized(headers=_CHALLENGE)
    return viewer


CurrentActor = Annotated[Actor, Depends(get_actor)]


def permitted(permission: Permission) -> Callable[[Actor], Coroutine[Any, Any, Actor]]:
    """A dependency that gives the caller if their role and standing allow `permission`."""

    async def door(actor: CurrentActor) -> Actor:
        if actor.can(permission):
            return actor
        if actor.standing is Standing.SUSPENDED:
            raise AccountSuspended
        if actor.standing is Standing.UNVERIFIED and permission is Permission.PUBLISH:
            raise EmailNotVerified
        raise Forbidden

    return door


Drafter = Annotated[Actor, Depends(permitted(Permission.DRAFT))]
Publisher = Annotated[Actor, Depends(permitted(Permission.PUBLISH))]
Moderator = Annotated[Actor, Depends(permitted(Permission.MODERATE))]
