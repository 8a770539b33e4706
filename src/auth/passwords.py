"""Passwords: what is allowed, and hashing them away from the event loop.

The whole password counts: bcrypt reads 72 bytes and stops at NUL, so it is given a digest of fixed length.
"""

import asyncio
import base64
import hashlib
import os
import sys
import threading
import unicodedata
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

import bcrypt
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from src.auth.errors import WeakPassword
from src.core.config import settings
from src.core.errors import FieldError, Unavailable

S = TypeVar("S")
T = TypeVar("T")

SHORTEST, LONGEST = 8, 256
# bcrypt releases the GIL and fills a processor for a quarter of a second: two at once at most, and one processor is
# left for everybody else.
MOST_AT_ONCE = max(1, min(2, (os.cpu_count() or 1) - 1))
# Some ten seconds of hashing; who comes later is better told so at once.
LONGEST_QUEUE = 25 * MOST_AT_ONCE
_unfinished: set[Future[Any]] = set()


def _step_back() -> None:
    """Let the event loop go first, where threads have priorities of their own."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)


_hashers = ThreadPoolExecutor(MOST_AT_ONCE, "hashing", _step_back)


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
    if len(_unfinished) >= LONGEST_QUEUE + MOST_AT_ONCE:
        raise Unavailable(headers={"Retry-After": "5"})
    hashed = _hashers.submit(hashing, password, setting)
    _unfinished.add(hashed)
    hashed.add_done_callback(_unfinished.discard)
    return await asyncio.wrap_future(hashed)


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
