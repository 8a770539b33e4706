"""Passwords: what is allowed, and hashing them away from the event loop.

The whole password counts: bcrypt reads 72 bytes and stops at NUL, so it is given a digest of fixed length.
"""

import base64
import hashlib
import unicodedata
from collections.abc import Callable
from functools import cache
from typing import TypeVar

import bcrypt
from anyio import CapacityLimiter, to_thread
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from src.auth.errors import WeakPassword
from src.core.config import settings
from src.core.errors import FieldError, Unavailable

S = TypeVar("S")
T = TypeVar("T")

SHORTEST, LONGEST = 8, 256
# bcrypt releases the GIL; two at once leave the event loop its share of a small machine.
_hashing = CapacityLimiter(2)
# Some ten seconds of hashing; who comes later is better told so at once.
LONGEST_QUEUE = 50


def check(password: str, pointer: str = "/password") -> None:
    """Raises WeakPassword for the thirty thousand passwords that are tried first, in any case."""
    if normalised(password).casefold() in _common():
        raise WeakPassword(errors=[FieldError("body", pointer, WeakPassword.code, WeakPassword.title)])


def normalised(password: str) -> str:
    """One form for what keyboards compose differently (NIST SP 800-63B, 5.1.1.2); spaces stay."""
    return unicodedata.normalize("NFKC", password)


async def digest(password: str) -> str:
    """Hash a password, off the event loop."""
    return await _aside(_hash, password, settings().auth.bcrypt_rounds)


async def matches(password: str, password_hash: str | None) -> bool:
    """Whether the password is right; without a hash, one is computed all the same so that the time tells nothing."""
    stored = password_hash or _nobodys_hash(settings().auth.bcrypt_rounds)
    is_right = await _aside(_is_of, password, stored)
    return is_right and password_hash is not None


async def _aside(hashing: Callable[[str, S], T], password: str, setting: S) -> T:
    if _hashing.statistics().tasks_waiting >= LONGEST_QUEUE:
        raise Unavailable(headers={"Retry-After": "5"})
    return await to_thread.run_sync(hashing, password, setting, limiter=_hashing)


def _hash(password: str, rounds: int) -> str:
    return bcrypt.hashpw(_fixed(password), bcrypt.gensalt(rounds)).decode()


def _is_of(password: str, password_hash: str) -> bool:
    return bcrypt.checkpw(_fixed(password), password_hash.encode())


def _fixed(password: str) -> bytes:
    return base64.b64encode(hashlib.sha384(normalised(password).encode()).digest())


def _nobodys_hash(rounds: int) -> str:
    """Well formed and as dear to check as anybody's; the zeros are the hash of no known password."""
    return f"$2b${rounds:02}${'.' * 53}"


@cache
def _common() -> frozenset[str]:
    return frozenset(word for word in FREQUENCY_LISTS["passwords"] if len(word) >= SHORTEST)
