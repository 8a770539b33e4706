"""What comes round: tokens and sessions that nobody can use any more go."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from src.auth import one_time_tokens, service
from src.core.schedule import every

BATCH = 1000


@every(timedelta(hours=1))
async def remove_expired_tokens(session: AsyncSession) -> bool:
    """Expired one-time tokens, used or not."""
    return await one_time_tokens.remove_expired(session, BATCH) == BATCH


@every(timedelta(hours=1))
async def remove_old_sessions(session: AsyncSession) -> bool:
    """Sessions that expired long ago."""
    return await service.remove_old_sessions(session, BATCH) == BATCH
