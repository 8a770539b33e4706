"""A real SMTP server in the tests' own event loop, and what it received."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword

CERTIFICATE = Path(__file__).parent / "core" / "localhost.pem"


def message(envelope: Envelope) -> EmailMessage:
    """What is in an envelope, as a mail program reads it."""
    assert isinstance(envelope.content, bytes)
    return message_from_bytes(envelope.content, EmailMessage, policy=policy.default)


@dataclass
class Server:
    """Answers `answers[command]` where there is one, and says yes to everything else; to a mail after its `scan`."""

    answers: dict[str, str] = field(default_factory=dict)
    port: int = 0
    envelopes: list[Envelope] = field(default_factory=list)
    logins: list[tuple[bytes, bytes, bool]] = field(default_factory=list)
    scan: Callable[[SMTP], Awaitable[None]] | None = None

    async def handle_MAIL(self, _server: Any, _session: Any, envelope: Envelope, sender: str, options: Any) -> str:
        envelope.mail_from = sender
        envelope.mail_options.extend(options)
        return self.answers.get("MAIL", "250 OK")

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Envelope, address: str, _options: Any) -> str:
        answer = self.answers.get("RCPT", "250 OK")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, _session: Any, envelope: Envelope) -> str:
        answer = self.answers.get("DATA", "250 OK")
        if answer.startswith("250"):
            self.envelopes.append(envelope)
        if self.scan is not None:
            await self.scan(server)
        return answer

    async def handle_QUIT(self, _server: Any, _session: Any, _envelope: Envelope) -> str:
        return self.answers.get("QUIT", "221 Bye")

    def authenticate(self, _server: Any, session: Any, _envelope: Any, _mechanism: str, data: LoginPassword) -> Any:
        """Takes the password `pw`."""
        self.logins.append((data.login, data.password, session.ssl is not None))
        return AuthResult(success=data.password == b"pw", handled=False)

    def messages(self) -> list[EmailMessage]:
        """What was received."""
        return [message(envelope) for envelope in self.envelopes]


async def hang_up(connection: SMTP) -> None:
    """A scan that ends with the connection."""
    assert connection.transport is not None
    connection.transport.close()


async def say_nothing(_: SMTP) -> None:
    """A scan that does not end."""
    await asyncio.Event().wait()


@asynccontextmanager
async def running(*, starttls: bool = False, tls: bool = False, **options: Any) -> AsyncIterator[Server]:
    """A server on a free port; with `starttls` or `tls` it shows `CERTIFICATE`."""
    server = Server()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)
    options = {"hostname": "localhost", "authenticator": server.authenticate, "auth_require_tls": False, **options}

    def protocol() -> SMTP:
        return SMTP(server, tls_context=context if starttls else None, **options)

    listener = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0, ssl=context if tls else None)
    async with listener:
        server.port = listener.sockets[0].getsockname()[1]
        yield server
