"""`/auth`: accounts, tokens, sessions."""

from typing import Annotated, NamedTuple
from uuid import UUID

from fastapi import Depends, Form, Request, Response

from src.auth import service
from src.auth.errors import BadCredentials, InvalidRefreshToken, SessionNotFound, WeakPassword
from src.auth.schemas import LoginForm, RefreshRequest, SessionList, SessionRead, TokenPair, UserCreate
from src.core import rate_limit
from src.core.config import settings
from src.core.dependencies import CurrentActor, SessionDep
from src.core.errors import TooManyRequests, Unauthorized, raises
from src.core.idempotency import IdempotentForAnybody
from src.core.strict import Router
from src.users import service as users
from src.users.errors import EmailTaken
from src.users.router import profile
from src.users.schemas import UserRead

router = Router(prefix="/auth", tags=["auth"])


async def limited_registration(request: Request) -> None:
    """Registration tells whether an address is taken, so nobody may ask often."""
    await rate_limit.spend(request, settings().auth.register_limit, "register", rate_limit.client_address(request))


class Opening(NamedTuple):
    """The account to open, and the hash of its password."""

    data: UserCreate
    password_hash: str


async def hashed(data: UserCreate) -> Opening:
    """Hash before an `Idempotency-Key` is looked up: no connection is held while the hash runs."""
    return Opening(data, await service.new_hash(data.password.get_secret_value()))


@router.post(
    "/register",
    status_code=201,
    summary="Open an account",
    dependencies=[Depends(limited_registration)],
    responses=raises(EmailTaken, WeakPassword, TooManyRequests),
)
async def register_user(
    session: SessionDep, opening: Annotated[Opening, Depends(hashed)], response: Response, _: IdempotentForAnybody
) -> UserRead:
    """Open an account with an e-mail address and a password."""
    data, password_hash = opening
    user = await service.register(session, full_name=data.full_name, email=data.email, password_hash=password_hash)
    response.headers["Location"] = f"/api/v1/users/{user.id}"
    return profile(user)


@router.post("/login", summary="Sign in", responses=raises(BadCredentials, TooManyRequests))
async def log_in(request: Request, session: SessionDep, form: Annotated[LoginForm, Form()]) -> TokenPair:
    """Sign in with the OAuth2 password form; `username` is the e-mail address."""
    address = rate_limit.client_address(request)
    await rate_limit.spend(request, settings().auth.login_address_limit, "login-address", address)
    await rate_limit.spend(request, settings().auth.login_limit, "login", users.email_key(form.username), address)
    tokens = await service.log_in(
        session,
        email=form.username,
        password=form.password.get_secret_value(),
        user_agent=request.headers.get("user-agent"),
        ip=address,
    )
    return _pair(tokens)


@router.post("/refresh", summary="Exchange a refresh token", responses=raises(InvalidRefreshToken))
async def refresh_session(session: SessionDep, data: RefreshRequest) -> TokenPair:
    """Each refresh token is good once; asked again within seconds (a lost answer), the same pair's successor comes."""
    return _pair(await service.refresh(session, data.refresh_token))


def _pair(tokens: service.Tokens) -> TokenPair:
    return TokenPair(
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token,
        token_type="bearer",  # noqa: S106 - RFC 6750's name of the type
        expires_in=tokens.expires_in,
    )


@router.post("/logout", status_code=204, summary="Sign out", responses=raises(Unauthorized, SessionNotFound))
async def log_out(session: SessionDep, actor: CurrentActor) -> None:
    """End the session in use: its refresh token at once, its access tokens within seconds."""
    await service.log_out(session, actor)


@router.get("/me", summary="Who am I", responses=raises(Unauthorized))
async def read_signed_in_user(session: SessionDep, actor: CurrentActor) -> UserRead:
    """The signed-in user's own profile."""
    return profile(await users.get(session, actor.id))


@router.get("/sessions", summary="List my sessions", responses=raises(Unauthorized))
async def list_sessions(session: SessionDep, actor: CurrentActor) -> SessionList:
    """Where the caller is signed in, newest first."""
    found = await service.list_sessions(session, actor)
    names = SessionRead.model_fields.keys() - {"is_current"}
    return SessionList(
        items=[
            SessionRead(**{name: getattr(opened, name) for name in names}, is_current=opened.id == actor.session_id)
            for opened in found
        ]
    )


@router.delete("/sessions", status_code=204, summary="Sign out everywhere", responses=raises(Unauthorized))
async def end_all_sessions(session: SessionDep, actor: CurrentActor) -> None:
    """End every session of the caller, this one included."""
    await service.end_all_sessions(session, actor)


@router.delete(
    "/sessions/{session_id}",
    status_code=204,
    summary="End one of my sessions",
    responses=raises(Unauthorized, SessionNotFound),
)
async def end_session(session: SessionDep, actor: CurrentActor, session_id: UUID) -> None:
    """End another sign-in of the caller, such as on a lost phone."""
    await service.end_session(session, actor, session_id)
