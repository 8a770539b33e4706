"""Timers and people at the same moment, with real commits: one of them wins, and nothing happens twice."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from httpx import AsyncClient, Response
from sqlalchemy import select, text, update

from src.core import clock, database
from src.listings import timers
from src.listings.models import Listing
from tests.factories import Person, World
from tests.listings import stored

pytestmark = pytest.mark.usefixtures("committed")
LIFE = ["listing.expiring", "listing.expiring", "listing.expired", "listing.archived"]


async def run_timers() -> None:
    """All that is due, as a process of its own would that has no lease on the job."""
    has_more = True
    while has_more:
        async with database.transaction() as session:
            has_more = await timers.run_due(session)


async def post(client: AsyncClient, owner: Person, listing: dict[str, Any], action: str) -> Response:
    return await client.post(f"/api/v1/listings/{listing['id']}/{action}", headers=owner.headers)


async def facts(listing: dict[str, Any]) -> list[str]:
    """What happened since it was published."""
    names = await stored.events_of(listing["id"])
    return names[names.index("listing.published") + 1 :]


async def at_the_end(world: World, owner: Person) -> Person:
    """Signed in again on the day on which listings of today expire, their owners warned."""
    clock.advance(timedelta(days=59, hours=12))
    await run_timers()
    clock.advance(timedelta(days=1))
    return await world.sign_in(owner.id, owner.email)


async def test_of_four_at_once_over_120_listings_each_fact_comes_once_and_in_order(world: World) -> None:
    owner = await world.person()
    first = await world.published(owner)
    ids = [UUID(first["id"])]
    async with database.transaction() as session:
        columns = [c.name for c in Listing.__table__.columns if c.name not in ("id", "is_public", "sphere")]
        copied = f"INSERT INTO listings (id, {', '.join(columns)}) SELECT gen_random_uuid(), {', '.join(columns)}"
        made = await session.scalars(text(f"{copied} FROM listings, generate_series(2, 120) RETURNING id"))
        ids += list(made)
    clock.advance(timedelta(days=365))
    while await left(ids):
        await asyncio.gather(*(run_timers() for _ in range(4)))
    for listing_id in ids:
        assert [name for name in await stored.events_of(str(listing_id)) if name in LIFE] == LIFE


async def left(ids: list[UUID]) -> bool:
    """Whether any of them is not archived."""
    async with database.transaction() as session:
        others = select(Listing.id).where(Listing.id.in_(ids), Listing.status != "archived").limit(1)
        return await session.scalar(others) is not None


async def test_of_expiring_and_withdrawing_one_wins(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    listings = [await world.published(owner) for _ in range(6)]
    owner = await at_the_end(world, owner)
    answers, _ = await asyncio.gather(
        asyncio.gather(*(post(client, owner, listing, "withdraw") for listing in listings)), run_timers()
    )
    await run_timers()
    for listing, answer in zip(listings, answers, strict=True):
        won = "withdrawn" if answer.status_code == 200 else "expired"
        assert answer.status_code in (200, 409)
        assert (await stored.row_of(listing["id"]))["status"] == won
        assert (await facts(listing))[2:] == [f"listing.{won}"]


async def test_what_is_renewed_while_it_expires_is_public_afterwards(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    listings = [await world.published(owner) for _ in range(6)]
    owner = await at_the_end(world, owner)
    answers, _ = await asyncio.gather(
        asyncio.gather(*(post(client, owner, listing, "renew") for listing in listings)), run_timers()
    )
    await run_timers()
    for listing, answer in zip(listings, answers, strict=True):
        row = await stored.row_of(listing["id"])
        assert (answer.status_code, row["status"]) == (200, "published")
        assert row["expires_at"] - clock.now() > timedelta(days=59)
        assert (await facts(listing))[2:] in (["listing.renewed"], ["listing.expired", "listing.renewed"])
        assert row["version"] == 2 + len((await facts(listing))[2:])


async def test_what_somebody_holds_is_left_to_them_and_keeps_nobody_waiting(world: World) -> None:
    owner = await world.person()
    held, free = await world.published(owner), await world.published(owner)
    await at_the_end(world, owner)
    async with database.transaction() as session:
        await session.get_one(Listing, UUID(held["id"]), with_for_update=True)
        await asyncio.wait_for(run_timers(), 4)
    statuses = [(await stored.row_of(listing["id"]))["status"] for listing in (held, free)]
    assert statuses == ["published", "expired"]
    await run_timers()
    assert (await stored.row_of(held["id"]))["status"] == "expired"


async def test_a_listing_that_fails_does_not_hold_up_the_others(world: World) -> None:
    owner = await world.person()
    impossible, other = await world.draft(owner), await world.published(owner)
    async with database.transaction() as session:
        due = update(Listing).where(Listing.id == UUID(impossible["id"])).values(timer_at=clock.now())
        await session.execute(due)
    await at_the_end(world, owner)
    before = await stored.row_of(impossible["id"])
    await run_timers()
    assert (await stored.row_of(other["id"]))["status"] == "expired"
    after = await stored.row_of(impossible["id"])
    assert {name for name in before if before[name] != after[name]} <= {"timer_at"}
    assert after["timer_at"] > clock.now()
