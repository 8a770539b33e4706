"""`Idempotency-Key`: a POST that is sent again has one effect, and gets the answer of the first.

The answer is a row of the request's own transaction, so a crash between the commit and the answer loses neither. After
draft-ietf-httpapi-idempotency-key-header. An answer that holds a token must never be kept: sign-in has no such key.
"""

import hashlib
import hmac
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Header, Request, Response
from pydantic import WithJsonSchema
from sqlalchemy import BigInteger, delete, func, literal, select
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from src.core import clock, rate_limit, spooling
from src.core.config import settings
from src.core.database import Base
from src.core.dependencies import CurrentActor, SessionDep
from src.core.errors import Conflict, FieldError, Invalid, ProblemError
from src.core.security import signing_key
from src.core.strict import Answered

HEADER, REPLAYED = "Idempotency-Key", "Idempotency-Replayed"
KEPT_HEADERS = ("Content-Type", "ETag", "Location")
RETRY_SECONDS = 1
# At a time, so that a request is not kept waiting by what others have left.
MOST_FORGOTTEN = 20

_KEY = re.compile(r"[!-~]{1,255}")


class BadIdempotencyKey(ProblemError):
    """The key is empty, too long, given twice or not visible ASCII."""

    status, code, title = 400, "bad_idempotency_key", "An Idempotency-Key is 1 to 255 visible ASCII characters"


class IdempotencyKeyReused(Invalid):
    """The key belongs to another request of the same caller."""

    code, title = "idempotency_key_reused", "This Idempotency-Key was sent with another request"


class RequestStillRunning(Conflict):
    """The first request with this key has not been answered yet."""

    code, title = "request_still_running", "The first request with this Idempotency-Key is still running"


REFUSALS = (BadIdempotencyKey, IdempotencyKeyReused, RequestStillRunning)


class KeptAnswer(Base):
    """What was answered to the first request with a key. Expired rows are as good as none."""

    __tablename__ = "idempotency_keys"

    subject: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[bytes]
    status: Mapped[int]
    headers: Mapped[dict[str, Any]] = mapped_column(JSONB)
    body: Mapped[bytes]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)


KeyHeader = Annotated[
    Annotated[str, WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"})] | None,
    Header(
        alias=HEADER,
        description="A new random value for each thing to create; sent again, it creates nothing and answers the same",
        examples=["8e03978e-40d5-43dd-bc93-6894a57f9324"],
    ),
]


@dataclass(frozen=True, slots=True)
class _Claim:
    """A key of somebody, and a keyed hash of what they sent with it (it may hold a password)."""

    subject: UUID
    key: str
    fingerprint: bytes

    @property
    def lock(self) -> int:
        digest = hashlib.sha256(self.subject.bytes + self.key.encode()).digest()
        return int.from_bytes(digest[:8], signed=True)


async def _of_caller(actor: CurrentActor) -> UUID:
    return actor.id


async def _of_address(request: Request) -> UUID:
    """Who has no account yet is told apart by address, which is not stored as such."""
    return UUID(bytes=_digest("idempotency address", rate_limit.client_address(request).encode())[:16])


def _digest(purpose: str, value: bytes) -> bytes:
    return hmac.digest(signing_key(purpose), value, hashlib.sha256)


def _once(subject_of: Callable[..., Awaitable[UUID]]) -> Callable[..., AsyncIterator[None]]:
    async def answer_once(
        request: Request,
        session: SessionDep,
        subject: Annotated[UUID, Depends(subject_of)],
        key: KeyHeader = None,
    ) -> AsyncIterator[None]:
        if key is None:
            yield
            return
        claim = _Claim(subject, _checked(request, key), await _fingerprint(request))
        await _take(session, claim)
        yield
        # The endpoint has answered and the transaction is still open; a refusal is raised, and never comes here.
        await _keep(session, claim, request.scope["answer"])

    return answer_once


# Name it last in an endpoint's signature: whoever may not act is refused before any answer is given again.
Idempotent = Annotated[None, Depends(_once(_of_caller), scope="function")]
IdempotentForAnybody = Annotated[None, Depends(_once(_of_address), scope="function")]


def _checked(request: Request, key: str) -> str:
    if len(request.headers.getlist(HEADER)) == 1 and _KEY.fullmatch(key):
        return key
    detail = BadIdempotencyKey.title
    raise BadIdempotencyKey(errors=[FieldError("header", f"/{HEADER}", BadIdempotencyKey.code, detail)])


async def _fingerprint(request: Request) -> bytes:
    """Of a body that is read whole, or that was spooled before."""
    body = spooled.digest if (spooled := spooling.spooled(request)) else await request.body()
    head = [request.method, request.url.path, request.url.query, request.headers.get("content-type", "")]
    return _digest("idempotency", "\n".join(head).encode() + b"\n" + body)


async def _take(session: AsyncSession, claim: _Claim) -> None:
    """Hold the key until the end of the transaction, unless it has its answer already.

    Raises:
        RequestStillRunning: somebody else holds it.
        IdempotencyKeyReused: it was sent with something else.
        Answered: with the kept answer.
    """
    if not await session.scalar(select(func.pg_try_advisory_xact_lock(literal(claim.lock, BigInteger)))):
        raise RequestStillRunning(headers={"Retry-After": str(RETRY_SECONDS)})
    # In a statement of its own, whose snapshot is younger than the lock.
    kept = await session.get(KeptAnswer, (claim.subject, claim.key))
    if kept is None or kept.expires_at <= clock.now():
        return
    if not hmac.compare_digest(kept.fingerprint, claim.fingerprint):
        detail = IdempotencyKeyReused.title
        raise IdempotencyKeyReused(errors=[FieldError("header", f"/{HEADER}", IdempotencyKeyReused.code, detail)])
    raise Answered(Response(kept.body, kept.status, {**kept.headers, REPLAYED: "true"}))


async def _keep(session: AsyncSession, claim: _Claim, answer: Response) -> None:
    now = clock.now()
    values = {
        "fingerprint": claim.fingerprint,
        "status": answer.status_code,
        "headers": {name: answer.headers[name] for name in KEPT_HEADERS if name in answer.headers},
        "body": bytes(answer.body),
        "created_at": now,
        "expires_at": now + timedelta(hours=settings().http.idempotency_hours),
    }
    row = insert(KeptAnswer).values(subject=claim.subject, key=claim.key, **values)
    await session.execute(row.on_conflict_do_update(index_elements=["subject", "key"], set_=values))
    await forget_expired(session, MOST_FORGOTTEN)


async def forget_expired(session: AsyncSession, most: int) -> int:
    """Answers may hold personal data: take expired ones away, but none that somebody replaces; how many went.

    Each new answer does so with some, and a job with what nobody else takes away.
    """
    identity = (KeptAnswer.subject, KeptAnswer.key)
    expired = select(*identity).where(KeptAnswer.expires_at <= clock.now()).limit(most)
    found = expired.with_for_update(skip_locked=True).cte("expired")
    gone = delete(KeptAnswer).where(KeptAnswer.subject == found.c.subject, KeptAnswer.key == found.c.key)
    forgotten = gone.returning(KeptAnswer.key).execution_options(synchronize_session=False)
    return len((await session.scalars(forgotten)).all())
