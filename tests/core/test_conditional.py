"""What anybody may read: kept for how long, by whom, and not sent again while it is the same."""

import re
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response

from src.core import config
from src.core.conditional import LONGEST_IF_NONE_MATCH
from src.core.config import Settings
from src.core.security import Role
from src.main import create_app
from tests.factories import Person, World, property_data, vehicle_data

API = "/api/v1"
PERSONAL = ("users/me", "users/me/listings", "users/me/favourites", "auth/me", "auth/sessions")
LISTS = ("listings", "vehicles", "properties?q=bole", "vehicles/makes", "vehicles/makes/toyota/models")
PLACES = ("geo/countries", "geo/cities?country=ET&q=ad")


async def get(
    client: AsyncClient, path: str, if_none_match: str | None = None, person: Person | None = None
) -> Response:
    headers = dict(person.headers) if person else {}
    if if_none_match is not None:
        headers["If-None-Match"] = if_none_match
    return await client.get(f"{API}/{path}", headers=headers)


async def public_paths(world: World) -> list[str]:
    owner = await world.person()
    car, home = await world.published(owner), await world.published(owner, property_data())
    whole = [f"listings/{car['id']}", f"vehicles/{car['id']}", f"properties/{home['id']}"]
    return [*whole, f"listings/{car['id']}/history", *LISTS, *PLACES]


def assert_unchanged(answer: Response, first: Response) -> None:
    assert (answer.status_code, answer.content) == (304, b"")
    for name in ("ETag", "Cache-Control", "Vary"):
        assert answer.headers[name] == first.headers[name]
    assert not {"Content-Type", "Content-Length"} & {name.title() for name in answer.headers}


async def test_I16_what_has_not_changed_is_not_sent_again(client: AsyncClient, world: World) -> None:
    for path in await public_paths(world):
        first = await get(client, path)
        tag = first.headers["ETag"]
        assert first.status_code == 200
        assert re.fullmatch(r'"([0-9]+-[0-9a-f]{8}|[0-9a-f]{16})"', tag)
        for given in (tag, f"W/{tag}", "*", f'"other", W/"a,b" , {tag}', f'"",{tag},'):
            assert_unchanged(await get(client, path, given), first)
        headed = await client.head(f"{API}/{path}", headers={"If-None-Match": tag})
        assert_unchanged(headed, first)
        lines = [("If-None-Match", '"other"'), ("If-None-Match", tag)]
        assert_unchanged(await client.get(f"{API}/{path}", headers=lines), first)


async def test_I16_what_the_client_does_not_have_is_sent(client: AsyncClient, world: World) -> None:
    for path in await public_paths(world):
        first = await get(client, path)
        tag = first.headers["ETag"]
        for given in (
            "",
            '"other"',
            tag.strip('"'),
            f'"x{tag}',
            tag[:-1],
            tag.swapcase() + "x",
            "W/",
            "**",
            '"*"',
            ",",
        ):
            again = await get(client, path, given)
            assert (again.status_code, again.content) == (200, first.content), given


async def test_I16_an_endless_if_none_match_is_refused(client: AsyncClient) -> None:
    longest = ('"other",' * LONGEST_IF_NONE_MATCH)[:LONGEST_IF_NONE_MATCH]
    assert (await get(client, "geo/countries", longest)).status_code == 200
    refused = await get(client, "geo/countries", longest + ",")
    assert refused.status_code == 422
    assert [(field["in"], field["pointer"]) for field in refused.json()["errors"]] == [("header", "/If-None-Match")]


