"""What the handlers that send mails do, and what is read in them."""

from uuid import UUID

from src.auth import one_time_tokens
from src.auth.one_time_tokens import Purpose
from src.core import database


async def mint(user_id: UUID, purpose: Purpose = Purpose.RESET_PASSWORD) -> str:
    """A token as the handler makes it just before it sends the mail."""
    async with database.transaction() as session:
        return (await one_time_tokens.mint(session, user_id, purpose)).token
