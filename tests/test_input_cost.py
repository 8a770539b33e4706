"""What anybody may send costs little, and is refused before much of it was looked at."""

import time

import pytest
from httpx import AsyncClient

from tests.test_input import JSON

SIZE = 1_000_000
# On a slow machine; each of these took from half a second to thirteen of them.
MOST_SECONDS = 0.45
NESTED = 900


def filled(part: bytes, before: bytes = b"[", after: bytes = b"0]") -> bytes:
    """A body of almost as many bytes as are taken, of the same part again and again."""
    return before + part * ((SIZE - len(before) - len(after)) // len(part)) + after


def members() -> bytes:
    return b"{" + b",".join(b'"a%d":1' % number for number in range(SIZE // 11)) + b"}"


BODIES = {
    "unsafe text": filled(rb'"\u0001",'),
    "unsafe text, deep": filled(rb'"\u0001",', b"[" * NESTED, b"0" + b"]" * NESTED),
    "unsafe at the end, deep": filled(rb'"\u0041",', b"[" * NESTED, rb'"\u0001"' + b"]" * NESTED),
    "no numbers": filled(b"NaN,"),
    "no numbers, deep": filled(b"NaN,", b"[" * NESTED, b"0" + b"]" * NESTED),
    "unknown members": members(),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("path", ["vehicles", "auth/refresh"])
async def test_I19_a_body_with_many_faults_is_refused_at_once(client: AsyncClient, path: str, body: bytes) -> None:
    started = time.process_time()
    answer = await client.post(f"/api/v1/{path}", content=body, headers=JSON)
    assert time.process_time() - started < MOST_SECONDS
    assert answer.status_code == 422
    assert 1 <= len(answer.json()["errors"]) <= 100
