"""Pure-ASGI middleware: request id and access log, security headers, body limit, HEAD, the last resort."""

import re
import time
from collections.abc import Mapping
from urllib.parse import quote

import structlog
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from src.core import logging, metrics, problems
from src.core.database import new_id
from src.core.errors import PayloadTooLarge, ProblemError, UnsupportedMediaType
from src.core.tracing import REQUEST_ID

_LENGTH = re.compile(rb"[0-9]{1,15}")
LONGEST_LOGGED_PATH = 1000


class RequestContext:
    """Gives each request an id (the client's `X-Request-ID` if it is sane), and writes one access log line."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        request_id = given if REQUEST_ID.fullmatch(given) else new_id().hex
        scope.setdefault("state", {})["request_id"] = request_id
        ip = client[0] if (client := scope.get("client")) else None
        # actor_id too: a request must not inherit the caller of the one before it on the same connection.
        structlog.contextvars.bind_contextvars(request_id=request_id, ip=ip, actor_id=None)
        await self._answer(scope, receive, send, request_id)
        return None

    async def _answer(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        started, status = time.perf_counter(), 500
        metrics.REQUESTS_IN_FLIGHT.inc()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        finally:
            seconds = time.perf_counter() - started
            metrics.REQUESTS_IN_FLIGHT.dec()
            metrics.answered(scope, status, seconds)
            logging.access(
                method=scope["method"],
                path=quote(scope["path"], errors="replace")[:LONGEST_LOGGED_PATH],
                status=status,
                ms=round(seconds * 1000, 1),
            )


_SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "geolocation=(), camera=(), microphone=()",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


class SecurityHeaders:
    """Adds the headers that make a browser careful; a response that sets one itself keeps it."""

    def __init__(self, app: ASGIApp, *, is_https_only: bool) -> None:
        self.app = app
        wanted = dict(_SECURITY_HEADERS)
        if is_https_only:
            wanted["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
        self.headers = [(name.lower().encode(), value.encode()) for name, value in wanted.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        is_personal = any(name == b"authorization" for name, _ in scope["headers"])
        wanted = [*self.headers, (b"cache-control", b"private, no-store" if is_personal else b"no-store")]

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                said = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(header for header in wanted if header[0] not in said)]
            await send(message)

        return await self.app(scope, receive, send_guarded)


class BodyLimit:
    """Refuses bodies over the limit, whether they say so or not, and encodings we do not read."""

    def __init__(self, app: ASGIApp, *, limit: int, limits: Mapping[str, int]) -> None:
        """`limits` are those of the paths that have one of their own."""
        self.app = app
        self.limit = limit
        self.limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        limit = self.limits.get(scope["path"], self.limit)
        if problem := _refusal(dict(scope["headers"]), limit):
            return await problems.render(Request(scope), problem)(scope, receive, send)
        received = 0

        async def receive_limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise PayloadTooLarge(headers={"Connection": "close"})
            return message

        return await self.app(scope, receive_limited, send)


def _refusal(headers: Mapping[bytes, bytes], limit: int) -> ProblemError | None:
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        return UnsupportedMediaType("Send the body without Content-Encoding")
    length = headers.get(b"content-length", b"0")
    if not _LENGTH.fullmatch(length) or int(length) > limit:
        return PayloadTooLarge(headers={"Connection": "close"})
    return None


class HeadAsGet:
    """Answers HEAD as GET would be answered, without the body (RFC 9110, section 9.3.2)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            return await self.app(scope, receive, send)

        async def send_bodiless(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        asked = {**scope, "method": "GET"}
        try:
            return await self.app(asked, receive, send_bodiless)
        finally:
            scope["endpoint"] = asked.get("endpoint")


class LastResort:
    """Answers what nobody foresaw; inside the other layers, so that this answer has its id and headers too."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        has_started = False

        async def send_noticing(message: Message) -> None:
            nonlocal has_started
            has_started = True
            await send(message)

        try:
            return await self.app(scope, receive, send_noticing)
        except Exception as exc:
            if has_started:
                raise
            answer = await problems.on_bug(Request(scope), exc)
            return await answer(scope, receive, send)
