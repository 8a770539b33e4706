"""`Link: <…>; rel="next"`: a client that follows it leafs through a list without knowing of cursors."""

import re
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import pytest
from fastapi import FastAPI
from httpx import AsyncClient, Response
from starlette.requests import Request
from starlette.responses import Response as Answer

from src.core.links import add_next
from tests.factories import World, property_data, vehicle_data
from tests.listings.published import publish

API = "/api/v1"
QUERIES: list[tuple[str, list[tuple[str, str]]]] = [
    ("listings", []),
    ("listings", [("q", 'ቤት & more <b>"\'%+;#, rel="last"'), ("limit", "2")]),
    ("vehicles", [("make", "Toyota"), ("make", "Lada"), ("sort", "price_asc"), ("limit", "2")]),
    ("vehicles", [("near", "9,38.8"), ("radius_km", "900"), ("sort", "nearest"), ("limit", "3")]),
    ("properties", [("city", "Addis Ababa"), ("city", "አዲስ አበባ"), ("limit", "1")]),
]


def target(answer: Response) -> str | None:
    """Where the link leads, as a client of RFC 8288 finds it."""
    if "Link" not in answer.headers:
        return None
    assert answer.headers["Link"].isascii()
    assert list(answer.links) == ["next"], answer.headers["Link"]
    return urljoin(str(answer.url), answer.links["next"]["url"])


async def walk(client: AsyncClient, url: str, **given: Any) -> list[Response]:
    pages = []
    following: str | None = url
    while following:
        pages.append(await client.get(following, **(given if following is url else {})))
        assert pages[-1].status_code == 200, pages[-1].text
        following = target(pages[-1])
    return pages


def ids(pages: list[Response]) -> list[str]:
    return [item["id"] for page in pages for item in page.json()["items"]]


@pytest.mark.parametrize(("path", "query"), QUERIES)
async def test_I07_following_links_leafs_through_the_whole_search(
    client: AsyncClient, path: str, query: list[tuple[str, str]]
) -> None:
    described = 'ቤት & more <b>"\'%+;#, rel="last" \\ "next_cursor":"x"}'
    await publish(*(vehicle_data(description=described) for _ in range(4)), *[property_data(title=described)] * 3)
    limit = int(dict(query).get("limit", 20))
    unpaged: list[tuple[str, Any]] = [(name, value) for name, value in query if name != "limit"] + [("limit", "100")]
    everything = await client.get(f"{API}/{path}", params=unpaged)
    pages = await walk(client, f"{API}/{path}", params=query)
    assert ids(pages) == ids([everything])
    assert len(pages) == -(-len(ids(pages)) // limit)
    for page in pages[:-1]:
        address = urlsplit(target(page))
        cursor = ("cursor", page.json()["next_cursor"])
        assert parse_qsl(str(address.query)) == [*query, cursor]
        assert address.path == f"{API}/{path}"


async def test_I07_ones_own_lists_have_links_too(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    drafts = [(await world.draft(owner))["id"] for _ in range(3)]
    for draft in drafts:
        await client.put(f"{API}/listings/{draft}/favourite", headers=owner.headers)
    client.headers.update(owner.headers)
    for path in ("users/me/listings?status=draft&kind=vehicle&limit=2", "users/me/favourites?limit=1"):
        assert ids(await walk(client, f"{API}/{path}")) == drafts[::-1]


async def test_I07_the_last_page_leads_nowhere(client: AsyncClient) -> None:
    assert target(await client.get(f"{API}/listings")) is None
    await publish(vehicle_data(description='"next_cursor":"x"}'))
    for limit in (1, 2):
        assert target(await client.get(f"{API}/listings", params={"limit": limit})) is None


async def test_I07_a_link_names_no_host_that_the_client_could_have_made_up(client: AsyncClient) -> None:
    await publish(vehicle_data(), vehicle_data())
    headers = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
    page = await client.get(f"{API}/listings?limit=1", headers=headers)
    assert page.headers["Link"].startswith(f"<{API}/listings?limit=1&cursor=")
    assert "evil" not in page.headers["Link"]


@pytest.mark.parametrize("query", ["q=ቤት".encode(), b"q=\xff", b"q=%ff", b"&&;=&limit", b"q=\x7f>;"])
def test_I07_any_query_that_was_understood_comes_back_as_the_same(query: bytes) -> None:
    asked = Request({"type": "http", "path": "/a list/ቤት", "query_string": query + b"&cursor=W0", "headers": []})
    page = Answer(b'{"items":[],"next_cursor":"W1.x-_"}')
    add_next(asked, page)
    [(address, _)] = re.findall(r'^<(/a%20list/%[!-;=?-~]+)>(; rel="next")$', page.headers["Link"])
    following = Request({"type": "http", "query_string": urlsplit(address).query.encode(), "headers": []})
    assert following.query_params.multi_items() == [*asked.query_params.multi_items()[:-1], ("cursor", "W1.x-_")]


@pytest.mark.parametrize(("length", "is_there"), [(2500, True), (3500, False)])
async def test_I07_no_link_is_longer_than_proxies_take(client: AsyncClient, length: int, is_there: bool) -> None:
    """Their buffer for all headers of an answer may be of 4096 bytes, and what does not fit is a 502."""
    await publish(vehicle_data(), vehicle_data())
    area = '{"type":"Polygon","coordinates":[[[0,0],[90,0],[90,80],[0,80],[0,0]]]}'
    spaces = " " * (length - len(urlencode({"polygon": area})))
    page = await client.get(f"{API}/listings", params={"polygon": area + spaces, "limit": "1"})
    assert page.json()["next_cursor"]
    assert ("Link" in page.headers) is is_there


async def test_I07_head_knows_the_next_page(client: AsyncClient) -> None:
    await publish(vehicle_data(), vehicle_data())
    url = f"{API}/listings?limit=1"
    page = await client.get(url)
    assert (await client.head(url)).headers["Link"] == page.headers["Link"]


@pytest.mark.parametrize("query", [
    "limit=1000000000", "limit=9223372036854775808", "limit=-1", "limit=0", "limit=101", "limit=1.5", "limit=1e2",
    "limit=0x10", "limit=", "limit=%D9%A3", "limit=null", "offset=9223372036854775808", "offset=0", "page=2",
    "cursor=", "cursor=0", "cursor=-1", "cursor=eyJpZCI6MX0", "cursor=%00", "cursor=" + "A" * 1001,
])  # fmt: skip
async def test_I07_no_list_can_be_made_to_answer_more_than_a_page(
    application: FastAPI, client: AsyncClient, world: World, query: str
) -> None:
    person, count = await world.person(), 0
    row = "external_id,kind,title,purpose,price,currency\n1,vehicle,Vitz,sale,,"
    made = await client.post(f"{API}/imports", content=row, headers=person.headers | {"Content-Type": "text/csv"})
    for path, operations in application.openapi()["paths"].items():
        if "Link" in operations.get("get", {}).get("responses", {}).get("200", {}).get("headers", {}):
            url = path.replace("{import_id}", made.json()["id"])
            answer = await client.get(f"{url}?{query}", headers=person.headers)
            assert answer.status_code == 422, path
            assert [field["pointer"] for field in answer.json()["errors"]] == [f"/{query.partition('=')[0]}"]
            count += 1
    assert count == 8
