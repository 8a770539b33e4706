"""PostgreSQL's own programs, such as pg_dump: found, and run so that nobody sees the password."""

import asyncio
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy.engine import URL

from src.core import embedded


class PostgresToolError(Exception):
    """A program is missing or has failed; the message is a sentence for the person at the keyboard."""


def places() -> list[Path]:
    """The folders to look in: the embedded server's, those of the PATH, and each version's own (Debian, Red Hat)."""
    wheel = embedded.programs()
    versions = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/usr").glob("pgsql-*/bin")]
    return [*([wheel] if wheel else []), *map(Path, os.get_exec_path()), *sorted(versions)]


def find(name: str, major: int, folders: Sequence[Path]) -> Path:
    """The program of this major version: an older one cannot read the server, a newer one writes what it cannot read.

    Raises:
        PostgresToolError: there is none; it says which there are.
    """
    found = {version: folder / name for folder in reversed(folders) if (version := _major(folder / name))}
    if major in found:
        return found[major]
    others = f" (here is {', '.join(map(str, sorted(found)))})" if found else ""
    raise PostgresToolError(
        f"{name} of PostgreSQL {major}, the server's version, is not on this machine{others}: "
        f"install it (on Debian and Ubuntu: apt install postgresql-client-{major})"
    )


def _major(program: Path) -> int | None:
    """The major version; None if there is no such program, or it does not run."""
    if not os.access(program, os.X_OK):
        return None
    try:
        told = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=60)  # noqa: S603
    except OSError:
        return None
    version = re.search(r"\) (\d+)", told.stdout)
    return int(version[1]) if version else None


async def run(program: Path, url: URL, *arguments: str) -> None:
    """Run it on the database of `url`; the password goes by the environment, since everybody may see the arguments.

    Raises:
        PostgresToolError: with what it said.
    """
    address = url.set(drivername="postgresql")._replace(password=None).difference_update_query(["password"])
    password = url.password or url.query.get("password")
    process = await asyncio.create_subprocess_exec(
        program,
        f"--dbname={address.render_as_string(hide_password=False)}",
        *arguments,
        env={**os.environ, **({"PGPASSWORD": str(password)} if password else {})},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise PostgresToolError(f"{program.name} failed: {said.decode(errors='replace').strip()[-2000:]}")
