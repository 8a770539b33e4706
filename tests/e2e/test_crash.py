"""The server dies in the middle of a request that is then sent again."""

import signal
import sys
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select

from src.core import database
from src.core.events import EventRecord
from src.listings.models import Listing
from tests.e2e.server import serving
from tests.factories import World, vehicle_data

pytestmark = pytest.mark.processes


async def listings() -> int:
    async with database.transaction() as session:
        return await session.scalar(select(func.count()).select_from(Listing)) or 0


@pytest.mark.parametrize(("moment", "effects"), [("before-commit", 0), ("before-answer", 1)])
async def test_I17_a_crash_leaves_exactly_one_effect_once_it_is_sent_again(
    committed: None,
    client: httpx.AsyncClient,
    world: World,
    *,
    moment: str,
    effects: int,
    database_url: str,
    tmp_path: Path,
) -> None:
    owner = await world.person()
    headers = owner.headers | {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
    dying = (sys.executable, Path(__file__).with_name("dying.py"), moment)
    with serving(database_url, tmp_path, dying) as server:
        async with httpx.AsyncClient(base_url=server.address) as first:
            with pytest.raises(httpx.RemoteProtocolError):
                await first.post("/api/v1/vehicles", json=vehicle_data(), headers=headers)
        assert server.process.wait(timeout=10) == -signal.SIGKILL
    assert await listings() == effects
    again = await client.post("/api/v1/vehicles", json=vehicle_data(), headers=headers)
    assert (again.status_code, "Idempotency-Replayed" in again.headers) == (201, effects == 1)
    assert await listings() == 1
    async with database.transaction() as session:
        [made] = await session.scalars(select(EventRecord.data["listing_id"].astext))
    assert made == again.json()["id"]
    read = await client.get(again.headers["Location"], headers=owner.headers)
    assert read.content == again.content
