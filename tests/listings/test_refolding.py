"""After a release that folds otherwise, what was stored is made again."""

import asyncio
from uuid import UUID

import pytest
from httpx import AsyncClient
from sqlalchemy import cast, func, select, update
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.ext.asyncio import AsyncEngine

from src import cli
from src.core import database
from src.core.text import FOLDING
from src.geo import loading
from src.listings import refolding
from src.listings.models import Listing, ListingPhrase, ListingWord
from src.listings.refolding import refold
from tests.factories import property_data, vehicle_data
from tests.listings.learned import learn
from tests.listings.published import publish
from tests.listings.stored import events_of, nothing_changes, row_of

HAWASSA = {"country": "ET", "city": "ሐዋሳ"}


async def age(*listing_ids: str) -> None:
    """As an older release left them: the word unfolded, the city unknown, no vocabulary."""
    async with database.transaction() as session:
        old = {"folding": FOLDING - 1, "search": cast("'ሐዋሳ':1A", TSVECTOR), "city_key": "ሐዋሳ", "city_id": None}
        await session.execute(update(Listing).where(Listing.id.in_(map(UUID, listing_ids))).values(**old))


async def found(client: AsyncClient, **query: str) -> set[str]:
    answer = await client.get("/api/v1/listings", params=query)
    return {item["id"] for item in answer.json()["items"]}


async def test_older_listings_are_folded_again_and_found(client: AsyncClient) -> None:
    ids = await publish(
        vehicle_data(title="ሐዋሳ ላይ", location=HAWASSA), property_data(title="በሐዋሳ ከተማ ሐዋሳ", location=HAWASSA)
    )
    before = [await row_of(listing_id) for listing_id in ids]
    await age(*ids)
    assert await found(client, q="ሀዋሳ") == await found(client, city="ሀዋሳ") == set()
    assert await refold() == 2
    assert await found(client, q="ሀዋሳ") == await found(client, city="ሀዋሳ") == set(ids)
    assert [await row_of(listing_id) for listing_id in ids] == before
    assert [await events_of(listing_id) for listing_id in ids] == [["listing.created"]] * 2


async def test_what_is_public_is_learned_on_the_way(client: AsyncClient) -> None:
    [listing] = await publish(vehicle_data())
    await age(listing)
    await refold()
    async with database.transaction() as session:
        assert {"toyota", "~toyota"} <= set(await session.scalars(select(ListingWord.word)))


async def test_what_is_of_this_folding_stays(client: AsyncClient) -> None:
    await publish(vehicle_data(), property_data())
    async with nothing_changes():
        assert await refold() == 0


async def test_there_may_be_several_batches(client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = await publish(*(vehicle_data() for _ in range(5)))
    await age(*ids)
    monkeypatch.setattr(refolding, "BATCH", 2)
    assert await refold() == 5
    async with database.transaction() as session:
        older = select(func.count()).select_from(Listing).where(Listing.folding < FOLDING)
        assert await session.scalar(older) == 0


async def test_two_that_start_at_once_fold_each_listing_once(committed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    await age(*await publish(*(vehicle_data() for _ in range(6))))
    monkeypatch.setattr(refolding, "BATCH", 2)
    assert sum(await asyncio.gather(refold(), refold())) == 6


async def test_learning_meanwhile_stands_in_nobodys_way(
    committed: None, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await publish(*(vehicle_data(title=f"Zebra {word} ቤት") for word in ("lion", "okapi", "gnu", "ape")))
    await age(*ids)
    monkeypatch.setattr(refolding, "BATCH", 2)
    batches = (ids, ids[::-1], ids[1:], ids[:2])
    folding = asyncio.gather(refold(), refold())
    await asyncio.gather(folding, *(learn(*batch) for batch in batches))
    assert sum(folding.result()) == 4
    async with database.transaction() as session:
        assert {"lion", "okapi", "gnu", "ape"} <= set(await session.scalars(select(ListingPhrase.key)))


async def test_O02_migrating_folds_again(committed: None, engine: AsyncEngine) -> None:
    [listing] = await publish(vehicle_data())
    await age(listing)
    await cli._migrate(engine)
    assert (await row_of(listing))["folding"] == FOLDING


async def test_an_edit_brings_a_listing_to_this_folding(client: AsyncClient) -> None:
    [listing] = await publish(vehicle_data())
    assert (await row_of(listing))["folding"] == FOLDING


async def test_cities_are_keyed_again_with_each_folding(storage: None, monkeypatch: pytest.MonkeyPatch) -> None:
    async with database.transaction() as session:
        assert not await loading.load(session)
        monkeypatch.setattr(loading, "FOLDING", FOLDING + 1)
        monkeypatch.setattr(loading, "_cities", lambda: iter(()))
        monkeypatch.setattr(loading, "_upsert", nothing_loaded)
        assert await loading.load(session)
        await session.rollback()


async def nothing_loaded(*arguments: object) -> None:
    """Loading the world takes seconds."""
