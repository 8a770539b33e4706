"""The only source of time."""

from datetime import UTC, datetime, timedelta

_offset = timedelta()


def now() -> datetime:
    """The current instant, aware, in UTC."""
    return datetime.now(UTC) + _offset


def advance(by: timedelta) -> None:
    """Move this process's clock forward (tests only)."""
    global _offset  # noqa: PLW0603 - the clock is the one thing a process has exactly one of
    _offset += by


def reset() -> None:
    """Back to real time."""
    global _offset  # noqa: PLW0603
    _offset = timedelta()
