"""`/dev/mail`: the mails that were written to files, for whoever develops against a server that sends none."""

import heapq
import re
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, NamedTuple

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from src.core.errors import NotFound
from src.core.templates import Templates

MOST = 100

_NAME = re.compile(r"[0-9]{8}T[0-9]{6}\.[0-9]{6}Z-[0-9a-f]{8}\.eml")
# The frame that shows a mail inherits it: no scripts, and nothing is fetched but pictures.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src https: data:; frame-src 'self'; "
    "form-action 'none'; frame-ancestors 'none'"
}


class _Entry(NamedTuple):
    """A line of the list."""

    name: str
    date: str
    to: str
    subject: str


def install(app: FastAPI, folder: Path) -> None:
    """Serve the mails in `folder` to everybody who can reach the server; they hold links that sign people in."""
    pages = Templates("mailbox")

    def read_mailbox() -> HTMLResponse:
        names = heapq.nlargest(MOST, (path.name for path in folder.glob("*.eml") if _NAME.fullmatch(path.name)))
        mails = [_entry(name, _message(folder, name)) for name in names]
        return HTMLResponse(pages.fill("list.html", {"mails": mails, "most": MOST}), headers=_HEADERS)

    def read_mail(name: str) -> HTMLResponse:
        message = _message(folder, name)
        return HTMLResponse(pages.fill("mail.html", _shown(name, message)), headers=_HEADERS)

    app.add_api_route("/dev/mail", read_mailbox, include_in_schema=False)
    app.add_api_route("/dev/mail/{name}", read_mail, include_in_schema=False)


def _message(folder: Path, name: str) -> EmailMessage:
    """Raises NotFound."""
    if not _NAME.fullmatch(name):
        raise NotFound
    try:
        return message_from_bytes((folder / name).read_bytes(), EmailMessage, policy=policy.default)
    except FileNotFoundError:
        raise NotFound from None


def _entry(name: str, message: EmailMessage) -> _Entry:
    return _Entry(name, str(message["Date"]), str(message["To"]), str(message["Subject"]))


def _shown(name: str, message: EmailMessage) -> dict[str, Any]:
    # A page that a link leads to does not fit into the frame, and most refuse to be in one.
    html = _part(message, "html").replace("<head>", '<head><base target="_blank">', 1)
    headers = [(header, str(value)) for header, value in message.items() if not header.startswith("Content-")]
    return {"mail": _entry(name, message), "headers": headers, "html": html, "text": _part(message, "plain")}


def _part(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    return part.get_content() if part else ""
