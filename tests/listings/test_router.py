"""The main path: save, publish, find, keep, list one's own."""

from datetime import timedelta

from httpx import AsyncClient

from src.core import clock
from tests.factories import World, property_data, vehicle_data
from tests.listings import stored

API = "/api/v1"


async def test_a_published_listing_is_found(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    car = await world.published(owner)
    home = await world.published(owner, property_data())
    found = await client.get(f"{API}/listings", params={"q": "toyo"})
    assert [item["id"] for item in found.json()["items"]] == [car["id"]]
    everything = await client.get(f"{API}/listings")
    assert [item["id"] for item in everything.json()["items"]] == [home["id"], car["id"]]


async def test_every_path_answers_the_same_listing(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    for path, data in (("vehicles", vehicle_data()), ("properties", property_data())):
        listing = await world.published(owner, data)
        whole = await client.get(f"{API}/listings/{listing['id']}", headers=owner.headers)
        of_kind = await client.get(f"{API}/{path}/{listing['id']}", headers=owner.headers)
        assert whole.json() == of_kind.json() == listing
        assert whole.headers["ETag"] == of_kind.headers["ETag"]


async def test_a_reserved_listing_stays_public(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    listing = await world.published(owner)
    await world.act(owner, listing, "reserve")
    assert (await client.get(f"{API}/listings/{listing['id']}")).json()["status"] == "reserved"
    assert (await client.get(f"{API}/listings")).json()["total"]["value"] == 1


async def test_the_owner_is_shown_by_name(world: World) -> None:
    owner = await world.person(full_name="ሃና ተስፋዬ")
    card = (await world.draft(owner))["owner"]
    assert (card["id"], card["full_name"], card["role"]) == (str(owner.id), "ሃና ተስፋዬ", "user")


async def test_ones_own_listings_in_every_state_newest_first(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    draft = await world.draft(owner, property_data())
    published = await world.published(owner)
    withdrawn = await world.published(owner)
    await world.act(owner, withdrawn, "withdraw")

    async def own(**query: object) -> list[str]:
        params = {name: value for name, value in query.items() if isinstance(value, str | list)}
        answer = await client.get(f"{API}/users/me/listings", params=params, headers=owner.headers)
        return [item["id"] for item in answer.json()["items"]]

    assert await own() == [withdrawn["id"], published["id"], draft["id"]]
    assert await own(status="withdrawn") == [withdrawn["id"]]
    assert await own(status=["draft", "published"]) == [published["id"], draft["id"]]
    assert await own(kind="property") == [draft["id"]]
    assert await own(kind="property", status="published") == []


async def test_pages_of_ones_own_listings_hold_each_once(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    saved = [(await world.draft(owner))["id"] for _ in range(5)]
    seen, cursor = [], None
    while True:
        params = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = (await client.get(f"{API}/users/me/listings", params=params, headers=owner.headers)).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        await world.draft(owner)  # newer than where the walk is
    assert seen == saved[::-1]


async def test_favourites_are_kept_once_and_dropped(client: AsyncClient, world: World) -> None:
    owner, buyer = await world.person(), await world.person()
    first, second = await world.published(owner), await world.published(owner, property_data())

    async def kept(limit: int = 20, cursor: str | None = None) -> tuple[list[str], str | None]:
        params = {"limit": str(limit)} | ({"cursor": cursor} if cursor else {})
        page = (await client.get(f"{API}/users/me/favourites", params=params, headers=buyer.headers)).json()
        return [item["id"] for item in page["items"]], page["next_cursor"]

    for listing in (first, second, first):
        answer = await client.put(f"{API}/listings/{listing['id']}/favourite", headers=buyer.headers)
        assert (answer.status_code, answer.content) == (204, b"")
        clock.advance(timedelta(seconds=1))
    assert await kept() == ([second["id"], first["id"]], None)
    newest, cursor = await kept(limit=1)
    assert (newest, await kept(limit=1, cursor=cursor)) == ([second["id"]], ([first["id"]], None))
    for _ in range(2):
        answer = await client.delete(f"{API}/listings/{second['id']}/favourite", headers=buyer.headers)
        assert answer.status_code == 204
    assert await kept() == ([first["id"]], None)
    await world.act(owner, first, "pause")
    assert await kept() == ([], None)
    await world.act(owner, first, "resume")
    assert await kept() == ([first["id"]], None)


async def test_deleting_a_draft_takes_its_parts_with_it(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    before = await stored.digests()
    draft = await world.draft(owner)
    await client.put(f"{API}/listings/{draft['id']}/favourite", headers=owner.headers)
    assert (await client.delete(f"{API}/vehicles/{draft['id']}", headers=owner.headers)).status_code == 204
    after = await stored.digests()
    assert {name for name in before if before[name] != after[name]} == {"events", "outbox"}
    assert await stored.events_of(draft["id"]) == ["listing.created", "listing.deleted"]


async def test_completeness_counts_what_is_filled(world: World) -> None:
    owner = await world.person()
    bare = await world.draft(owner, {"title": "Car", "purpose": "sale"})
    some = await world.draft(owner)
    more = await world.draft(owner, vehicle_data(description="One owner.", features=["alarm"]))
    assert 0 == bare["completeness"] < some["completeness"] < more["completeness"] <= 100
