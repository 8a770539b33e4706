"""How listings are reviewed in a test, and a journey to take one on."""

from collections.abc import Callable

import pytest
from httpx import AsyncClient

from src.core import config
from tests.factories import World
from tests.listings.journeys import Journey, journey


@pytest.fixture
def reviewed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Set `listings.review` for this test."""
    return lambda review: monkeypatch.setattr(config.settings().listings, "review", review)


@pytest.fixture
def manual_review(reviewed: Callable[[str], None]) -> None:
    """Moderators look at listings before the public does."""
    reviewed("manual")


@pytest.fixture(name="journey")
async def _journey(client: AsyncClient, world: World) -> Journey:
    return await journey(client, world)
