"""Conditional requests (RFC 9110, section 13): ETags that carry a row's version, `If-Match` on contested writes,
and `If-None-Match` on what anybody may read, with how long they may keep it.
"""

import hashlib
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

from fastapi import Depends, Header, Request, Response

from src.core.errors import PreconditionFailed, PreconditionRequired, invalid_field

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


# The setting that says for how many seconds anybody may keep an answer.
Lifetime = Literal["cache_seconds", "reference_cache_seconds"]
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

LONGEST_IF_NONE_MATCH = 8000
NOT_MODIFIED: dict[int | str, dict[str, Any]] = {304: {"description": "It is still what you have"}}
_REPEATED_IN_304 = ("ETag", "Cache-Control", "Vary")
_TAG = re.compile(r'\s*(?:W/)?("[^"]*")\s*')
_lifetimes: dict[Callable[..., Any], Lifetime] = {}


def cached(lifetime: Lifetime) -> Callable[[Endpoint], Endpoint]:
    """Mark an endpoint that anybody may read: caches may keep what it answers to nobody in particular."""

    def mark(endpoint: Endpoint) -> Endpoint:
        _lifetimes[endpoint] = lifetime
        return endpoint

    return mark


def lifetime_of(endpoint: Callable[..., Any]) -> Lifetime | None:
    """The mark of an endpoint."""
    return _lifetimes.get(endpoint)


def finished(request: Request, answer: Response, lifetime: Lifetime) -> Response:
    """The answer with its ETag and for whom it may be kept; 304 without a body where the client has it already.

    Raises:
        Invalid: `If-None-Match` is endless.
    """
    headers = answer.headers
    tag = headers.get("etag") or f'"{hashlib.sha256(answer.body).hexdigest()[:16]}"'
    headers["ETag"] = tag
    headers["Cache-Control"] = _cache_control(request, getattr(request.app.state.settings.http, lifetime))
    headers["Vary"] = "Authorization"
    if not _has(request, tag):
        return answer
    return Response(status_code=304, headers={name: headers[name] for name in _REPEATED_IN_304})


def _cache_control(request: Request, seconds: int) -> str:
    if "authorization" in request.headers:
        return "private, no-store"
    # The two times add up: what was taken down is gone everywhere after `seconds`.
    stale = seconds // 5
    return f"public, max-age={seconds - stale}, stale-while-revalidate={stale}"


def _has(request: Request, tag: str) -> bool:
    """Whether `If-None-Match` names the tag, weak or strong, or anything at all."""
    given = ",".join(request.headers.getlist("if-none-match"))
    if not given:
        return False
    if len(given) > LONGEST_IF_NONE_MATCH:
        raise invalid_field(
            "/If-None-Match", "string_too_long", f"has over {LONGEST_IF_NONE_MATCH} characters", "header"
        )
    tags = map(_TAG.fullmatch, given.split(","))
    return given.strip() == "*" or tag in [match[1] for match in tags if match]
