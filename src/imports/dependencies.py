"""The doors to an import."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, BinaryIO

from fastapi import Depends, Query, Request

from src.core import idempotency, rate_limit
from src.core.config import settings
from src.core.database import transaction
from src.core.dependencies import Drafter
from src.core.errors import UnsupportedMediaType
from src.core.spooling import spool
from src.imports import service
from src.imports.schemas import ImportOptions

MEDIA_TYPE = "text/csv"
_CSV = re.compile(r"text/csv\s*(;.*)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Sent:
    """A file, and how to read it."""

    file: BinaryIO
    options: ImportOptions


async def get_sent(request: Request, actor: Drafter, options: Annotated[ImportOptions, Query()]) -> AsyncIterator[Sent]:
    """What is sent; nothing of it is read before the caller and the parameters are found to be in order."""
    if not _CSV.fullmatch(request.headers.get("content-type", "")):
        raise UnsupportedMediaType(f"Send the file as {MEDIA_TYPE}")
    # With a key it may have been answered before, which only the whole file tells.
    if idempotency.HEADER not in request.headers:
        async with transaction() as session:  # over before the file is awaited, as is its hold on a connection
            await service.require_room(session, actor)
    await rate_limit.spend(request, settings().imports.limit, "imports", str(actor.id))
    async with spool(request, actor.id) as spooled:
        yield Sent(spooled.file, options)


SentCsv = Annotated[Sent, Depends(get_sent)]
