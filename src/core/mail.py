"""Mail: to the configured server, or, where there is none, into files under the data directory.

The only place that speaks SMTP. What others wrote (names, titles) is harmless in a header whatever it holds.
"""

import asyncio
import os
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import aiosmtplib
from email_validator import EmailNotValidError, validate_email

from src.core import clock
from src.core.config import Settings, SmtpSettings, settings
from src.core.database import new_id

LONGEST_LINE = 998  # RFC 5322, section 2.1.1
LONGEST_WORDS = 200  # of subjects and names; the time it takes to encode them grows with the square
FAREWELL_SECONDS = 1.0

_HEADER_NAME = re.compile(r"[!-9;-~]+")
_MESSAGE_ID = re.compile(r"[!-;=?-~]+@[!-;=?-~]+")


class MailRefused(Exception):
    """It will never arrive: there is no such recipient, or the server will not have this mail."""


class MailUnavailable(Exception):
    """It may well arrive if it is sent again later."""


class MailUncertain(Exception):
    """It may have arrived: what became of it after DATA, the server did not say."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail to one person. `message_id` stays the same however often it is sent, so that receivers can tell."""

    to: str
    to_name: str
    subject: str
    text: str
    html: str
    message_id: str
    headers: Mapping[str, str] = field(default_factory=dict)


class _Policy(EmailPolicy):
    """SMTP's line ends; headers of ASCII stay whole, since a folded or encoded link is no link."""

    def fold_binary(self, name: str, value: str) -> bytes:
        line = f"{name}: {value}"
        if line.isascii() and line.isprintable() and len(line) <= LONGEST_LINE:
            return f"{line}{self.linesep}".encode()
        return super().fold_binary(name, value)


_ASCII = _Policy(linesep="\r\n", cte_type="7bit")
_UTF8 = _Policy(linesep="\r\n", cte_type="7bit", utf8=True)


async def send(mail: Mail) -> None:
    """Hand the mail to the server; without one, write it to a file.

    Raises:
        MailRefused: for good; sending it again is of no use.
        MailUnavailable: for now.
        MailUncertain: after DATA the connection broke, or no answer came in time.
    """
    config = settings()
    message = compose(mail, config.smtp.sender)
    try:
        if config.smtp.host is None:
            await asyncio.to_thread(_write, folder(config), message.as_bytes())
        else:
            await _hand_over(message, config.smtp)
    except (aiosmtplib.SMTPException, OSError) as exc:
        raise MailUnavailable(type(exc).__name__) from None


def compose(mail: Mail, sender: str) -> EmailMessage:
    """The mail as it goes over the wire.

    Raises:
        MailRefused: the address is none.
        ValueError: the Message-ID, or the name of a header, is none.
    """
    address = _address(mail.to)
    message = EmailMessage(_ASCII if address.isascii() else _UTF8)
    message["From"] = sender
    local, _, domain = address.rpartition("@")
    # In parts: as a whole it may not go beyond ASCII.
    message["To"] = Address(_name(mail.to_name), local, domain)
    message["Subject"] = _one_line(mail.subject)[:LONGEST_WORDS]
    message["Date"] = clock.now()
    message["Message-ID"] = _message_id(mail.message_id)
    # RFC 3834: no vacation notice, please.
    message["Auto-Submitted"] = "auto-generated"
    for name, value in mail.headers.items():
        message[_header_name(name)] = _one_line(value)
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    return message


def folder(config: Settings) -> Path:
    """Where mail is written if there is no server."""
    return config.data_dir / "mail"


def _address(given: str) -> str:
    try:
        found = validate_email(given, check_deliverability=False)
    except EmailNotValidError:
        raise MailRefused("the address is not valid") from None
    return found.ascii_email or found.normalized


def _message_id(given: str) -> str:
    bare = given.removeprefix("<").removesuffix(">")
    if not _MESSAGE_ID.fullmatch(bare):
        raise ValueError("a Message-ID is left@right, in ASCII")
    return f"<{bare}>"


def _header_name(given: str) -> str:
    if not _HEADER_NAME.fullmatch(given):
        raise ValueError("the name of a header is printable ASCII without a colon")
    return given


def _one_line(text: str) -> str:
    """Without line ends and other controls, and without what Python would decode into some."""
    printable = "".join(" " if unicodedata.category(each) in ("Cc", "Zl", "Zp", "Cs") else each for each in text)
    return " ".join(printable.replace("=?", "= ?").split())


def _name(text: str) -> str:
    """Letters, digits and what joins them: anything else could make two addresses of one."""
    kept = (each if each.isalnum() or unicodedata.category(each)[0] == "M" or each in "'’-" else " " for each in text)
    return " ".join("".join(kept).split())[:LONGEST_WORDS]


def _write(directory: Path, content: bytes) -> None:
    """Whole or not at all; the names sort by time."""
    directory.mkdir(parents=True, exist_ok=True)
    name = f"{clock.now():%Y%m%dT%H%M%S.%fZ}-{new_id().hex[-8:]}.eml"
    with NamedTemporaryFile(dir=directory, prefix=".") as file:
        file.write(content)
        file.flush()
        os.link(file.name, directory / name)


async def _hand_over(message: EmailMessage, config: SmtpSettings) -> None:
    """Over a connection of its own. Raises as `send` does, never with what the server said of whom."""
    sender, to = (message[name].addresses[0].addr_spec for name in ("From", "To"))
    try:
        async with _client(config, sender) as client:
            options = await _options(client, to)
            await client.sendmail(sender, [to], message.as_bytes(), mail_options=options)
    except aiosmtplib.SMTPRecipientsRefused as exc:
        raise _failure(exc.recipients[0]) from None
    except aiosmtplib.SMTPDataError as exc:
        raise _failure(exc) from None


class _Client(aiosmtplib.SMTP):
    """Patient after DATA, since to send what may have arrived is to send it twice; RFC 5321 grants ten minutes."""

    def __init__(self, *, data_timeout: float, **options: Any) -> None:
        super().__init__(**options)
        self._data_timeout = data_timeout

    async def data(self, message: str | bytes, /, **_: Any) -> aiosmtplib.SMTPResponse:
        try:
            return await super().data(message, timeout=self._data_timeout)
        except aiosmtplib.SMTPDataError:
            raise
        except (aiosmtplib.SMTPException, OSError) as exc:
            raise MailUncertain(type(exc).__name__) from None

    async def quit(self, **_: Any) -> aiosmtplib.SMTPResponse:
        """The mail is on its way, or is not: how long the server takes for its farewell changes nothing."""
        return await super().quit(timeout=FAREWELL_SECONDS)


def _client(config: SmtpSettings, sender: str) -> _Client:
    return _Client(
        hostname=config.host,
        port=config.port,
        username=config.username,
        password=config.password.get_secret_value() if config.password else None,
        # Else the machine's own name is looked up, for as long as that takes.
        local_hostname=sender.partition("@")[2],
        timeout=config.timeout,
        data_timeout=config.data_timeout,
        use_tls=config.security == "tls",
        start_tls=config.security == "starttls",
    )


async def _options(client: aiosmtplib.SMTP, to: str) -> list[str]:
    if to.isascii():
        return []
    await client.ehlo()
    if not client.supports_extension("smtputf8"):
        raise MailRefused("the server takes no addresses outside ASCII")
    return ["SMTPUTF8"]


def _failure(refusal: aiosmtplib.SMTPResponseException) -> MailRefused | MailUnavailable:
    kind = MailRefused if refusal.code >= 500 else MailUnavailable
    return kind(f"the server answered {refusal.code}")
