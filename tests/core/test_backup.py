"""What is backed up is what is restored; anything else is refused, and changes nothing."""

import asyncio
import io
import os
import shutil
import stat
import subprocess
import tarfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from src.core import backup, config, database, postgres_tools
from src.core.backup import BackupError, Contents
from src.core.postgres_tools import PostgresToolError
from tests.e2e.server import KEY2KEY
from tests.factories import World, property_data

pytestmark = pytest.mark.processes

# What a restore could lose although the rows are all there.
STRUCTURE = """SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated::text
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT 'index', tablename, indexname, indexdef, '' FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(oid), tgenabled::text
        FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT 'function', proname, '', pg_get_functiondef(oid), '' FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace AND prokind = 'f'
    UNION ALL SELECT 'extension', extname, extversion, '', '' FROM pg_extension ORDER BY 1, 2, 3, 4"""


@pytest.fixture
async def target(engine: AsyncEngine) -> AsyncIterator[AsyncEngine]:
    """An empty database on the same server."""
    name = f"{engine.url.database}_restored"
    async with backup.new_database(engine, name):
        made = database.create_engine(
            engine.url.set(database=name).render_as_string(hide_password=False), config.settings().database
        )
        yield made
        await made.dispose()
    async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        await connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
async def archive(committed: None, engine: AsyncEngine, world: World, tmp_path: Path) -> Path:
    """A backup of people, listings of both kinds, events and audit rows, and of two files."""
    owner, fan = await world.person(full_name="ሃና ተስፋዬ"), await world.person()
    car = await world.published(owner)
    await world.published(owner, property_data())
    await world.client.put(f"/api/v1/listings/{car['id']}/favourite", headers=fan.headers)
    await world.client.post("/api/v1/auth/logout", headers=fan.headers)
    (tmp_path / "files" / "photos").mkdir(parents=True)
    (tmp_path / "files" / "photos" / "ቪትዝ 1.jpg").write_bytes(os.urandom(3_000_000))
    (tmp_path / "files" / "empty").touch()
    await backup.make(engine, tmp_path / "files", tmp_path / "backup.tar")
    return tmp_path / "backup.tar"


async def structure(engine: AsyncEngine) -> list[Any]:
    async with engine.connect() as connection:
        return [tuple(row) for row in await connection.execute(text(STRUCTURE))]


async def contents(engine: AsyncEngine) -> dict[str, Contents]:
    async with backup._snapshot(engine) as connection:
        return await backup._contents(connection)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def test_O04_a_restored_database_is_the_one_that_was_backed_up(
    archive: Path, engine: AsyncEngine, target: AsyncEngine, tmp_path: Path
) -> None:
    manifest = await backup.restore(target, archive, tmp_path / "restored")
    assert await contents(target) == await contents(engine) == manifest.tables
    filled = {name for name, table in manifest.tables.items() if table.rows}
    assert filled >= {"public.users", "public.listings", "public.vehicles", "public.properties", "public.events"}
    assert await structure(target) == await structure(engine)
    assert tree(tmp_path / "restored") == tree(tmp_path / "files")


async def test_O04_what_is_written_during_a_backup_is_neither_in_it_nor_missed(
    archive: Path, engine: AsyncEngine, target: AsyncEngine, world: World, tmp_path: Path
) -> None:
    before = (await contents(engine))["public.users"]
    real, held = next(path for path in postgres_tools.places() if (path / "pg_dump").exists()), tmp_path / "held"
    held.mkdir()
    for pipe in ("started", "go"):
        os.mkfifo(held / pipe)
    (held / "pg_dump").write_text(
        f"""#!/bin/sh
        [ "$1" = --version ] || {{ echo > {held}/started; cat {held}/go; }}
        exec {real}/pg_dump "$@"
        """
    )
    (held / "pg_dump").chmod(0o755)
    backing_up = asyncio.create_task(backup.make(engine, tmp_path / "files", archive, places=[held]))
    await asyncio.to_thread((held / "started").read_bytes)
    await world.person()
    await asyncio.to_thread((held / "go").write_bytes, b"go")
    manifest = await backing_up
    await backup.restore(target, archive, tmp_path / "restored")
    assert manifest.tables["public.users"] == before != (await contents(engine))["public.users"]


async def test_an_append_only_table_is_restored_and_stays_so(
    archive: Path, target: AsyncEngine, tmp_path: Path
) -> None:
    await backup.restore(target, archive, tmp_path / "restored")
    with pytest.raises(Exception, match="append-only"):
        async with target.begin() as connection:
            await connection.execute(text("DELETE FROM events"))


def test_the_archive_is_for_its_owner_alone_and_nothing_else_is_left(archive: Path) -> None:
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    assert names(archive.parent) == {"files", "backup.tar"}


def cut(archive: Path, share: float) -> None:
    with archive.open("r+b") as opened:
        opened.truncate(int(archive.stat().st_size * share))


def copied(archive: Path) -> Path:
    return Path(shutil.copy(archive, archive.with_name("damaged.tar")))


def flip(archive: Path, place: int) -> None:
    content = bytearray(archive.read_bytes())
    content[place] ^= 1
    archive.write_bytes(content)


def replace_by(archive: Path, **members: bytes) -> None:
    with tarfile.open(archive, "w") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name.replace("__", "/").replace("up", ".."))
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "cut in the middle": lambda archive: cut(archive, 0.5),
    "cut at the end": lambda archive: cut(archive, 0.99),
    "cut at the start": lambda archive: cut(archive, 0.0001),
    "empty": lambda archive: cut(archive, 0),
    "a bit of the dump": lambda archive: flip(archive, 5_000),
    "a bit of a file": lambda archive: flip(archive, archive.stat().st_size // 2),
    "no tar": lambda archive: archive.write_bytes(b"PGDMP" * 1000),
    "another tar": lambda archive: replace_by(archive, readme=b"hello"),
    "a tar that leaves its folder": lambda archive: replace_by(archive, files__up__up__evil=b"x"),
    "an odd manifest": lambda archive: replace_by(archive, **{"manifest.json": b'{"format": "key2key backup 99"}'}),
}


