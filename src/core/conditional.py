"""Conditional requests (RFC 9110, section 13): ETags that carry a row's version, and `If-Match` on contested writes."""

import hashlib
import re
from typing import Annotated

from fastapi import Depends, Header

from src.core.errors import PreconditionFailed, PreconditionRequired

_ETAG = re.compile(r'"([0-9]{1,9})-[0-9a-f]{8}"')


def etag(version: int, body: bytes) -> str:
    """A strong ETag: it differs by viewer as the body does, and names the version a write must match."""
    return f'"{version}-{hashlib.blake2b(body, digest_size=4).hexdigest()}"'


class Versions:
    """The versions a client is willing to overwrite."""

    def __init__(self, header: str | None) -> None:
        self._any = header is not None and header.strip() == "*"
        # A weak tag (`W/"…"`) matches nothing: `If-Match` compares strongly.
        tags = (_ETAG.fullmatch(tag.strip()) for tag in (header or "").split(","))
        self._versions = {int(tag[1]) for tag in tags if tag}
        self.is_given = header is not None

    def check(self, version: int) -> None:
        """Raises PreconditionFailed when the client has read another version; call it with the row locked."""
        if self.is_given and not self._any and version not in self._versions:
            raise PreconditionFailed


IfMatchHeader = Annotated[
    str | None,
    Header(
        alias="If-Match",
        max_length=1000,
        description="The ETag you read; a stale one is refused with 412",
        examples=['"3-1f2e3d4c"'],
    ),
]


async def optional_if_match(if_match: IfMatchHeader = None) -> Versions:
    """`If-Match`, honoured where it is sent."""
    return Versions(if_match)


async def required_if_match(if_match: IfMatchHeader = None) -> Versions:
    """`If-Match`, without which two editors would lose each other's updates."""
    if if_match is None:
        raise PreconditionRequired
    return Versions(if_match)


OptionalIfMatch = Annotated[Versions, Depends(optional_if_match)]
RequiredIfMatch = Annotated[Versions, Depends(required_if_match)]
