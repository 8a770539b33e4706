"""Mail as a real SMTP server receives it, or as it is written to files."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from src.core import clock, config, mail
from src.core.config import SmtpSettings
from src.core.mail import Mail, MailRefused, MailUnavailable, MailUncertain
from tests import smtp

UNSUBSCRIBE = "<https://key2key.example/api/v1/notifications/unsubscribe?token=" + "a" * 120 + ">"
Configure = Callable[..., None]


def letter(**overrides: Any) -> Mail:
    given: dict[str, Any] = {
        "to": "hana@example.com",
        "to_name": "ሃና ተስፋዬ",
        "subject": "እንኳን ደህና መጡ, welcome to Key2Key",
        "text": "ሰላም\n.\nBye",
        "html": "<p>ሰላም</p>",
        "message_id": "<0193-delivery@key2key.example>",
    }
    return Mail(**given | overrides)


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Configure:
    """Sets what mail is sent by; without it, into files under `tmp_path`."""
    monkeypatch.setattr(config.settings(), "data_dir", tmp_path)

    def configure(**given: Any) -> None:
        monkeypatch.setattr(config.settings(), "smtp", SmtpSettings(**given))

    configure()
    return configure


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test server's certificate is one that this machine trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(smtp.CERTIFICATE))


@pytest.fixture
async def server(configure: Configure) -> AsyncIterator[smtp.Server]:
    """A server that mail is sent to without encryption."""
    async with smtp.running() as running:
        configure(host="127.0.0.1", port=running.port, security="none", timeout=2)
        yield running


async def test_a_mail_arrives_with_both_its_bodies(server: smtp.Server) -> None:
    await mail.send(
        letter(headers={"List-Unsubscribe": UNSUBSCRIBE, "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"})
    )
    (envelope,), (received,) = server.envelopes, server.messages()
    assert (envelope.mail_from, envelope.rcpt_tos) == ("no-reply@key2key.example", ["hana@example.com"])
    assert received["From"] == "Key2Key <no-reply@key2key.example>"
    assert received["To"].addresses[0].display_name == "ሃና ተስፋዬ"
    assert received["Subject"] == "እንኳን ደህና መጡ, welcome to Key2Key"
    assert received["Message-ID"] == "<0193-delivery@key2key.example>"
    assert received["Auto-Submitted"] == "auto-generated"
    assert abs(received["Date"].datetime - clock.now()) < timedelta(seconds=5)
    assert received.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in received.iter_parts()] == ["text/plain", "text/html"]
    assert [part.get_content() for part in received.iter_parts()] == ["ሰላም\r\n.\r\nBye\r\n", "<p>ሰላም</p>\r\n"]


async def test_a_link_in_a_header_stays_in_one_piece(server: smtp.Server) -> None:
    await mail.send(letter(headers={"List-Unsubscribe": UNSUBSCRIBE}))
    content = server.envelopes[0].content
    assert isinstance(content, bytes)
    assert f"\r\nList-Unsubscribe: {UNSUBSCRIBE}\r\n".encode() in content
    assert max(map(len, content.split(b"\r\n"))) <= 998
    assert content.isascii()


async def test_the_date_is_the_clocks(server: smtp.Server) -> None:
    clock.advance(timedelta(days=400))
    await mail.send(letter())
    assert abs(server.messages()[0]["Date"].datetime - clock.now()) < timedelta(seconds=5)


@pytest.mark.parametrize(
    ("command", "answer", "failure"),
    [
        ("RCPT", "550 5.1.1 No such user", MailRefused),
        ("RCPT", "450 4.2.0 Greylisted", MailUnavailable),
        ("DATA", "554 5.7.1 Spam", MailRefused),
        ("DATA", "451 4.3.0 Disk full", MailUnavailable),
        ("MAIL", "550 5.7.1 Who are you?", MailUnavailable),
        ("MAIL", "421 4.7.0 Too many", MailUnavailable),
    ],
)
async def test_C09_a_refusal_is_for_good_or_for_now(
    server: smtp.Server, command: str, answer: str, failure: type[Exception]
) -> None:
    server.answers[command] = f"{answer} (hana@example.com)"
    with pytest.raises(failure) as failed:
        await mail.send(letter())
    assert server.envelopes == []
    assert "hana" not in str(failed.value)
    assert failed.value.__suppress_context__


async def test_what_goes_wrong_after_the_mail_was_taken_is_no_failure(server: smtp.Server) -> None:
    server.answers["QUIT"] = "421 Gone"
    await mail.send(letter())
    assert len(server.envelopes) == 1


async def test_C09_a_server_that_scans_for_long_is_waited_for(server: smtp.Server, configure: Configure) -> None:
    async def scan(_: Any) -> None:
        await asyncio.sleep(0.6)

    server.scan = scan
    configure(host="127.0.0.1", port=server.port, security="none", timeout=0.5, data_timeout=10)
    await mail.send(letter())
    assert len(server.envelopes) == 1


@pytest.mark.parametrize("scan", [smtp.hang_up, smtp.say_nothing])
async def test_C09_a_server_that_has_the_mail_and_does_not_answer_may_have_taken_it(
    server: smtp.Server, configure: Configure, scan: Any
) -> None:
    server.scan = scan
    configure(host="127.0.0.1", port=server.port, security="none", timeout=2, data_timeout=0.3)
    with pytest.raises(MailUncertain):
        await mail.send(letter())
    assert len(server.envelopes) == 1


async def test_C09_a_silent_server_is_given_up(configure: Configure) -> None:
    async with listening(lambda _reader, _writer: asyncio.sleep(3600)) as port:
        configure(host="127.0.0.1", port=port, security="none", timeout=0.2)
        with pytest.raises(MailUnavailable):
            await mail.send(letter())


async def test_C09_a_server_that_hangs_up_is_unavailable(configure: Configure) -> None:
    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with listening(hang_up) as port:
        configure(host="127.0.0.1", port=port, security="none", timeout=2)
        with pytest.raises(MailUnavailable):
            await mail.send(letter())
    with pytest.raises(MailUnavailable):  # and now nobody listens at all
        await mail.send(letter())


@asynccontextmanager
async def listening(answer: Callable[..., Any]) -> AsyncIterator[int]:
    """A port where `answer` talks; its conversations end with it."""
    tasks: set[asyncio.Task[Any]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def talk() -> None:
            try:
                await answer(reader, writer)
            finally:
                writer.close()

        tasks.add(asyncio.create_task(talk()))

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_the_password_goes_over_starttls(configure: Configure, trusted: None) -> None:
    async with smtp.running(starttls=True) as server:
        configure(host="localhost", port=server.port, username="k2k", password="pw", timeout=5)
        await mail.send(letter())
    assert server.logins == [(b"k2k", b"pw", True)]
    assert len(server.envelopes) == 1


async def test_the_password_goes_over_tls(configure: Configure, trusted: None) -> None:
    async with smtp.running(tls=True) as server:
        configure(host="localhost", port=server.port, security="tls", username="k2k", password="pw", timeout=5)
        await mail.send(letter())
    assert [(login, password) for login, password, _ in server.logins] == [(b"k2k", b"pw")]
    assert len(server.envelopes) == 1


async def test_a_server_without_starttls_gets_neither_password_nor_mail(configure: Configure) -> None:
    async with smtp.running() as server:
        configure(host="localhost", port=server.port, username="k2k", password="pw", timeout=5)
        with pytest.raises(MailUnavailable):
            await mail.send(letter())
    assert (server.logins, server.envelopes) == ([], [])


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_server_that_nobody_vouches_for_gets_neither_password_nor_mail(
    configure: Configure, security: str
) -> None:
    async with smtp.running(**{security: True}) as server:
        configure(host="localhost", port=server.port, security=security, username="k2k", password="pw", timeout=5)
        with pytest.raises(MailUnavailable):
            await mail.send(letter())
    assert (server.logins, server.envelopes) == ([], [])


async def test_a_wrong_password_is_ours_to_mend_and_the_mail_waits(configure: Configure, trusted: None) -> None:
    async with smtp.running(starttls=True) as server:
        configure(host="localhost", port=server.port, username="k2k", password="hunter2", timeout=5)
        with pytest.raises(MailUnavailable, match="SMTPAuthenticationError"):
            await mail.send(letter())
    assert server.envelopes == []


@pytest.mark.parametrize("takes_utf8", [True, False])
async def test_addresses_beyond_ascii_go_to_servers_that_take_them(configure: Configure, takes_utf8: bool) -> None:
    async with smtp.running(enable_SMTPUTF8=takes_utf8) as server:
        configure(host="127.0.0.1", port=server.port, security="none", timeout=2)
        if not takes_utf8:
            with pytest.raises(MailRefused):
                await mail.send(letter(to="ሃና@example.com"))
        else:
            await mail.send(letter(to="ሃና@example.com"))
        await mail.send(letter(to="hana@bücher.example.com"))
    wanted = [["ሃና@example.com"]] if takes_utf8 else []
    assert [envelope.rcpt_tos for envelope in server.envelopes] == [*wanted, ["hana@xn--bcher-kva.example.com"]]


HOSTILE = [
    "Hana\r\nBcc: eve@example.org",
    "Hana\nBcc: eve@example.org",
    "Hana\rBcc: eve@example.org",
    "Hana\x0bBcc: eve@example.org\x85\u2028Bcc: eve@example.org",
    "=?utf-8?q?Hana=0D=0ABcc:_eve@example.org?=",
    "=?utf-8?b?SGFuYQ0KQmNjOiBldmVAZXhhbXBsZS5vcmc=?= ሃና",
    'ሃና" <eve@example.org>, "ሃና',
    "Hana, eve@example.org (ሃና",
    "\ud800 Hana\x00",
    "ሃ\r\n" * 2000,
    "",
]


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
async def test_C09_what_others_wrote_makes_no_header(server: smtp.Server, hostile: str) -> None:
    await mail.send(letter(to_name=hostile, subject=hostile, headers={"X-Note": hostile[:99]}))
    (envelope,), (received,) = server.envelopes, server.messages()
    assert envelope.rcpt_tos == ["hana@example.com"]
    assert [address.addr_spec for address in received["To"].addresses] == ["hana@example.com"]
    names = ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "X-Note", "MIME-Version", "Content-Type"]
    assert received.keys() == names
    for name in ("To", "Subject", "X-Note"):
        assert not set("\r\n\x0b\x85\u2028") & set(received[name])


@pytest.mark.parametrize(
    "to",
    [
        "",
        "hana",
        "hana@",
        "Hana <hana@example.com>",
        "hana@example.com, eve@example.org",
        "hana@example.com\r\nBcc: eve@example.org",
        "hana@example.com>\r\nRCPT TO:<eve@example.org",
        "hana@example.com ",
        "a" * 300 + "@example.com",
    ],
)
async def test_C09_an_address_that_is_none_is_refused(server: smtp.Server, to: str) -> None:
    with pytest.raises(MailRefused):
        await mail.send(letter(to=to))
    assert server.envelopes == []


@pytest.mark.parametrize(
    "faulty", [{"message_id": "a@b>\r\nBcc: <eve@example.org"}, {"headers": {"X\r\nBcc: eve@example.org": "y"}}]
)
async def test_C09_what_is_ours_is_refused_where_it_is_no_header(server: smtp.Server, faulty: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"Message-ID|name of a header"):
        await mail.send(letter(**faulty))
    assert server.envelopes == []


def files_in(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


async def test_without_a_server_mail_is_written_to_files_in_order(configure: Configure, tmp_path: Path) -> None:
    for day in range(3):
        await mail.send(letter(subject=f"Day {day}"))
        clock.advance(timedelta(days=1))
    files = files_in(tmp_path / "mail")
    assert [file.suffix for file in files] == [".eml"] * 3
    assert [file.stat().st_mode & 0o777 for file in files] == [0o600] * 3
    read = [message_from_bytes(file.read_bytes(), EmailMessage, policy=policy.default) for file in files]
    assert [one["Subject"] for one in read] == ["Day 0", "Day 1", "Day 2"]
    assert "ሰላም" in read[0].get_body(("plain",)).get_content()  # type: ignore[union-attr]


async def test_a_mail_that_cannot_be_written_is_tried_again(configure: Configure, tmp_path: Path) -> None:
    (tmp_path / "mail").write_text("a file where the folder should be")
    with pytest.raises(MailUnavailable):
        await mail.send(letter())
    (tmp_path / "mail").unlink()
    await mail.send(letter())
    assert len(files_in(tmp_path / "mail")) == 1
