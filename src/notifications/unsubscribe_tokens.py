"""Tokens that switch off one kind of mail for one user: signed, not stored, and good for as long as mail is kept."""

import hashlib
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from itsdangerous import BadData, URLSafeSerializer

from src.core.security import signing_key
from src.notifications.kinds import TRAITS, Kind


class Subscription(NamedTuple):
    """Whose mail of which kind."""

    user_id: UUID
    kind: Kind


@lru_cache(maxsize=8)
def _signer(key: bytes) -> URLSafeSerializer:
    return URLSafeSerializer(key, salt="unsubscribe", signer_kwargs={"digest_method": hashlib.sha256})


def issue(user_id: UUID, kind: Kind) -> str:
    """A token for a mail of this kind to this user."""
    return str(_signer(signing_key("unsubscribe")).dumps([user_id.hex, kind]))


def read(token: str) -> Subscription | None:
    """What `issue` put in; None for any other token, and for a kind that cannot be switched off."""
    try:
        user_id, kind = _signer(signing_key("unsubscribe")).loads(token)
        found = Subscription(UUID(user_id), Kind(kind))
    except (BadData, ValueError, TypeError, RecursionError):
        return None
    return found if TRAITS[found.kind].is_switchable else None
