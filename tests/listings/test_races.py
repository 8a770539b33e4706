"""Many at once, with real commits: one wins, and the rest are told so."""

import asyncio
from collections import Counter
from typing import Any

from httpx import AsyncClient, Response
from sqlalchemy import func, select

from src.core import database
from src.core.security import Role
from src.listings.models import Favourite, Listing
from tests.factories import Person, World, property_data, vehicle_data
from tests.listings import stored


def statuses(answers: list[Response]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


async def post(client: AsyncClient, owner: Person, listing: dict[str, Any], action: str) -> Response:
    return await client.post(f"/api/v1/listings/{listing['id']}/{action}", headers=owner.headers)


async def test_of_20_reservations_one_wins(committed: None, client: AsyncClient, world: World) -> None:
    owner = await world.person()
    listing = await world.published(owner)
    answers = await asyncio.gather(*(post(client, owner, listing, "reserve") for _ in range(20)))
    assert statuses(list(answers)) == {200: 1, 409: 19}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"listing_wrong_state"}
    assert (await stored.events_of(listing["id"])).count("listing.reserved") == 1


async def test_I16_two_editors_with_one_etag_lose_no_update(committed: None, client: AsyncClient, world: World) -> None:
    owner = await world.person()
    listing = await world.published(owner)
    url = f"/api/v1/vehicles/{listing['id']}"
    read = await client.get(url, headers=owner.headers)
    headers = {**owner.headers, "If-Match": read.headers["ETag"]}
    answers = await asyncio.gather(
        client.patch(url, json={"title": "The first title"}, headers=headers),
        client.patch(url, json={"title": "The other title"}, headers=headers),
    )
    assert statuses(list(answers)) == {200: 1, 412: 1}
    [won] = [answer for answer in answers if answer.status_code == 200]
    assert (await client.get(url)).json()["title"] == won.json()["title"]


async def test_deleting_and_editing_end_with_one_of_them(committed: None, client: AsyncClient, world: World) -> None:
    owner = await world.person()
    draft = await world.draft(owner)
    url = f"/api/v1/vehicles/{draft['id']}"
    read = await client.get(url, headers=owner.headers)
    headers = {**owner.headers, "If-Match": read.headers["ETag"]}
    edited, deleted = await asyncio.gather(
        client.patch(url, json={"title": "Another title"}, headers=headers), client.delete(url, headers=headers)
    )
    assert (edited.status_code, deleted.status_code) in {(200, 412), (404, 204)}
    left = await client.get(url, headers=owner.headers)
    assert left.status_code == (200 if deleted.status_code == 412 else 404)


async def test_of_closing_and_withdrawing_one_wins(committed: None, client: AsyncClient, world: World) -> None:
    owner = await world.person()
    for _ in range(5):
        listing = await world.published(owner)
        answers = await asyncio.gather(
            *(post(client, owner, listing, action) for action in ("close", "withdraw", "close", "withdraw"))
        )
        assert statuses(list(answers)) == {200: 1, 409: 3}
        [won] = [answer for answer in answers if answer.status_code == 200]
        assert (await stored.row_of(listing["id"]))["status"] == won.json()["status"]


async def test_of_20_drafts_with_one_external_id_one_is_saved(
    committed: None, client: AsyncClient, world: World
) -> None:
    owner = await world.person()
    data = vehicle_data(external_id="stock-7")
    answers = await asyncio.gather(
        *(client.post("/api/v1/vehicles", json=data, headers=owner.headers) for _ in range(20))
    )
    assert statuses(list(answers)) == {201: 1, 409: 19}
    for answer in answers:
        if answer.status_code == 409:
            assert answer.json()["code"] == "external_id_taken"
            assert [field["pointer"] for field in answer.json()["errors"]] == ["/external_id"]
    async with database.transaction() as session:
        assert await session.scalar(select(func.count()).select_from(Listing)) == 1


async def test_keeping_and_dropping_a_favourite_many_times_at_once(
    committed: None, client: AsyncClient, world: World
) -> None:
    owner, buyer = await world.person(), await world.person()
    listing = await world.published(owner)
    url = f"/api/v1/listings/{listing['id']}/favourite"
    kept = await asyncio.gather(*(client.put(url, headers=buyer.headers) for _ in range(20)))
    assert statuses(list(kept)) == {204: 20}
    async with database.transaction() as session:
        assert await session.scalar(select(func.count()).select_from(Favourite)) == 1
    mixed = [client.put(url, headers=buyer.headers) for _ in range(5)]
    mixed += [client.delete(url, headers=buyer.headers) for _ in range(5)]
    assert statuses(await asyncio.gather(*mixed)) == {204: 10}


async def test_keeping_a_draft_of_ones_own_while_deleting_it(
    committed: None, client: AsyncClient, world: World
) -> None:
    owner = await world.person()
    draft = await world.draft(owner)
    kept, deleted = await asyncio.gather(
        client.put(f"/api/v1/listings/{draft['id']}/favourite", headers=owner.headers),
        client.delete(f"/api/v1/vehicles/{draft['id']}", headers=owner.headers),
    )
    assert deleted.status_code == 204
    assert kept.status_code in (204, 404)
    async with database.transaction() as session:
        assert await session.scalar(select(func.count()).select_from(Favourite)) == 0


async def test_submitting_twice_publishes_once(committed: None, client: AsyncClient, world: World) -> None:
    owner = await world.person()
    draft = await world.draft(owner)
    answers = await asyncio.gather(*(post(client, owner, draft, "submit") for _ in range(5)))
    assert statuses(list(answers)) == {200: 1, 409: 4}
    assert (await stored.events_of(draft["id"])).count("listing.published") == 1


async def test_D04_a_storm_of_everybody_on_two_listings_ends_in_no_bug(
    committed: None, client: AsyncClient, world: World
) -> None:
    owner, buyer, moderator = await world.person(), await world.person(), await world.person(Role.MODERATOR)
    listings = [await world.published(owner), await world.published(owner, property_data())]
    requests = []
    for number in range(12):
        # Half of them come the other way round.
        for listing in listings if number % 2 else reversed(listings):
            one, kind = f"/api/v1/listings/{listing['id']}", "properties" if "property" in listing else "vehicles"
            headers = {**owner.headers, "If-Match": "*"}
            requests += [
                client.patch(f"/api/v1/{kind}/{listing['id']}", json={"title": f"Title {number}"}, headers=headers),
                client.request("PUT" if number % 2 else "DELETE", f"{one}/favourite", headers=buyer.headers),
                client.post(f"{one}/{'pause' if number % 2 else 'resume'}", headers=owner.headers),
                client.post(f"{one}/suspend", json={"reason": "Too many."}, headers=moderator.headers),
                client.get(one, headers=owner.headers),
            ]
    answers = await asyncio.gather(*requests)
    assert set(statuses(list(answers))) <= {200, 204, 404, 409, 503}
    for listing in listings:
        row = await stored.row_of(listing["id"])
        events = await stored.events_of(listing["id"])
        done = [answer for answer in answers if answer.request.method in ("PATCH", "POST") and answer.is_success]
        assert row["status"] == "suspended"
        assert events.count("listing.suspended") == 1
        assert row["version"] - 2 == sum(listing["id"] in str(answer.request.url) for answer in done)
