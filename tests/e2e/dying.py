"""`key2key`, whose server is killed in the middle of a POST: `before-commit` or `before-answer`.

The first is when all that makes a listing has been sent to the database but the commit; the second right after that.
"""

import os
import signal
import sys
from typing import Any

from sqlalchemy import Connection, Engine, event
from starlette.types import Message, Receive, Scope, Send

from src import cli
from src.main import create_app

moment = sys.argv.pop(1)


def die(*_: object) -> None:
    """At once, with nothing tidied up."""
    os.kill(os.getpid(), signal.SIGKILL)


def arm(connection: Connection, *statement: Any) -> None:
    """It is this transaction's commit that is not to happen."""
    if "INSERT INTO listings" in statement[1]:
        event.listen(connection, "commit", die)


class Dying:
    """The application, which never answers a request."""

    def __init__(self, settings: Any) -> None:
        self.app = create_app(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_or_die(message: Message) -> None:
            if message["type"] == "http.response.start":
                die()
            await send(message)

        await self.app(scope, receive, send_or_die)


if moment == "before-commit":
    event.listen(Engine, "before_cursor_execute", arm)
vars(cli)["create_app"] = Dying
cli.main()
