"""`/dev/mail`: the mails of development, and of nothing else."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from src.core import clock, config, logging, mail, mailbox
from src.core.config import Settings
from src.core.mail import Mail
from src.main import create_app
from tests.contract import Contract
from tests.core.test_config import GUARDED, made

SCRIPT = "<script>alert(1)</script>"


class Page(HTMLParser):
    """The links of a page and its frames."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.frames: list[dict[str, str | None]] = []
        self.tags: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name == "href" and value]
        if tag == "iframe":
            self.frames.append(dict(attrs))


@asynccontextmanager
async def client_of(app: FastAPI) -> AsyncIterator[AsyncClient]:
    transport = ASGITransport(app, raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


@pytest.fixture(scope="module")
def development(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    """An application with a mailbox of its own."""
    return create_app(Settings(data_dir=tmp_path_factory.mktemp("data")))


@pytest.fixture
def folder(development: FastAPI, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where `mail.send` writes what the mailbox shows; empty."""
    monkeypatch.setattr(config.settings(), "data_dir", development.state.settings.data_dir)
    empty = mail.folder(config.settings())
    shutil.rmtree(empty, ignore_errors=True)
    empty.mkdir()
    return empty


@pytest.fixture
async def reader(development: FastAPI, folder: Path, storage: None) -> AsyncIterator[AsyncClient]:
    """Reads the mailbox."""
    async with client_of(development) as client:
        yield client


async def send(subject: str = "Hello", **overrides: Any) -> None:
    html = f"<html><head></head><body><p>Hi</p>{SCRIPT}<a href='https://key2key.example'>x</a></body></html>"
    given = {"to": "hana@example.com", "to_name": "Hana", "text": f"Hi {SCRIPT}", "html": html} | overrides
    await mail.send(Mail(subject=subject, message_id="a@key2key.example", **given))
    clock.advance(timedelta(seconds=1))


async def test_the_newest_mails_come_first(reader: AsyncClient) -> None:
    assert "None yet" in (await reader.get("/dev/mail")).text
    for subject in ("First", SCRIPT, "ሦስተኛ"):
        await send(subject)
    answer = await reader.get("/dev/mail")
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.text.index("ሦስተኛ") < answer.text.index("&lt;script&gt;") < answer.text.index("First")
    assert "script" not in Page(answer.text).tags
    assert len(Page(answer.text).links) == 3


async def test_the_list_is_bounded(reader: AsyncClient, folder: Path) -> None:
    for number in range(mailbox.MOST + 5):
        (folder / f"20261121T000000.{number:06}Z-00000000.eml").write_text(f"Subject: No. {number}\n\nHello")
    (folder / "not a mail.eml").write_text("x")
    assert len(Page((await reader.get("/dev/mail")).text).links) == mailbox.MOST


async def test_a_mail_is_shown_in_a_frame_that_may_do_nothing(reader: AsyncClient) -> None:
    await send()
    (address,) = Page((await reader.get("/dev/mail")).text).links
    answer = await reader.get(address)
    (frame,) = Page(answer.text).frames
    assert frame["sandbox"] == "allow-popups allow-popups-to-escape-sandbox"
    assert SCRIPT in (frame["srcdoc"] or "")
    assert '<base target="_blank">' in (frame["srcdoc"] or "")
    assert "Hi &lt;script&gt;" in answer.text
    assert "Hana &lt;hana@example.com&gt;" in answer.text
    assert "script" not in Page(answer.text).tags


async def test_the_policy_lets_no_script_in(reader: AsyncClient) -> None:
    await send()
    (address,) = Page((await reader.get("/dev/mail")).text).links
    for path in ("/dev/mail", address):
        answer = await reader.get(path)
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; ")
        assert "script-src" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["Cache-Control"] == "no-store"


async def test_nothing_else_of_the_disk_is_shown(reader: AsyncClient, folder: Path) -> None:
    (folder.parent / "secret-key").write_text("hunter2")
    await send()
    absent = "20261121T000000.000000Z-00000000.eml"
    for name in (absent, "secret-key", "../secret-key", "..%2fsecret-key", "%2e%2e%2fsecret-key", "....//secret-key"):
        answer = await reader.get(f"/dev/mail/{name}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), name
    for name in ("%00", f"{absent}%0a", "x" * 300, "%ff"):
        answer = await reader.get(f"/dev/mail/{name}")
        assert (answer.status_code, "hunter2" in answer.text) == (404, False), name


async def test_where_mail_is_sent_there_is_no_mailbox(storage: None) -> None:
    smtp: Any = {"host": "smtp.key2key.example"}
    for settings in (*map(made, GUARDED), Settings(smtp=smtp)):
        async with client_of(create_app(settings)) as client:
            for path in ("/dev/mail", "/dev/mail/20261121T000000.000000Z-00000000.eml"):
                answer = await client.get(path)
                assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    logging.configure(config.settings())


def test_the_mailbox_is_no_part_of_the_contract(openapi_contract: Contract) -> None:
    assert [path for path in openapi_contract.document["paths"] if path.startswith("/dev")] == []
