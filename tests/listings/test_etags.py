"""Conditional requests on listings, vehicles and properties."""

from typing import Any

import pytest
from httpx import AsyncClient

from src.core.security import Role
from tests.factories import Person, World, property_data, vehicle_data
from tests.listings import stored

KINDS = [("vehicles", vehicle_data()), ("properties", property_data())]


async def edit(
    client: AsyncClient, person: Person, listing: dict[str, Any], if_match: str | None, title: str = "A new title"
) -> Any:
    path = "properties" if listing["kind"] == "property" else "vehicles"
    headers = person.headers | ({} if if_match is None else {"If-Match": if_match})
    return await client.patch(f"/api/v1/{path}/{listing['id']}", json={"title": title}, headers=headers)


async def etag(client: AsyncClient, listing: dict[str, Any], person: Person | None = None) -> str:
    read = await client.get(f"/api/v1/listings/{listing['id']}", headers=person.headers if person else {})
    tag: str = read.headers["ETag"]
    return tag


@pytest.mark.parametrize(("path", "data"), KINDS)
async def test_I16_an_edit_names_the_version_it_is_of(
    client: AsyncClient, world: World, path: str, data: dict[str, Any]
) -> None:
    owner = await world.person()
    listing = await world.published(owner, data)
    old = await etag(client, listing, owner)
    async with stored.nothing_changes():
        missing = await edit(client, owner, listing, None)
    assert (missing.status_code, missing.json()["code"]) == (428, "precondition_required")
    done = await edit(client, owner, listing, old)
    assert done.status_code == 200
    assert done.headers["ETag"] == await etag(client, listing, owner) != old
    async with stored.nothing_changes():
        stale = await edit(client, owner, listing, old, "A title too late")
    assert (stale.status_code, stale.json()["code"]) == (412, "precondition_failed")
    assert (await edit(client, owner, listing, done.headers["ETag"], "A third title")).status_code == 200


async def test_a_saved_draft_comes_with_its_etag_and_place(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    saved = await client.post("/api/v1/vehicles", json=vehicle_data(), headers=owner.headers)
    read = await client.get(saved.headers["Location"], headers=owner.headers)
    assert read.headers["ETag"] == saved.headers["ETag"]
    assert read.json() == saved.json()


@pytest.mark.parametrize("given", ["*", "right", "list"])
async def test_what_matches(client: AsyncClient, world: World, given: str) -> None:
    owner = await world.person()
    listing = await world.published(owner)
    right = await etag(client, listing, owner)
    header = {"*": "*", "right": right, "list": f'"77-00000000", "a,b" , {right}'}[given]
    assert (await edit(client, owner, listing, header)).status_code == 200


async def test_what_does_not_match(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    listing = await world.published(owner)
    right = await etag(client, listing, owner)
    unmatched = (
        f"W/{right}",  # If-Match compares strongly
        right.strip('"'),
        "2",
        '"2"',
        "",
        "nonsense",
        f"{right} *",
        '"99999999999999999999-00000000"',
        f'"x{right}y"',
        ",",
    )
    for header in unmatched:
        async with stored.nothing_changes():
            answer = await edit(client, owner, listing, header)
        assert answer.status_code == 412, header
    async with stored.nothing_changes():
        answer = await edit(client, owner, listing, '"1-00000000",' * 200)
    assert (answer.status_code, answer.json()["errors"][0]["in"]) == (422, "header")


async def test_bodies_and_so_etags_differ_by_viewer_but_name_the_same_version(
    client: AsyncClient, world: World
) -> None:
    owner, moderator = await world.person(), await world.person(Role.MODERATOR)
    listing = await world.published(owner, vehicle_data(external_id="stock-1"))
    everybodys, owners = await etag(client, listing), await etag(client, listing, owner)
    assert everybodys != owners == await etag(client, listing, moderator)
    assert (await edit(client, owner, listing, everybodys)).status_code == 200


@pytest.mark.parametrize(("path", "data"), KINDS)
async def test_deleting_honours_if_match(client: AsyncClient, world: World, path: str, data: dict[str, Any]) -> None:
    owner = await world.person()
    draft = await world.draft(owner, data)
    old = await etag(client, draft, owner)
    await edit(client, owner, draft, old)
    url = f"/api/v1/{path}/{draft['id']}"
    async with stored.nothing_changes():
        stale = await client.delete(url, headers={**owner.headers, "If-Match": old})
    assert stale.status_code == 412
    current = await etag(client, draft, owner)
    assert (await client.delete(url, headers={**owner.headers, "If-Match": current})).status_code == 204
    assert (await client.get(url, headers=owner.headers)).status_code == 404


async def test_actions_honour_if_match(client: AsyncClient, world: World) -> None:
    owner, moderator = await world.person(), await world.person(Role.MODERATOR)
    listing = await world.published(owner)
    old = await etag(client, listing, owner)
    await edit(client, owner, listing, old)
    body = {"reason": "As it was read."}
    for person, action, sent in ((owner, "pause", None), (moderator, "suspend", body), (owner, "close", None)):
        url = f"/api/v1/listings/{listing['id']}/{action}"
        async with stored.nothing_changes():
            stale = await client.post(url, json=sent, headers={**person.headers, "If-Match": old})
        assert stale.status_code == 412, action
    current = await etag(client, listing, owner)
    done = await client.post(f"/api/v1/listings/{listing['id']}/pause", headers={**owner.headers, "If-Match": current})
    assert done.status_code == 200


async def test_answers_differ_by_caller_and_caches_are_told(client: AsyncClient, world: World) -> None:
    listing = await world.published(await world.person())
    read = await client.get(f"/api/v1/listings/{listing['id']}")
    assert "Authorization" in read.headers["Vary"]
