"""People who sign in while others read."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

LOGINS_A_SECOND = 20


@contextmanager
def logging_in(address: str) -> Iterator[None]:
    """Twenty logins a second until leaving; of nobody, which costs as much hashing as anybody's."""
    is_over = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_log_in(address, is_over)))
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


async def _log_in(address: str, is_over: threading.Event) -> None:
    form = {"username": "nobody@key2key.example", "password": "a password of nobody"}
    async with httpx.AsyncClient(base_url=address, timeout=60) as client:
        sent: set[asyncio.Task[httpx.Response]] = set()
        while not is_over.is_set():
            sent.add(asyncio.create_task(client.post("/api/v1/auth/login", data=form)))
            await asyncio.sleep(1 / LOGINS_A_SECOND)
        await asyncio.gather(*sent, return_exceptions=True)
