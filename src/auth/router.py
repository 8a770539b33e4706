"""`/auth`: accounts, tokens, sessions."""

from typing import Annotated, NamedTuple
from uuid import UUID

from fastapi import Depends, Form, Request, Response

from src.auth import recovery, service
from src.auth.errors import (
    BadCredentials,
    InvalidOneTimeToken,
    InvalidRefreshToken,
    PasswordUnchanged,
    SessionNotFound,
    WeakPassword,
    WrongCurrentPassword,
)
from src.auth.one_time_tokens import Purpose
from src.auth.schemas import (
    MAIL_REQUESTED,
    EmailRequest,
    EmailVerification,
    LoginForm,
    MailRequested,
    PasswordChange,
    PasswordReset,
    RefreshRequest,
    SessionList,
    SessionRead,
    TokenPair,
    UserCreate,
)
from src.core import rate_limit
from src.core.config import settings
from src.core.dependencies import CurrentActor, SessionDep
from src.core.errors import TooManyRequests, Unauthorized, raises
from src.core.idempotency import IdempotentForAnybody
from src.core.security import keyed_hash
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


async def limited_mail(request: Request) -> None:
    """Nobody may have mails sent to one address after the other."""
    await rate_limit.spend(
        request, settings().auth.mail_client_limit, "mail-client", rate_limit.client_address(request)
    )


async def limited_token(request: Request) -> None:
    """A mailed token stands for a password."""
    address = rate_limit.client_address(request)
    await rate_limit.spend(request, settings().auth.login_address_limit, "token-address", address)


async def _may_be_sent(request: Request, purpose: Purpose, email: str) -> bool:
    """Whether the address was not asked mail for too often, by whomever; nobody is told."""
    auth, keys = settings().auth, ("mail", purpose, keyed_hash("mail limit", users.email_key(email)))
    for limit in (auth.mail_pace_limit, auth.mail_limit, auth.mail_daily_limit):
        if not await rate_limit.is_within(request, limit, *keys):
            return False
    return True


@router.post(
    "/resend-verification",
    status_code=202,
    summary="Ask for another verification mail",
    dependencies=[Depends(limited_mail)],
    responses=raises(TooManyRequests),
)
async def resend_verification(request: Request, session: SessionDep, data: EmailRequest) -> MailRequested:
    """The answer is the same whether or not there is such an account, and whether or not it is verified."""
    if await _may_be_sent(request, Purpose.VERIFY_EMAIL, data.email):
        await recovery.request_verification(session, data.email)
    return MailRequested(detail=MAIL_REQUESTED)


@router.post(
    "/verify-email",
    status_code=204,
    summary="Verify an e-mail address",
    dependencies=[Depends(limited_token)],
    responses=raises(InvalidOneTimeToken, TooManyRequests),
)
async def verify_email(session: SessionDep, data: EmailVerification) -> None:
    """Hand over the token of a mail. What waited for that is allowed from the next access token on: refresh, then."""
    await recovery.verify_email(session, data.token.get_secret_value())


@router.post(
    "/forgot-password",
    status_code=202,
    summary="Ask for a mail that resets the password",
    dependencies=[Depends(limited_mail)],
    responses=raises(TooManyRequests),
)
async def request_password_reset(request: Request, session: SessionDep, data: EmailRequest) -> MailRequested:
    """The answer is the same whether or not there is such an account."""
    if await _may_be_sent(request, Purpose.RESET_PASSWORD, data.email):
        await recovery.request_reset(session, data.email)
    return MailRequested(detail=MAIL_REQUESTED)


@router.post(
    "/reset-password",
    status_code=204,
    summary="Choose a new password with a mailed token",
    dependencies=[Depends(limited_token)],
    responses=raises(InvalidOneTimeToken, WeakPassword, TooManyRequests),
)
async def reset_password(session: SessionDep, data: PasswordReset) -> None:
    """Every session of the account ends, and its address counts as verified: whoever has the token reads its mail."""
    await recovery.reset_password(
        session, token=data.token.get_secret_value(), new=data.new_password.get_secret_value()
    )


@router.post(
    "/change-password",
    status_code=204,
    summary="Change my password",
    responses=raises(Unauthorized, WrongCurrentPassword, PasswordUnchanged, WeakPassword, TooManyRequests),
)
async def change_password(request: Request, session: SessionDep, actor: CurrentActor, data: PasswordChange) -> None:
    """The session in use goes on, every other session of the caller ends."""
    # Per account, from wherever: a stolen access token must not serve to guess the password.
    await rate_limit.spend(request, settings().auth.login_limit, "change-password", str(actor.id))
    await recovery.change_password(
        session,
        actor,
        current=data.current_password.get_secret_value(),
        new=data.new_password.get_secret_value(),
    )


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
