from httpx import AsyncClient

from tests.factories import World, property_data


async def test_a_published_listing_is_found(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    car = await world.published(owner)
    home = await world.published(owner, property_data())
    found = await client.get("/api/v1/listings", params={"q": "toyo"})
    assert [item["id"] for item in found.json()["items"]] == [car["id"]]
    everything = await client.get("/api/v1/listings")
    assert [item["id"] for item in everything.json()["items"]] == [home["id"], car["id"]]


async def test_committed(committed: None, client: AsyncClient, world: World) -> None:
    owner = await world.person()
    await world.published(owner)
    assert (await client.get("/api/v1/listings")).json()["total"]["value"] == 1