async def test_damaged_archives_are_refused_and_nothing_is_changed(
    archive: Path, target: AsyncEngine, tmp_path: Path
) -> None:
    outcomes = {}
    for name, damage in DAMAGE.items():
        damaged = copied(archive)
        damage(damaged)
        with pytest.raises(BackupError) as refused:
            await backup.restore(target, damaged, tmp_path / "restored")
        outcomes[name] = str(refused.value).removeprefix(f"{damaged} ").partition(":")[0]
    assert set(outcomes.values()) == {"is no backup of Key2Key, or not the whole of one", "is damaged"}, outcomes
    assert await contents(target) == {}
    assert names(tmp_path) == {"files", "backup.tar", "damaged.tar"}


async def test_a_database_that_is_not_empty_is_refused_and_stays_as_it_is(
    archive: Path, engine: AsyncEngine, tmp_path: Path
) -> None:
    before = await contents(engine)
    with pytest.raises(BackupError, match="is not empty"):
        await backup.restore(engine, archive, tmp_path / "restored")
    assert await contents(engine) == before


async def test_a_folder_that_is_not_empty_is_refused_before_anything_is_restored(
    archive: Path, target: AsyncEngine, tmp_path: Path
) -> None:
    with pytest.raises(BackupError, match="is not empty"):
        await backup.restore(target, archive, tmp_path / "files")
    assert await contents(target) == {}


async def test_a_row_that_differs_is_told(archive: Path, target: AsyncEngine, tmp_path: Path) -> None:
    """The manifest of another moment, with this moment's dump."""
    with tarfile.open(archive) as tar:
        members = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    manifest = backup.Manifest.model_validate_json(members["manifest.json"])
    manifest.tables["public.users"].rows += 1
    replace_by(archive, **members | {"manifest.json": manifest.model_dump_json().encode()})
    with pytest.raises(BackupError, match=r"differs from the backup in public\.users"):
        await backup.restore(target, archive, tmp_path / "restored")
    assert not (tmp_path / "restored").exists()


async def test_without_the_programs_a_sentence_says_what_to_install(
    archive: Path, engine: AsyncEngine, target: AsyncEngine, tmp_path: Path
) -> None:
    before = tree(tmp_path)
    with pytest.raises(PostgresToolError, match=r"pg_dump of PostgreSQL .* apt install postgresql-client-"):
        await backup.make(engine, tmp_path / "files", archive, places=[tmp_path])
    with pytest.raises(PostgresToolError, match="pg_restore of PostgreSQL"):
        await backup.restore(target, archive, tmp_path / "restored", places=[tmp_path])
    assert tree(tmp_path) == before
    assert await contents(target) == {}


def test_another_version_than_the_servers_is_not_used(tmp_path: Path) -> None:
    old = tmp_path / "pg_dump"
    old.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 14.2'\n")
    old.chmod(0o755)
    with pytest.raises(PostgresToolError, match=r"PostgreSQL 18.*\(here is 14\)"):
        postgres_tools.find("pg_dump", 18, [tmp_path])


async def test_the_password_is_not_among_the_arguments(tmp_path: Path) -> None:
    spy = tmp_path / "pg_dump"
    spy.write_text('#!/bin/sh\necho "$@" "and $PGPASSWORD" >&2\nexit 1\n')
    spy.chmod(0o755)
    with pytest.raises(PostgresToolError) as told:
        await postgres_tools.run(spy, make_url("postgresql+asyncpg://me:s3cret-canary@db:5433/key2key?sslmode=require"))
    arguments, _, password = str(told.value).partition(" and ")
    assert "--dbname=postgresql://me@db:5433/key2key?sslmode=require" in arguments
    assert "canary" not in arguments
    assert password == "s3cret-canary"


def key2key(engine: AsyncEngine, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    environment = os.environ | {"DATABASE_URL": url, "DATA_DIR": str(folder / "data")}
    return subprocess.run(
        [KEY2KEY, *arguments], env=environment, cwd=folder, capture_output=True, text=True, check=False
    )


async def test_the_commands_back_up_and_restore_into_a_database_of_a_new_name(
    archive: Path, engine: AsyncEngine, tmp_path: Path
) -> None:
    name = f"{engine.url.database}_by_command"
    made = key2key(engine, tmp_path, "backup", "again.tar")
    restored = key2key(engine, tmp_path, "restore", "again.tar", "--into", name)
    again = key2key(engine, tmp_path, "restore", "again.tar", "--into", name)
    async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        await connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
    assert (made.returncode, restored.returncode, again.returncode) == (0, 0, 1), made.stderr + restored.stderr
    assert "each as it was backed up" in restored.stdout
    assert "There is a database" in again.stderr


async def test_a_failed_restore_takes_the_new_database_away_again(
    archive: Path, engine: AsyncEngine, tmp_path: Path
) -> None:
    cut(archive, 0.5)
    name = f"{engine.url.database}_never"
    refused = key2key(engine, tmp_path, "restore", "backup.tar", "--into", name)
    nothing = key2key(engine, tmp_path, "restore", "nothing.tar")
    async with engine.connect() as connection:
        made = await connection.scalar(text("SELECT true FROM pg_database WHERE datname = :name"), {"name": name})
    assert (refused.returncode, nothing.returncode, made) == (1, 1, None)
    assert "is no backup of Key2Key" in refused.stderr
    assert nothing.stderr == "nothing.tar: No such file or directory\n"
