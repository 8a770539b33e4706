"""The one place where failures become RFC 9457 problem documents. Nothing of ours leaks: no SQL, no trace, no input."""

from collections.abc import Sequence
from typing import Any

import orjson
import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from redis.exceptions import RedisError
from sqlalchemy.exc import DBAPIError, IntegrityError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Mount

from src.core import errors
from src.core.database import DATABASE_ERRORS, OUTAGES, is_outage, sqlstate
from src.core.errors import FieldError, ProblemError

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 2

_BY_STATUS: dict[int, type[ProblemError]] = {
    error.status: error
    for error in (
        errors.Unauthorized,
        errors.Forbidden,
        errors.NotFound,
        errors.MethodNotAllowed,
        errors.PayloadTooLarge,
        errors.UnsupportedMediaType,
        errors.TooManyRequests,
        errors.Unavailable,
    )
}
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

LONGEST_PATH = 2000
LONGEST_POINTER = 1000
LONGEST_DETAIL = 10_000
MOST_FIELDS = 100


class ProblemField(BaseModel):
    """One refused field."""

    model_config = ConfigDict(extra="forbid")

    where: str = Field(alias="in", description="body, query, path or header", max_length=10)
    pointer: str = Field(description="JSON pointer (RFC 6901) to the field", max_length=LONGEST_POINTER)
    code: str = Field(description="Stable, for programs", max_length=100)
    detail: str = Field(description="For people", max_length=LONGEST_DETAIL)


class Problem(BaseModel):
    """RFC 9457 problem document: the shape of every error answer."""

    model_config = ConfigDict(title="Problem", extra="forbid")

    type: str = Field(max_length=200)
    title: str = Field(max_length=200)
    status: int = Field(ge=400, le=599)
    detail: str = Field(max_length=LONGEST_DETAIL)
    instance: str = Field(description="The path that was asked", max_length=LONGEST_PATH)
    code: str = Field(description="Stable, for programs", max_length=100)
    request_id: str = Field(max_length=100)
    errors: list[ProblemField] = Field(max_length=MOST_FIELDS)


def render(request: Request, problem: ProblemError) -> Response:
    """The problem as the answer to this request."""
    document = {
        "type": errors.type_uri(problem.code),
        "title": problem.title,
        "status": problem.status,
        "detail": (problem.detail or problem.title)[:LONGEST_DETAIL],
        "instance": _path(request)[:LONGEST_PATH],
        "code": problem.code,
        "request_id": request.scope.get("state", {}).get("request_id", ""),
        "errors": [_rendered(field) for field in problem.errors[:MOST_FIELDS]],
    }
    headers = {"Cache-Control": "no-store", **problem.headers}
    return Response(orjson.dumps(document), problem.status, headers, MEDIA_TYPE)


def _rendered(field: FieldError) -> dict[str, str]:
    """Pointers and details may repeat what was sent, which may be long."""
    pointer, detail = field.pointer[:LONGEST_POINTER], field.detail[:LONGEST_DETAIL]
    return {"in": field.where, "pointer": pointer, "code": field.code, "detail": detail}


def _path(request: Request) -> str:
    return request.scope.get("raw_path", b"").split(b"?")[0].decode("ascii", "replace") or request.url.path


def install(app: FastAPI) -> None:
    """Route every failure of `app` through this module."""
    app.add_exception_handler(ProblemError, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    for outage in (*DATABASE_ERRORS, *OUTAGES, RedisError):
        app.add_exception_handler(outage, _on_outage)
    app.add_exception_handler(Exception, on_bug)


async def _on_problem(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, ProblemError)
    return render(request, exc)


async def _on_validation_error(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, RequestValidationError)
    fields = [_field(error) for error in exc.errors()[:MOST_FIELDS]]
    detail = "; ".join(f"{field.pointer or field.where}: {field.detail}" for field in fields[:5])
    return render(request, errors.Invalid(detail, errors=fields))


def _field(error: dict[str, Any]) -> FieldError:
    where, *path = error["loc"] or ("body",)
    if path[-1:] == ["[key]"]:  # pydantic's way to say that it is the member's name that it refuses
        path.pop()
    if error["type"] == "json_invalid":
        return FieldError("body", "", "malformed_json", f"malformed JSON at byte {path[0] if path else 0}")
    detail = error["msg"].removeprefix("Value error, ")
    return FieldError(str(where), pointer(path), error["type"], detail)


def pointer(path: Sequence[object]) -> str:
    """A JSON pointer (RFC 6901) to the member at `path`."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


async def _on_http_exception(request: Request, exc: Exception) -> Response:
    """Answers of Starlette and FastAPI themselves; their 400s are bodies that are not what they claim to be."""
    assert isinstance(exc, HTTPException)
    error = _BY_STATUS.get(exc.status_code, errors.Invalid if exc.status_code < 500 else ProblemError)
    headers = dict(exc.headers or {})
    if error is errors.MethodNotAllowed:
        headers["Allow"] = _allowed(request) or headers.get("Allow", "")
    return render(request, error(str(exc.detail) if error is errors.Invalid else None, headers=headers))


def _allowed(request: Request) -> str:
    """Every method of the path: the router's own answer names only those of the first route that has the path."""
    scope = {"type": "http", "path": request.scope["path"], "root_path": "", "headers": []}
    routes = [route for route in request.app.routes if not isinstance(route, Mount)]
    allowed = [
        method
        for method in _METHODS
        if any(route.matches({**scope, "method": method})[0] is Match.FULL for route in routes)
    ]
    return ", ".join([*allowed, "HEAD"] if "GET" in allowed else allowed)


async def _on_outage(request: Request, exc: Exception) -> Response:
    if isinstance(exc, DATABASE_ERRORS) and (problem := _refused_by_database(exc)):
        return render(request, problem)
    if isinstance(exc, DATABASE_ERRORS) and not is_outage(exc):
        return await on_bug(request, exc)
    log.warning("dependency_unavailable", error=type(exc).__name__, reason=_reason(exc))
    return render(request, errors.Unavailable(headers={"Retry-After": str(RETRY_SECONDS)}))


def _refused_by_database(exc: Exception) -> ProblemError | None:
    """Violated constraints (class 23) and unstorable values (class 22) are the client's; the rest is not."""
    state = sqlstate(exc)
    cause = getattr(exc.orig, "__cause__", None) if isinstance(exc, DBAPIError) else exc
    if isinstance(exc, IntegrityError) or state.startswith("23"):
        table, constraint, column = (
            getattr(cause, name, None) for name in ("table_name", "constraint_name", "column_name")
        )
        return errors.constraint_problem(state, table, constraint, column)
    if state.startswith("22"):
        log.warning("unstorable_value", sqlstate=state)
        return errors.Invalid("A value cannot be stored")
    return None


def _reason(exc: Exception) -> str:
    return sqlstate(exc) if isinstance(exc, DATABASE_ERRORS) else str(exc)[:200]


async def on_bug(request: Request, exc: Exception) -> Response:
    """The answer to what nobody foresaw: the log has the trace, the client only the request id."""
    log.error("unhandled_error", error=type(exc).__name__, exc_info=exc)
    return render(request, ProblemError())
