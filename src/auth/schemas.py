"""Registration, tokens and sessions."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import EmailStr, Field, SecretStr

from src.auth.passwords import LONGEST, SHORTEST
from src.core.schemas import Instant, Schema
from src.users.schemas import FullName

Password = Annotated[
    SecretStr,
    Field(min_length=SHORTEST, max_length=LONGEST, description="8 to 256 characters", examples=["brown-hyena-41-tej"]),
]


class UserCreate(Schema):
    """What it takes to open an account."""

    full_name: FullName
    email: Annotated[EmailStr, Field(max_length=254, examples=["hana@example.com"])]
    password: Password


class RefreshRequest(Schema):
    """A refresh token, to be exchanged or given up."""

    refresh_token: str = Field(min_length=1, max_length=500)


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
