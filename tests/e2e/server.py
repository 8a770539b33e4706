"""The server as a process."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from types import MappingProxyType

import pytest

KEY2KEY = Path(sys.executable).with_name("key2key")


@dataclass(frozen=True, slots=True)
class Server:
    """A running `key2key serve`, and the lines it has logged so far."""

    process: subprocess.Popen[str]
    address: str
    log: list[str]
    listener: Thread

    def leave(self, number: signal.Signals) -> int:
        """Tell it to leave by a signal; its exit code."""
        self.process.send_signal(number)
        code = self.process.wait(timeout=15)
        self.listener.join()
        return code


@contextmanager
def serving(
    database_url: str,
    data_dir: Path,
    command: Sequence[str | Path] = (KEY2KEY,),
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Server]:
    """`key2key serve` on a port of its own choosing, until leaving."""
    environment = os.environ | {
        "DATABASE_URL": database_url.replace("+asyncpg", ""),
        "DATA_DIR": str(data_dir),
        "PORT": "0",
        "LOG_LEVEL": "INFO",
        **settings,
    }
    with subprocess.Popen(
        [*command, "serve"], env=environment, cwd=data_dir, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield _started(process)
        finally:
            process.kill()


def _started(process: subprocess.Popen[str]) -> Server:
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"running on (http://127\.0\.0\.1:\d+)", line):
            break
    else:
        pytest.fail("the server never said where it runs")
    log: list[str] = []
    # A pipe that nobody reads fills up, and then the server waits for ever.
    listener = Thread(target=log.extend, args=(process.stdout,), daemon=True)
    listener.start()
    return Server(process, found[1], log, listener)
