"""Registration, tokens and sessions."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BeforeValidator, ConfigDict, EmailStr, Field, SecretStr

from src.auth.passwords import LONGEST, SHORTEST
from src.core.schemas import Instant, Schema
from src.users.schemas import FullName

Password = Annotated[
    SecretStr,
    Field(min_length=SHORTEST, max_length=LONGEST, description="8 to 256 characters", examples=["brown-hyena-41-tej"]),
]
CurrentPassword = Annotated[
    SecretStr,
    Field(
        max_length=4 * LONGEST, description="A decomposed character may count for four", examples=["brown-hyena-41-tej"]
    ),
]

LONGEST_EMAIL = 254
MAIL_REQUESTED = "If that is the address of an account, and it needs this mail, one is on its way"


def _alone(value: Any) -> Any:
    """Pydantic would read `Hana <hana@example.com>` too, and drop the name."""
    if isinstance(value, str) and "<" in value:
        raise ValueError("must be an address alone, without a name")
    return value


Email = Annotated[EmailStr, BeforeValidator(_alone), Field(max_length=LONGEST_EMAIL, examples=["hana@example.com"])]


class UserCreate(Schema):
    """What it takes to open an account."""

    full_name: FullName
    email: Email
    password: Password


class LoginForm(Schema):
    """The OAuth2 password form (RFC 6749, section 4.3.2); what else a client sends is ignored.

    Nothing may be longer than what an account can have: composing a megabyte of accents takes minutes.
    """

    model_config = ConfigDict(extra="ignore")

    grant_type: Literal["password"] | None = None
    username: str = Field(max_length=LONGEST_EMAIL, description="The e-mail address", examples=["hana@example.com"])
    password: CurrentPassword


class RefreshRequest(Schema):
    """A refresh token, to be exchanged or given up."""

    refresh_token: str = Field(min_length=1, max_length=4000)


class EmailRequest(Schema):
    """The address that a mail is asked for."""

    email: Email


class MailRequested(Schema):
    """The same for every address."""

    detail: str = Field(max_length=200, examples=[MAIL_REQUESTED])


OneTimeTokenText = Annotated[
    SecretStr,
    Field(
        min_length=1,
        max_length=200,
        description="What the link in the mail carries",
        examples=["hq5nDk3JbLPBgpJ7u3bkJ9ZC0XgVZjtn2H0rPTtXg0M"],
    ),
]


class EmailVerification(Schema):
    """The token of a mail that verifies an address."""

    token: OneTimeTokenText


class PasswordReset(Schema):
    """The token of a mail that resets a password, and the new one."""

    token: OneTimeTokenText
    new_password: Password


class PasswordChange(Schema):
    """Both passwords."""

    current_password: CurrentPassword
    new_password: Password


class TokenPair(Schema):
    """What signing in and refreshing give."""

    access_token: str = Field(max_length=4000)
    refresh_token: str = Field(max_length=500)
    token_type: Literal["bearer"]
    expires_in: int = Field(ge=1, le=10**9, description="Seconds the access token lives")


class SessionRead(Schema):
    """One of the caller's sign-ins."""

    id: UUID
    created_at: Instant
    refreshed_at: Instant
    expires_at: Instant
    user_agent: str | None = Field(max_length=500)
    ip: str | None = Field(max_length=64)
    is_current: bool


class SessionList(Schema):
    """The caller's live sessions, newest first."""

    items: list[SessionRead] = Field(max_length=1000)
