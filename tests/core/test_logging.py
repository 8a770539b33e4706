"""Lines for people in development, JSON elsewhere and in the file, which rotates."""

import json
import logging as standard
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from src.core import config, logging
from src.core.config import Environment, Settings


@pytest.fixture
def configured() -> Iterator[Callable[..., None]]:
    """Configures logging for this test alone."""
    yield lambda **overrides: logging.configure(Settings(**overrides))
    logging.configure(config.settings())


def _log_all() -> None:
    log = structlog.get_logger("test.ours")
    log.warning("something_happened", number=7, text='two\nlines and "quotes"', name="ቪትዝ")
    standard.getLogger("test.theirs").warning("A library says %s", "so", extra={"shown": True})
    try:
        raise ValueError("broken")
    except ValueError:
        log.exception("it_failed")


@pytest.mark.parametrize("environment", [Environment.STAGING, Environment.PRODUCTION])
def test_outside_development_each_line_is_json(
    configured: Callable[..., None], capsys: pytest.CaptureFixture[str], environment: Environment
) -> None:
    configured(environment=environment)
    _log_all()
    ours, theirs, failure = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert ours.items() >= {"event": "something_happened", "number": 7, "level": "warning"}.items()
    assert (ours["text"], ours["name"]) == ('two\nlines and "quotes"', "ቪትዝ")
    assert ours["timestamp"].endswith("Z")
    assert theirs.items() >= {"event": "A library says so", "logger": "test.theirs", "shown": True}.items()
    assert "ValueError: broken" in failure["exception"]


@pytest.mark.parametrize("value", ["\ud800 alone", 2**70, {1: "one"}, {(1, 2): "pair"}, b"\xff", {"set"}])
def test_whatever_is_logged_makes_a_line_of_json(
    configured: Callable[..., None], capsys: pytest.CaptureFixture[str], value: Any
) -> None:
    configured(log={"format": "json"})
    structlog.get_logger("test.ours").error("something_happened", value=value)
    [line] = capsys.readouterr().err.splitlines()
    assert json.loads(line)["event"] == "something_happened"


def test_in_development_a_line_is_for_people(
    configured: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    configured()
    structlog.get_logger("test.ours").warning("something_happened", number=7)
    [line] = capsys.readouterr().err.splitlines()
    assert "something_happened" in line
    with pytest.raises(json.JSONDecodeError):
        json.loads(line)


def test_the_file_has_the_same_lines_as_json(configured: Callable[..., None], tmp_path: Path) -> None:
    path = tmp_path / "deep" / "key2key.log"
    configured(log={"file": path})
    _log_all()
    events = [json.loads(line)["event"] for line in path.read_text().splitlines()]
    assert events == ["something_happened", "A library says so", "it_failed"]


def test_the_file_rotates_and_old_ones_go(configured: Callable[..., None], tmp_path: Path) -> None:
    configured(log={"file": tmp_path / "key2key.log", "file_megabytes": 1, "file_count": 2})
    log = structlog.get_logger("test.ours")
    for number in range(45):
        log.warning("padding", number=number, text="a" * 100_000)
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["key2key.log", "key2key.log.1", "key2key.log.2"]
    newest: dict[str, Any] = json.loads((tmp_path / "key2key.log").read_text().splitlines()[-1])
    assert newest["number"] == 44
    assert all(path.stat().st_size <= 1_000_000 for path in tmp_path.iterdir())


def test_the_level_is_kept(configured: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    configured(log={"level": "ERROR"})
    structlog.get_logger("test.ours").warning("too_quiet")
    assert capsys.readouterr().err == ""
