"""The only source of time. In development it may be ahead of real time (`core/dev_clock.py`)."""

from datetime import UTC, datetime, timedelta

_offset = timedelta()


def now() -> datetime:
    """The current instant, aware, in UTC."""
    return datetime.now(UTC) + _offset


def offset() -> timedelta:
    """How far ahead of real time this process is."""
    return _offset


def keep_up(offset: timedelta) -> None:
    """Be at least so far ahead of real time: never set back, whatever order the news come in."""
    global _offset  # noqa: PLW0603 - the clock is the one thing a process has exactly one of
    _offset = max(_offset, offset)


def advance(by: timedelta) -> None:
    """Move this process's clock forward (tests only)."""
    global _offset  # noqa: PLW0603
    _offset += by


def reset() -> None:
    """Back to real time."""
    global _offset  # noqa: PLW0603
    _offset = timedelta()
