"""Backups: one tar of a dump, the product's files and a manifest, which says what a restore must have brought back.

The rows are counted and summed up in the snapshot that the dump is made of. The manifest comes last, so that an
archive that was cut off has none.
"""

import hashlib
import os
import tarfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO, Literal

from pydantic import BaseModel, ValidationError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from src import __version__
from src.core import clock, postgres_tools

DUMP, MANIFEST, FILES = "database.dump", "manifest.json", "files"
CHUNK = 1 << 20

# What the text of a row depends on; and a backup takes the time that it takes.
_SETTINGS = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}
_IS_OURS = """n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = {table}.oid AND d.deptype = 'e')"""
# Without generated columns, which each server computes for itself, with its own library of mathematics.
_TABLES = f"""SELECT format('%I.%I', n.nspname, c.relname), (
        SELECT string_agg(format('%I', attname), ', ' ORDER BY attnum) FROM pg_attribute
        WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = '')
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE relkind IN ('r', 'm') AND {_IS_OURS.format(table="c")} ORDER BY 1"""  # noqa: S608 - our own words
_ANYTHING = f"""SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
        WHERE {_IS_OURS.format(table="c")})
    OR EXISTS (SELECT FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
        WHERE {_IS_OURS.format(table="p")})"""  # noqa: S608
# A sum, so that the order of the rows, which a restore may change, does not matter.
_CONTENTS = """SELECT count(*),
        coalesce(sum(('x' || left(md5(ROW({columns})::text), 16))::bit(64)::bigint::numeric), 0)::text
    FROM {table}"""


class BackupError(Exception):
    """No backup, or no restore; the message is a sentence for the person at the keyboard."""


class Contents(BaseModel):
    """How many rows a table has, and what they add up to."""

    rows: int
    checksum: str


class Manifest(BaseModel):
    """What is in an archive."""

    format: Literal["key2key backup 1"] = "key2key backup 1"
    version: str
    revision: str | None
    postgresql: int
    created_at: datetime
    tables: dict[str, Contents]
    digests: dict[str, str]

    @property
    def rows(self) -> int:
        """Of all tables."""
        return sum(table.rows for table in self.tables.values())


async def make(engine: AsyncEngine, files: Path, target: Path, *, places: Sequence[Path] | None = None) -> Manifest:
    """Back the database and the folder `files` up as `target`, which is written whole or not at all.

    Raises:
        PostgresToolError: no pg_dump of the server's version, or it failed.
        OSError: the target cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent, prefix=".key2key-backup-") as name:
        folder = Path(name)
        async with _snapshot(engine) as connection:
            major = await _major(connection)
            program = postgres_tools.find("pg_dump", major, places or postgres_tools.places())
            snapshot = await connection.scalar(text("SELECT pg_export_snapshot()"))
            wanted = ("--format=custom", "--no-owner", "--no-privileges", f"--snapshot={snapshot}")
            await postgres_tools.run(program, engine.url, *wanted, f"--file={folder / DUMP}")
            manifest = Manifest(
                version=__version__,
                revision=await _revision(connection),
                postgresql=major,
                created_at=clock.now(),
                tables=await _contents(connection),
                digests={},
            )
        # The files come after the rows that name them: what is added meanwhile does no harm.
        _pack(folder, files, manifest, target)
    return manifest


async def restore(engine: AsyncEngine, archive: Path, files: Path, *, places: Sequence[Path] | None = None) -> Manifest:
    """Restore into an empty database, and into `files`, where nothing may be yet; then compare with the manifest.

    Raises:
        BackupError: the archive is damaged or none of ours, the target is not empty, or what was restored differs.
        PostgresToolError: no pg_restore of the server's version, or it failed, and has left nothing behind.
        OSError: the archive cannot be read, or the files cannot be written.
    """
    files.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=files.parent, prefix=".key2key-restore-") as name:
        folder = Path(name)
        manifest = _unpack(archive, folder)
        async with _snapshot(engine) as connection:
            major = await _major(connection)
            is_empty = not await connection.scalar(text(_ANYTHING))
        _refuse_unless_fitting(engine, files, manifest, major=major, is_empty=is_empty)
        program = postgres_tools.find("pg_restore", major, places or postgres_tools.places())
        whole = ("--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges", "--no-comments")
        await postgres_tools.run(program, engine.url, *whole, str(folder / DUMP))
        async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            await connection.execute(text("SET statement_timeout = 0"))
            await connection.execute(text("ANALYZE"))
        async with _snapshot(engine) as connection:
            _compare(manifest.tables, await _contents(connection))
        if (folder / FILES).exists():
            (folder / FILES).replace(files)
    return manifest


@asynccontextmanager
async def new_database(engine: AsyncEngine, name: str) -> AsyncIterator[None]:
    """A new database on the same server; it goes again if what is done with it fails.

    Raises:
        BackupError: there is one of that name.
    """
    quoted = engine.dialect.identifier_preparer.quote(name)
    async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        if await connection.scalar(text("SELECT true FROM pg_database WHERE datname = :name"), {"name": name}):
            raise BackupError(f"There is a database {name} already: choose another name")
        await connection.execute(text(f"CREATE DATABASE {quoted} TEMPLATE template0"))
        try:
            yield
        except BaseException:
            await connection.execute(text(f"DROP DATABASE {quoted} WITH (FORCE)"))
            raise


def _refuse_unless_fitting(engine: AsyncEngine, files: Path, manifest: Manifest, *, major: int, is_empty: bool) -> None:
    if major < manifest.postgresql:
        raise BackupError(
            f"The backup is of PostgreSQL {manifest.postgresql} and cannot go into {major}: restore it into a newer one"
        )
    if not is_empty:
        raise BackupError(
            f"The database {engine.url.database} is not empty: restore into a new one, as in "
            "key2key restore FILE --into key2key_restored"
        )
    if files.exists() and any(files.iterdir()):
        raise BackupError(f"The folder {files} is not empty: move it away first")


@asynccontextmanager
async def _snapshot(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    async with engine.execution_options(**options).connect() as connection, connection.begin():
        for name, value in _SETTINGS.items():
            await connection.execute(text(f"SET LOCAL {name} = '{value}'"))
        yield connection


async def _major(connection: AsyncConnection) -> int:
    return int(str(await connection.scalar(text("SHOW server_version_num")))) // 10_000


async def _revision(connection: AsyncConnection) -> str | None:
    if await connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        return None
    revision: str | None = await connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


async def _contents(connection: AsyncConnection) -> dict[str, Contents]:
    contents = {}
    for table, columns in (await connection.execute(text(_TABLES))).all():
        counted = await connection.execute(text(_CONTENTS.format(table=table, columns=columns)))
        rows, checksum = counted.one()
        contents[table] = Contents(rows=rows, checksum=checksum)
    return contents


def _compare(wanted: dict[str, Contents], found: dict[str, Contents]) -> None:
    """Raises BackupError naming each table that is not as it was."""
    different = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    if different:
        raise BackupError(f"What was restored differs from the backup in {', '.join(different)}: do not use it")


class _Digesting:
    """A file whose content is summed up while it is read or written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._digest = file, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        chunk = self._file.read(size)
        self._digest.update(chunk)
        return chunk

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()


