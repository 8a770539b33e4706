"""`/docs` and `/redoc` work from what we serve ourselves, under a policy that lets nothing else in."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from httpx import ASGITransport, AsyncClient

from src.core.config import Settings
from src.main import create_app

PAGES = ("/docs", "/redoc", "/docs/oauth2-redirect")


class Page(HTMLParser):
    """The addresses that a page loads, and its inline scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.scripts: list[str] = []
        self.handlers: list[str] = []
        self._is_inline = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.addresses += [value for name, value in attrs if name in ("src", "href") and value]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        self._is_inline = tag == "script" and "src" not in given

    def handle_data(self, data: str) -> None:
        if self._is_inline:
            self.scripts.append(data)

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002
        self._is_inline = False


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_loads_nothing_from_elsewhere(client: AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    page = Page(answer.text)
    assert [address for address in page.addresses if not address.startswith("/")] == []
    assert [address for address in page.addresses if address.startswith("//")] == []
    assert page.handlers == []
    for address in page.addresses:
        asset = await client.get(address)
        assert (asset.status_code, len(asset.content) > 100) == (200, True), address


@pytest.mark.parametrize("path", PAGES)
async def test_the_policy_lets_in_our_files_and_exactly_the_scripts_of_the_page(client: AsyncClient, path: str) -> None:
    answer = await client.get(path)
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
    digests = [hashlib.sha256(script.encode()).digest() for script in Page(answer.text).scripts]
    hashes = [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"].split() == ["'self'", *hashes]
    assert "unsafe-inline" not in policy["script-src"]
    assert not re.search(r"https?:|\*", answer.headers["Content-Security-Policy"])


async def test_the_pages_show_the_document(client: AsyncClient) -> None:
    for path in ("/docs", "/redoc"):
        assert "/openapi.json" in (await client.get(path)).text
    document: dict[str, Any] = (await client.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    assert document["info"]["title"] == "Key2Key"


@pytest.mark.parametrize("path", [*PAGES, "/openapi.json", "/docs/assets/swagger-ui.css"])
async def test_where_docs_are_off_nothing_of_them_is_there(storage: None, path: str) -> None:
    closed: Any = {"enabled": False}
    transport = ASGITransport(create_app(Settings(docs=closed)))
    async with AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert (await client.get("/health/live")).status_code == 200


async def test_assets_do_not_lead_out_of_their_folder(client: AsyncClient) -> None:
    for path in ("../docs.py", "%2e%2e/%2e%2e/__init__.py", "..%2f..%2f__init__.py", "....//", "%00", "/etc/passwd"):
        assert (await client.get(f"/docs/assets/{path}")).status_code == 404, path
