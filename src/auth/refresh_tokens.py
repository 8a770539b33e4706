"""Refresh tokens are derived, not stored: `<session>.<generation>.<mac>` (see ADR 0005).

Whoever presents generation N again within the grace window is given the same N+1, so a lost answer costs nothing;
after it, N is proof of theft. Rules: RFC 9700, section 4.14.
"""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from uuid import UUID

from src.auth.errors import InvalidRefreshToken
from src.auth.models import AuthSession
from src.core.security import signing_key

_FORM = re.compile(r"([0-9a-f]{32})\.([1-9][0-9]{0,8})\.([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A presented token, not yet checked against its session's salt."""

    session_id: UUID
    generation: int
    mac: str

    def belongs_to(self, session: AuthSession) -> bool:
        """Whether this service issued it for that session."""
        return hmac.compare_digest(self.mac, _mac(session.id, self.generation, session.salt))


def issue(session: AuthSession, generation: int) -> str:
    """The token of that generation; the same each time."""
    return f"{session.id.hex}.{generation}.{_mac(session.id, generation, session.salt)}"


def parse(token: str) -> RefreshToken:
    """Read a token's form.

    Raises:
        InvalidRefreshToken: it has another form.
    """
    form = _FORM.fullmatch(token)
    if form is None:
        raise InvalidRefreshToken
    return RefreshToken(UUID(form[1]), int(form[2]), form[3])


def _mac(session_id: UUID, generation: int, salt: bytes) -> str:
    message = session_id.bytes + generation.to_bytes(4, "big") + salt
    mac = hmac.digest(signing_key("refresh"), message, hashlib.sha256)
    return base64.urlsafe_b64encode(mac).decode().rstrip("=")