async def test_I16_what_has_changed_is_sent(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    listing = await world.published(owner)
    paths = [f"listings/{listing['id']}", f"vehicles/{listing['id']}", "listings", "vehicles"]
    first = [await get(client, path) for path in paths]
    headers = owner.headers | {"If-Match": first[0].headers["ETag"]}
    assert (await client.patch(f"{API}/{paths[1]}", json={"title": "New"}, headers=headers)).status_code == 200
    for path, old in zip(paths, first, strict=True):
        again = await get(client, path, old.headers["ETag"])
        assert again.status_code == 200
        assert again.headers["ETag"] != old.headers["ETag"]
        assert "New" in again.text


async def test_I16_what_was_taken_down_is_gone_whatever_the_client_has(client: AsyncClient, world: World) -> None:
    listing = await world.published(await world.person())
    path = f"listings/{listing['id']}"
    found, page = await get(client, path), await get(client, "listings")
    await world.act(await world.person(Role.MODERATOR), listing, "suspend", reason="A stolen car.")
    for given in (found.headers["ETag"], "*"):
        gone = await get(client, path, given)
        assert (gone.status_code, gone.headers["Cache-Control"]) == (404, "no-store")
    assert (await get(client, "listings", page.headers["ETag"])).json()["items"] == []


def seconds(answer: Response) -> int:
    """For how long a cache may show it, fresh or stale."""
    found = re.fullmatch(r"public, max-age=([0-9]+), stale-while-revalidate=([0-9]+)", answer.headers["Cache-Control"])
    assert found, answer.headers["Cache-Control"]
    return int(found[1]) + int(found[2])


async def test_Z12_caches_are_told_for_how_long_and_that_callers_differ(client: AsyncClient, world: World) -> None:
    http = config.settings().http
    for path in await public_paths(world):
        answer = await get(client, path)
        lasts = "geo/" in path or "makes" in path
        assert seconds(answer) == (http.reference_cache_seconds if lasts else http.cache_seconds)
        assert answer.headers["Vary"] == "Authorization"
    assert http.cache_seconds <= 10 < http.reference_cache_seconds


async def test_Z12_what_a_caller_is_told_nobody_keeps(client: AsyncClient, world: World) -> None:
    person = await world.person()
    for path in [*await public_paths(world), *PERSONAL]:
        answer = await get(client, path, person=person)
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "private, no-store", path
        if tag := answer.headers.get("ETag"):
            again = await get(client, path, tag, person)
            assert (again.status_code, again.headers["Cache-Control"]) == (304, "private, no-store")


async def test_Z12_nothing_else_is_kept(application: FastAPI, client: AsyncClient, world: World) -> None:
    person = await world.person()
    public = set()
    for path, operations in application.openapi()["paths"].items():
        for method in operations:
            address = re.sub(r"\{[a-z_]+\}", str(uuid4()), path)
            if "304" in operations[method]["responses"]:
                public.add(address)
                continue
            anonymous = await client.request(method, address)
            assert anonymous.headers["Cache-Control"] == "no-store", path
            signed_in = await client.request(method, address, headers=person.headers)
            assert "no-store" in signed_in.headers["Cache-Control"], path
    assert len(public) == 14


async def test_Z12_etags_differ_by_viewer(client: AsyncClient, world: World) -> None:
    owner, stranger = await world.person(), await world.person()
    listing = await world.published(owner, vehicle_data(external_id="stock-1"))
    path = f"listings/{listing['id']}"
    anonymous, own = await get(client, path), await get(client, path, person=owner)
    assert anonymous.headers["ETag"] != own.headers["ETag"]
    for viewer in (None, stranger):
        answer = await get(client, path, own.headers["ETag"], viewer)
        assert (answer.status_code, answer.content) == (200, anonymous.content)
        assert "stock-1" not in answer.text
    answer = await get(client, path, anonymous.headers["ETag"], owner)
    assert (answer.status_code, answer.content) == (200, own.content)


async def test_Z12_a_refused_caller_is_not_told_what_is_unchanged(client: AsyncClient, world: World) -> None:
    listing = await world.published(await world.person())
    for path in (f"listings/{listing['id']}", f"listings/{listing['id']}/history"):
        tag = (await get(client, path)).headers["ETag"]
        headers = {"Authorization": "Bearer forged", "If-None-Match": tag}
        refused = await client.get(f"{API}/{path}", headers=headers)
        assert (refused.status_code, refused.headers["Cache-Control"]) == (401, "no-store")


def calling(**settings: Any) -> AsyncClient:
    return AsyncClient(transport=ASGITransport(create_app(Settings(**settings))), base_url="http://test")


async def test_Z12_what_one_origin_may_read_is_not_kept_for_another(storage: None) -> None:
    headers = [{}, {"Origin": "https://app.key2key.example"}, {"Origin": "https://evil.example"}]
    async with calling(cors={"origins": ["https://app.key2key.example"]}) as client:
        for given in headers:
            answer = await client.get(f"{API}/geo/countries", headers=given)
            assert answer.headers["Vary"] == "Authorization, Origin"
            again = await client.get(f"{API}/geo/countries", headers=given | {"If-None-Match": answer.headers["ETag"]})
            assert (again.status_code, again.headers["Vary"]) == (304, "Authorization, Origin")
            allowed = "Access-Control-Allow-Origin" in again.headers
            assert allowed == (given.get("Origin") == "https://app.key2key.example")


@pytest.mark.parametrize(("configured", "header"), [
    (0, "public, max-age=0, stale-while-revalidate=0"),
    (7, "public, max-age=6, stale-while-revalidate=1"),
    (60, "public, max-age=48, stale-while-revalidate=12"),
])  # fmt: skip
async def test_how_long_is_a_setting(storage: None, configured: int, header: str) -> None:
    async with calling(http={"cache_seconds": configured}) as client:
        assert (await get(client, "listings")).headers["Cache-Control"] == header


async def test_browsers_may_read_the_headers_of_the_contract(storage: None) -> None:
    origin = {"Origin": "https://app.key2key.example"}
    wanted = {"ETag", "Idempotency-Replayed", "Link", "Location", "Retry-After", "X-Request-ID"}
    async with calling(cors={"origins": [origin["Origin"]]}) as client:
        answer = await client.get("/health/live", headers=origin)
        assert set(answer.headers["Access-Control-Expose-Headers"].split(", ")) == wanted
        for header in ("if-none-match", "if-match", "idempotency-key", "authorization"):
            asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": header}
            assert (await client.options(f"{API}/listings", headers=origin | asked)).status_code == 200
