"""Structured logging: readable in development, JSON elsewhere; each line carries the request id."""

import json
import logging
import logging.config
import re
import sys
import traceback
from typing import Any, TextIO

import orjson
import structlog

from src.core.config import Settings

_stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
_OURS: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    _stamp,
]
_THEIRS: list[Any] = [
    *_OURS,
    structlog.stdlib.ExtraAdder(),
    lambda _logger, _method, line: {name: part for name, part in line.items() if name != "color_message"},
]


def configure(settings: Settings) -> None:
    """Send every log line, ours and the libraries', through one formatter to the console and the configured file."""
    handlers: dict[str, dict[str, Any]] = {
        "console": {"class": "logging.StreamHandler", "formatter": "console"},
    }
    if settings.log.file is not None:
        settings.log.file.parent.mkdir(parents=True, exist_ok=True)
        handlers["file"] = {
            "class": "logging.handlers.RotatingFileHandler",
            "formatter": "json",
            "filename": str(settings.log.file),
            "maxBytes": settings.log.file_megabytes * 1_000_000,
            "backupCount": settings.log.file_count,
            "encoding": "utf-8",
        }
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "json": _formatter(_json),
                "console": _formatter(_human() if _is_human(settings) else _json),
            },
            "handlers": handlers,
            "root": {"handlers": list(handlers), "level": settings.log.level},
            # Our middleware writes the access log; uvicorn's would be a second one without the request id.
            "loggers": {"uvicorn.access": {"level": "CRITICAL"}, "alembic": {"level": "WARNING"}},
        }
    )
    structlog.configure(
        processors=[*_OURS, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


_access = logging.getLogger("access")
_one_request = logging.makeLogRecord(
    {"name": "access", "levelno": logging.INFO, "levelname": "INFO", "is_rendered": True}
)


def access(**facts: Any) -> None:
    """One line for a request.

    JSON is rendered here at once: through structlog and a new record, the line was a fifth of a hot read.
    """
    if not _access.isEnabledFor(logging.INFO):
        return
    handlers = logging.getLogger().handlers
    if not all(isinstance(handler.formatter, _Json) for handler in handlers):
        structlog.get_logger("access").info("request", **facts)
        return
    entry = {
        **facts,
        "event": "request",
        **structlog.contextvars.get_contextvars(),
        "level": "info",
        "logger": "access",
    }
    record = logging.LogRecord.__new__(logging.LogRecord)
    record.__dict__ = {**_one_request.__dict__, "msg": _line(_stamp(None, "info", entry))}
    for handler in handlers:
        handler.handle(record)


class _Json(structlog.stdlib.ProcessorFormatter):
    """As JSON, unless it is JSON already."""

    def format(self, record: logging.LogRecord) -> str:
        if getattr(record, "is_rendered", False):
            return str(record.msg)
        return super().format(record)


def _line(entry: Any, **options: Any) -> str:
    try:
        return orjson.dumps(entry, **options).decode()
    except TypeError:
        # A lone surrogate, a number of over 64 bits, a name that is no text: no reason to lose what happened.
        return json.dumps(entry, skipkeys=True, **options)


_json = structlog.processors.JSONRenderer(_line)


# PostgreSQL quotes the row that it refuses, and asyncpg the value that it cannot send.
_VALUES = re.compile(
    r"^(DETAIL:  ).*?(?=\n\[SQL|\n\n(?:The above|During handling)|\n(?:HINT|CONTEXT):|\Z)"
    r"|(invalid input for query argument \$\d+: ).*?(?=\n\[SQL|\n\n(?:The above|During handling)|\Z)",
    re.MULTILINE | re.DOTALL,
)


def _trace(exc_info: Any) -> str:
    """The traceback, without the values that the database's errors tell."""
    trace = "".join(traceback.format_exception(*exc_info)).rstrip("\n")
    return _VALUES.sub(lambda found: f"{found[1] or found[2]}(left out)", trace)


def _write_trace(file: TextIO, exc_info: Any) -> None:
    file.write(f"\n{_trace(exc_info)}")


def _human() -> structlog.dev.ConsoleRenderer:
    return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=_write_trace)


def _is_human(settings: Settings) -> bool:
    return settings.log.format == "human" if settings.log.format else settings.is_development


def _formatter(renderer: Any) -> dict[str, Any]:
    steps = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if renderer is _json:
        steps.append(structlog.processors.ExceptionRenderer(_trace))  # type: ignore[arg-type]
    return {
        "()": _Json if renderer is _json else structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": _THEIRS,
        "processors": [*steps, renderer],
    }