def _pack(folder: Path, files: Path, manifest: Manifest, target: Path) -> None:
    """Fill in the manifest's digests, and put everything in place at once."""
    archive = folder / "archive"
    with archive.open("xb") as opened:
        archive.chmod(0o600)
        with tarfile.open(fileobj=opened, mode="w", format=tarfile.PAX_FORMAT) as tar:
            manifest.digests[DUMP] = _add(tar, folder / DUMP, DUMP)
            for path in sorted(path for path in files.rglob("*") if path.is_file()):
                name = f"{FILES}/{path.relative_to(files).as_posix()}"
                manifest.digests[name] = _add(tar, path, name)
            (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2))
            _add(tar, folder / MANIFEST, MANIFEST)
        opened.flush()
        os.fsync(opened.fileno())
    archive.replace(target)


def _add(tar: tarfile.TarFile, path: Path, name: str) -> str:
    with path.open("rb") as opened:
        content = _Digesting(opened)
        member = tar.gettarinfo(arcname=name, fileobj=opened)
        tar.addfile(member, content)
    return content.digest


def _unpack(archive: Path, folder: Path) -> Manifest:
    """Raises BackupError unless everything that the manifest names is there, and as it was."""
    try:
        with tarfile.open(archive, "r:") as tar:
            digests = {member.name: _extract(tar, member, folder) for member in tar}
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except (tarfile.TarError, FileNotFoundError, ValidationError) as exc:
        if not archive.exists():
            raise
        raise BackupError(f"{archive} is no backup of Key2Key, or not the whole of one") from exc
    digests.pop(MANIFEST)
    if digests != manifest.digests:
        raise BackupError(f"{archive} is damaged: its content is not what its manifest says")
    return manifest


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> str:
    name = PurePosixPath(member.name)
    content = tar.extractfile(member) if member.isreg() else None
    if content is None or ".." in name.parts or not (member.name in (DUMP, MANIFEST) or name.parts[0] == FILES):
        raise tarfile.ExtractError(member.name)
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    digesting = _Digesting(content)
    with path.open("xb") as written:
        while chunk := digesting.read(CHUNK):
            written.write(chunk)
    return digesting.digest
