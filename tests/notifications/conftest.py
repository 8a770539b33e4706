"""Handlers subscribed, mail to a real server, and people who are told things."""

from collections.abc import AsyncIterator

import pytest
from httpx import AsyncClient

from src import relay
from src.core import config
from tests import smtp
from tests.factories import World
from tests.listings.journeys import Journey, journey
from tests.notifications.mailbox import Mailbox


@pytest.fixture(autouse=True)
def _subscribed() -> None:
    relay.subscribe_all()


@pytest.fixture
async def mailbox(committed: None, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Mailbox]:
    """Where all mail of the test goes."""
    settings = config.settings()
    monkeypatch.setattr(settings, "public_url", "https://api.key2key.example")
    monkeypatch.setattr(settings, "app_url", "https://key2key.example")
    async with smtp.running() as server:
        monkeypatch.setattr(settings, "smtp", config.SmtpSettings(host="127.0.0.1", port=server.port, security="none"))
        yield Mailbox(server)


@pytest.fixture
def manual_review(monkeypatch: pytest.MonkeyPatch) -> None:
    """Moderators look at listings before the public does."""
    monkeypatch.setattr(config.settings().listings, "review", "manual")


@pytest.fixture(name="journey")
async def _journey(client: AsyncClient, world: World) -> Journey:
    return await journey(client, world)
