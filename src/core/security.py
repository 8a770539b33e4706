"""Who is calling and what they may do: the Actor, the permission table, and the access token that carries it.

Access tokens are JWTs of type `at+jwt` (RFC 9068) signed with HS256; claims are checked here against our own clock.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Literal
from uuid import UUID

import jwt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from src.core import clock
from src.core.config import settings
from src.core.database import new_id
from src.core.errors import Unauthorized

ALGORITHM = "HS256"
TOKEN_TYPE = "at+jwt"  # noqa: S105 - a media type
LEEWAY_SECONDS = 10
LAST_INSTANT = 4102444800  # 2100-01-01, so that no claim overflows a datetime


class Role(StrEnum):
    """What a person is on the whole site; roles inside one company belong to `companies`."""

    USER = "user"
    BROKER = "broker"
    MODERATOR = "moderator"
    ADMIN = "admin"


class Standing(StrEnum):
    """The state of the account, as far as it limits what the role allows."""

    GOOD = "good"
    UNVERIFIED = "unverified"
    SUSPENDED = "suspended"


class Permission(StrEnum):
    """Everything that some signed-in people may do and others may not."""

    EDIT_PROFILE = "edit_profile"
    DRAFT = "draft"
    PUBLISH = "publish"
    SAVE_FAVOURITES = "save_favourites"
    MODERATE = "moderate"
    ADMINISTER = "administer"


_EVERYONE = frozenset({Permission.EDIT_PROFILE, Permission.DRAFT, Permission.PUBLISH, Permission.SAVE_FAVOURITES})
_MODERATOR = _EVERYONE | {Permission.MODERATE}

PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.USER: _EVERYONE,
    Role.BROKER: _EVERYONE,
    Role.MODERATOR: _MODERATOR,
    Role.ADMIN: _MODERATOR | {Permission.ADMINISTER},
}

WITHHELD: dict[Standing, frozenset[Permission]] = {
    Standing.GOOD: frozenset(),
    Standing.UNVERIFIED: frozenset({Permission.PUBLISH}),
    Standing.SUSPENDED: frozenset(Permission),
}


@dataclass(frozen=True, slots=True)
class Actor:
    """The caller, decoded from the token; no user row is loaded for it."""

    id: UUID
    role: Role
    session_id: UUID
    standing: Standing
    issued_at: datetime

    def can(self, permission: Permission) -> bool:
        """Whether role and standing allow it."""
        return permission in PERMISSIONS[self.role] - WITHHELD[self.standing]

    @property
    def is_moderator(self) -> bool:
        """Whether they may see and decide on what others own."""
        return self.can(Permission.MODERATE)


class InvalidToken(Unauthorized):
    """The bearer token is malformed, forged, expired or revoked."""

    code, title = "invalid_token", "The access token is not valid; refresh it or sign in again"


_Instant = Annotated[float, Field(strict=True, ge=0, le=LAST_INSTANT, allow_inf_nan=False)]


class _Claims(BaseModel):
    model_config = ConfigDict(extra="forbid")

    iss: str
    aud: str
    sub: UUID
    sid: UUID
    jti: UUID
    role: Role
    standing: Standing
    iat: _Instant
    nbf: _Instant
    exp: _Instant
    typ: Literal["access"]


def issue_access_token(user_id: UUID, session_id: UUID, role: Role, standing: Standing) -> tuple[str, int]:
    """A signed access token and its life in seconds."""
    auth = settings().auth
    issued, life = clock.now().timestamp(), timedelta(minutes=auth.access_token_minutes)
    claims = {
        "iss": auth.issuer,
        "aud": auth.audience,
        "sub": str(user_id),
        "sid": str(session_id),
        "jti": str(new_id()),
        "role": role,
        "standing": standing,
        "iat": issued,
        "nbf": issued,
        "exp": issued + life.total_seconds(),
        "typ": "access",
    }
    headers = {"typ": TOKEN_TYPE, "kid": _key_id()}
    return jwt.encode(claims, signing_key("access"), ALGORITHM, headers), int(life.total_seconds())


def read_access_token(token: str) -> Actor:
    """The caller that a token speaks for.

    Raises:
        InvalidToken: for any token this service did not issue for itself, or that is not valid now.
    """
    try:
        # Only our header: no other algorithm, no key by reference (RFC 8725, sections 3.1 and 3.10).
        if jwt.get_unverified_header(token) != {"alg": ALGORITHM, "typ": TOKEN_TYPE, "kid": _key_id()}:
            raise InvalidToken
        options = {"verify_" + claim: False for claim in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")}
        claims = _Claims.model_validate(
            jwt.decode(token, signing_key("access"), [ALGORITHM], options=options)  # type: ignore[arg-type]
        )
    except (jwt.PyJWTError, ValidationError, ValueError, TypeError, OverflowError, RecursionError) as exc:
        raise InvalidToken from exc
    _check_validity(claims)
    issued = datetime.fromtimestamp(claims.iat, tz=clock.now().tzinfo)
    return Actor(claims.sub, claims.role, claims.sid, claims.standing, issued)


def _check_validity(claims: _Claims) -> None:
    auth, now = settings().auth, clock.now().timestamp()
    if (claims.iss, claims.aud) != (auth.issuer, auth.audience):
        raise InvalidToken
    # A life that was shortened since counts at once; `revocation` looks back no further than the present one.
    expiry = min(claims.exp, claims.iat + auth.access_token_minutes * 60)
    if expiry <= now - LEEWAY_SECONDS or max(claims.nbf, claims.iat) > now + LEEWAY_SECONDS:
        raise InvalidToken


def signing_key(purpose: str) -> bytes:
    """A key of its own for each purpose, derived from the one secret, so that no signature serves two."""
    return _derived(settings().secret(), purpose)


@lru_cache(maxsize=32)
def _derived(secret: bytes, purpose: str) -> bytes:
    return hmac.digest(secret, purpose.encode(), hashlib.sha256)


def keyed_hash(purpose: str, value: str) -> str:
    """A hash that only this service can compute, for values that must be matched but not read."""
    return base64.urlsafe_b64encode(hmac.digest(signing_key(purpose), value.encode(), hashlib.sha256)).decode()


def _key_id() -> str:
    return hashlib.sha256(signing_key("access")).hexdigest()[:12]
