"""Waits for others to wait."""

import asyncio

from sqlalchemy import text

from src.core import database


async def until_somebody_waits() -> None:
    """Until a transaction of this database waits for a lock of another."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with asyncio.timeout(10):
        while True:
            async with database.independent() as session:
                if await session.scalar(waiting):
                    return
