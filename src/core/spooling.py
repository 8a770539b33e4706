"""Bodies that are too large for memory: they wait in a temporary file, and no database connection waits with them."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import BinaryIO
from uuid import UUID

from fastapi import Request
from starlette.requests import ClientDisconnect

from src.core.config import settings
from src.core.errors import ProblemError, TooManyRequests, Unavailable

# In one process, so that the disk is not filled; and of them of one sender.
MOST_AT_ONCE, MOST_OF_ONE = 4, 1
# For the whole body: 64 MB arrive in time over 1 Mbit/s.
LONGEST_SECONDS = 600.0
RETRY_SECONDS = "10"

_KEY = "spooled"
# Of the bodies under way.
_senders: list[UUID] = []


class BodyCutOff(ProblemError):
    """The client went away before it had sent all of the body."""

    status, code, title = 400, "body_cut_off", "The body ended too early"


class BodyTooSlow(ProblemError):
    """The body did not arrive in ten minutes."""

    status, code, title = 408, "body_too_slow", "The body took too long to arrive"


@dataclass(frozen=True, slots=True)
class Spooled:
    """A whole body: the file that it is in, and what tells it from others."""

    file: BinaryIO
    digest: bytes


def spooled(request: Request) -> Spooled | None:
    """The body of this request, if it was spooled."""
    found: Spooled | None = request.scope.get(_KEY)
    return found


@asynccontextmanager
async def spool(request: Request, sender_id: UUID) -> AsyncIterator[Spooled]:
    """The body of the request, from its beginning; also where the request is run again.

    Raises:
        BodyCutOff, BodyTooSlow, PayloadTooLarge.
        TooManyRequests, Unavailable: other bodies are under way, of the sender or of others.
    """
    if (found := spooled(request)) is not None:
        found.file.seek(0)
        yield found
        return
    settings().uploads_dir.mkdir(parents=True, exist_ok=True)
    with _turn(sender_id), TemporaryFile(dir=settings().uploads_dir) as file:
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                digest = await _receive(request, file)
        except TimeoutError:
            raise BodyTooSlow from None
        file.seek(0)
        request.scope[_KEY] = Spooled(file, digest)
        yield request.scope[_KEY]


async def _receive(request: Request, file: BinaryIO) -> bytes:
    """Write the body to the file; its digest."""
    digest = hashlib.sha256()
    try:
        async for piece in request.stream():
            digest.update(piece)
            await asyncio.to_thread(file.write, piece)
    except ClientDisconnect:
        raise BodyCutOff from None
    return digest.digest()


@contextmanager
def _turn(sender_id: UUID) -> Iterator[None]:
    if _senders.count(sender_id) >= MOST_OF_ONE:
        raise TooManyRequests("Another body of yours is on its way", headers={"Retry-After": RETRY_SECONDS})
    if len(_senders) >= MOST_AT_ONCE:
        raise Unavailable(headers={"Retry-After": RETRY_SECONDS})
    _senders.append(sender_id)
    try:
        yield
    finally:
        _senders.remove(sender_id)
