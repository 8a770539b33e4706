"""Relevance: text, freshness and completeness, and what is said of them."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from httpx import AsyncClient
from sqlalchemy import update

from src.core import clock, database
from src.listings import orders
from src.listings import search as searching
from src.listings.models import Listing
from src.listings.ranking import HALF_LIFE_DAYS
from tests.factories import vehicle_data
from tests.listings.published import publish


async def search(client: AsyncClient, path: str = "listings", **query: Any) -> list[dict[str, Any]]:
    answer = await client.get(f"/api/v1/{path}", params={"q": "vitz", **query})
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def age(listing_id: str, days: float) -> None:
    async with database.transaction() as session:
        published_at = clock.now() - timedelta(days=days)
        await session.execute(update(Listing).where(Listing.id == UUID(listing_id)).values(published_at=published_at))


async def complete(listing_id: str, percent: int) -> None:
    async with database.transaction() as session:
        await session.execute(update(Listing).where(Listing.id == UUID(listing_id)).values(completeness=percent))


async def test_of_listings_that_fit_alike_the_newer_is_first(client: AsyncClient) -> None:
    older, newer = await publish(vehicle_data(), vehicle_data())
    await age(newer, 1)
    await age(older, 3)
    assert [item["id"] for item in await search(client)] == [newer, older]


async def test_of_listings_as_new_the_one_that_tells_more_is_first(client: AsyncClient) -> None:
    more, less = await publish(vehicle_data(), vehicle_data())
    await complete(more, 90)
    await complete(less, 20)
    assert [item["id"] for item in await search(client)] == [more, less]


async def test_a_good_fit_outweighs_some_age_but_not_any(client: AsyncClient) -> None:
    lada = {"make": "Lada", "model_year": 2000, "mileage": 1}
    fits, mentions = await publish(
        vehicle_data(title="Vitz", vehicle=lada), vehicle_data(title="Lada", description="No vitz at all", vehicle=lada)
    )
    await age(fits, 30)
    assert [item["id"] for item in await search(client)] == [fits, mentions]
    await age(fits, 300)
    assert [item["id"] for item in await search(client)] == [mentions, fits]


@pytest.mark.parametrize("path", ["listings", "vehicles"])
@pytest.mark.parametrize("sort", ["relevance", "newest"])
async def test_the_score_is_explained(path: str, sort: str, client: AsyncClient) -> None:
    older, newer = await publish(vehicle_data(), vehicle_data())
    await age(older, HALF_LIFE_DAYS)
    await age(newer, 0)
    items = await search(client, path, explain="true", sort=sort)
    scores = {item["id"]: item["score"] for item in items}
    for score in scores.values():
        assert score["total"] == pytest.approx(score["text"] + score["freshness"] + score["completeness"])
    assert scores[newer]["freshness"] - scores[older]["freshness"] == pytest.approx(1, abs=0.01)
    assert scores[newer]["text"] == scores[older]["text"]
    assert scores[newer]["completeness"] == items[0]["completeness"] / 100


async def test_unasked_nothing_is_explained(client: AsyncClient) -> None:
    await publish(vehicle_data())
    assert ["score" in item for item in await search(client)] == [False]
    assert ["score" in item for item in await search(client, explain="false")] == [False]


async def test_without_words_there_is_nothing_to_explain(client: AsyncClient) -> None:
    answer = await client.get("/api/v1/listings", params={"explain": "true"})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/explain"]
    assert (await client.get("/api/v1/listings", params={"explain": "false"})).status_code == 200


async def test_pages_by_relevance_neither_repeat_nor_miss_while_time_passes(client: AsyncClient) -> None:
    ids = await publish(*(vehicle_data() for _ in range(7)))
    for number, listing_id in enumerate(ids):
        await age(listing_id, number * 11 % 5)
        await complete(listing_id, number * 37 % 100)
    whole = [item["id"] for item in await search(client, explain="true")]
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        answer = (await client.get("/api/v1/listings", params={"q": "vitz", "limit": 2, **cursor})).json()
        seen += [item["id"] for item in answer["items"]]
        if answer["next_cursor"] is None:
            break
        cursor = {"cursor": answer["next_cursor"]}
        clock.advance(timedelta(days=40))
    assert seen == whole
    assert sorted(seen) == sorted(ids)


async def test_I08_of_very_many_matches_only_the_newest_are_ranked(
    client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "MOST_RANKED", 2)
    searching._statement.cache_clear()
    ids = await publish(*[vehicle_data(title="Nilefront special") for _ in range(3)])
    page = (await client.get("/api/v1/listings", params={"q": "nilefront"})).json()
    searching._statement.cache_clear()
    assert {item["id"] for item in page["items"]} == set(ids[1:])
    assert page["total"] == {"value": 3, "capped": False}
