"""Makes tokens as an attacker would, or as this service would if it were careless."""

import base64
import hashlib
import hmac
import json
from typing import Any

from src.core.security import signing_key

Part = dict[str, Any]


def parts(token: str) -> tuple[Part, Part]:
    """Header and claims of a JWT."""
    header, claims, _ = token.split(".")
    return json.loads(_decoded(header)), json.loads(_decoded(claims))


def signed(header: Part, claims: Part | str, key: bytes | None = None, digest: str = "sha256") -> str:
    """A JWT with an HMAC signature, by default with the key that this service signs access tokens with."""
    written = claims if isinstance(claims, str) else json.dumps(claims)
    message = f"{_encoded(json.dumps(header).encode())}.{_encoded(written.encode())}"
    mac = hmac.digest(signing_key("access") if key is None else key, message.encode(), getattr(hashlib, digest))
    return f"{message}.{_encoded(mac)}"


def unsigned(header: Part, claims: Part) -> str:
    """A JWT whose signature is empty."""
    return signed(header, claims).rpartition(".")[0] + "."


def _encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def _decoded(value: str) -> bytes:
    return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
