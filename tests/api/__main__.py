"""`make api` and `make api-release`: is every breaking change since the last release declared?

`docs/api/released.json` is openapi.json as it was released; `docs/api/breaking.toml` declares what breaks since then.
"""

import shutil
import sys
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import orjson

from tests.api.changes import Change, breaking

ROOT = Path(__file__).resolve().parents[2]
CURRENT = ROOT / "openapi.json"
RELEASED = ROOT / "docs" / "api" / "released.json"
DECLARED = ROOT / "docs" / "api" / "breaking.toml"

EMPTY = """\
# The breaking changes since the release in released.json, each with its id (`make api` prints it; * stands for
# anything) and the reason, for whoever writes a client. `make api-release` empties this file.
#
# [[change]]
# id = "field-removed read_vehicle 200/price"
# why = "…"
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What nobody declared, and what was declared and did not happen."""

    undeclared: list[Change]
    idle: list[str]


def judge(old: dict[str, Any], new: dict[str, Any], declared: list[str]) -> Verdict:
    """Hold the changes from `old` to `new` against the declared ids."""
    changes = breaking(old, new)
    undeclared = [change for change in changes if not any(fnmatchcase(change.id, name) for name in declared)]
    idle = [name for name in declared if not any(fnmatchcase(change.id, name) for change in changes)]
    return Verdict(undeclared, idle)


def declarations(text: str) -> list[str]:
    """The ids in a declaration file.

    Raises:
        ValueError: one of them gives no reason.
    """
    entries = tomllib.loads(text).get("change", [])
    for entry in entries:
        if not entry.get("id") or not entry.get("why"):
            raise ValueError(f"every change has an id and a why: {entry}")
    return [entry["id"] for entry in entries]


def complaints(verdict: Verdict) -> str:
    """The verdict in words, with the ids to declare; empty if there is nothing to say."""
    lines = [f"Breaks clients: {change.sentence}.\n    id = {_quoted(change.id)}" for change in verdict.undeclared]
    if lines:
        lines.append("Keep it compatible, or declare it with its id and the reason in docs/api/breaking.toml.")
    lines += [f"Declared in docs/api/breaking.toml, but it does not happen: {name}" for name in verdict.idle]
    return "".join(f"{line}\n" for line in lines)


def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()


def check() -> int:
    """Print what is wrong; the exit code."""
    old, new = (orjson.loads(path.read_bytes()) for path in (RELEASED, CURRENT))
    said = complaints(judge(old, new, declarations(DECLARED.read_text())))
    sys.stderr.write(said)
    return 1 if said else 0


def release() -> int:
    """Today's document is the released one, and nothing breaks it."""
    shutil.copyfile(CURRENT, RELEASED)
    DECLARED.write_text(EMPTY)
    return 0


if __name__ == "__main__":
    sys.exit({"check": check, "release": release}[sys.argv[1]]())
