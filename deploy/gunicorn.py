"""How Gunicorn runs the API: `gunicorn --config deploy/gunicorn.py`; WEB_CONCURRENCY says how many workers.

HUP replaces the workers, TERM ends them all; either way each finishes what it has begun (src/core/serving.py).
"""

import logging
import os
import signal
import sys
from typing import Any

from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from gunicorn.glogging import Logger
from prometheus_client.multiprocess import mark_process_dead
from uvicorn_worker import UvicornWorker

import src.main  # noqa: F401  # imported once, here: a worker that takes over from another must not be long in coming
from src.core import logging as our_logging
from src.core import serving
from src.core.config import InsecureSettingsError, settings

try:
    ours = settings()
    # Said once and in a sentence, before each worker fails of it.
    ours.refuse_insecure()
except InsecureSettingsError as refused:
    sys.exit(str(refused))

our_logging.configure(ours)


class Worker(UvicornWorker):
    """Serves as `key2key serve` does."""

    CONFIG_KWARGS = UvicornWorker.CONFIG_KWARGS | serving.options(ours)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        logging.getLogger("uvicorn.error").propagate = True

    async def _serve(self) -> None:
        self.config.app = self.wsgi
        server = serving.Server(self.config, ours.http.drain_seconds)
        self._install_sigquit_handler()
        await server.serve(sockets=self.sockets)
        if not server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)


class ThroughOurs(Logger):  # type: ignore[misc]
    """Gunicorn's lines go the way of all others; requests are told by core/middleware.py."""

    def setup(self, cfg: Config) -> None:
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True


def child_exit(_arbiter: Arbiter, worker: Worker) -> None:
    """What it was doing at its end it is doing no more."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(_arbiter: Arbiter) -> None:
    """A second TERM while Python takes itself down is to change nothing."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


wsgi_app = "src.main:create_app()"
bind = f"{ours.host}:{ours.port}"
worker_class = Worker
logger_class = ThroughOurs
# Longer than nginx keeps a connection to us: the one who sends is to be the one who closes.
keepalive = 75
# Each step of leaving has its time before the workers are killed; compose's stop_grace_period is longer again.
graceful_timeout = int(ours.http.drain_seconds + serving.LATE_SECONDS + serving.GRACEFUL_SECONDS) + 10
timeout = graceful_timeout + 30
# Nobody steers it but by signals, and the root file system is read-only.
control_socket_disable = True
