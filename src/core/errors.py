"""What can go wrong, as values: one class per failure, rendered in one place as an RFC 9457 problem."""

from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class FieldError:
    """One refused input: where it came in, a JSON pointer to it, a stable code and a sentence."""

    where: str
    pointer: str
    code: str
    detail: str


class ProblemError(Exception):
    """A failure the client is told about. Subclasses name it; `detail` may add what differs from case to case."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Something went wrong on our side"

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: list[FieldError] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.errors = errors or []
        self.headers = headers or {}


class Unauthorized(ProblemError):
    """The caller is not known."""

    status, code, title = 401, "unauthorized", "Sign in first"


class Forbidden(ProblemError):
    """The caller is known and may not."""

    status, code, title = 403, "forbidden", "You may not do this"


class NotFound(ProblemError):
    """It does not exist, or the caller may not know that it does."""

    status, code, title = 404, "not_found", "There is nothing here"


class MethodNotAllowed(ProblemError):
    """The path exists, the method does not."""

    status, code, title = 405, "method_not_allowed", "This path does not answer that method"


class Conflict(ProblemError):
    """The state of things does not allow it."""

    status, code, title = 409, "conflict", "This conflicts with what is stored"


class PreconditionFailed(ProblemError):
    """Somebody else changed it first."""

    status, code, title = 412, "precondition_failed", "It changed since you read it"


class PayloadTooLarge(ProblemError):
    """The body is over the limit."""

    status, code, title = 413, "payload_too_large", "The request body is too large"


class UnsupportedMediaType(ProblemError):
    """The body is of a type or encoding this path does not read."""

    status, code, title = 415, "unsupported_media_type", "The body is not of a type this path reads"


class Invalid(ProblemError):
    """The input is refused; `errors` names each field."""

    status, code, title = 422, "invalid_input", "The input is not valid"


class PreconditionRequired(ProblemError):
    """A contested write without `If-Match`."""

    status, code, title = 428, "precondition_required", "Send If-Match with the ETag you read"


class TooManyRequests(ProblemError):
    """Over a rate limit; `Retry-After` says when to come back."""

    status, code, title = 429, "too_many_requests", "Too many requests; slow down"


class Unavailable(ProblemError):
    """A dependency is down; trying again later is right."""

    status, code, title = 503, "unavailable", "The service is unavailable for a moment"


def invalid_field(pointer: str, code: str, detail: str, where: str = "body") -> Invalid:
    """A refusal of one field; `pointer` is a JSON pointer such as `/price/currency`."""
    return Invalid(detail, errors=[FieldError(where, pointer, code, detail)])


@dataclass(frozen=True, slots=True)
class _Refusal:
    error: type[ProblemError]
    pointer: str


_refusals: dict[str, _Refusal] = {}


def on_constraint(name: str, error: type[ProblemError], pointer: str) -> None:
    """Let a violated database constraint answer as `error`, naming the field at `pointer`."""
    _refusals[name] = _Refusal(error, pointer)


_BY_SQLSTATE: dict[str, tuple[type[ProblemError], str]] = {
    "23505": (Conflict, "already exists"),
    "23P01": (Conflict, "overlaps with one that exists"),
    "23503": (Invalid, "refers to something that does not exist"),
    "23514": (Invalid, "is out of range"),
    "23502": (Invalid, "must not be empty"),
}


def constraint_problem(sqlstate: str, table: str | None, constraint: str | None, column: str | None) -> ProblemError:
    """The problem for a violated constraint: the registered one, or a general one naming the column."""
    if refusal := _refusals.get(constraint or ""):
        detail = refusal.error.title
        return refusal.error(detail, errors=[FieldError("body", refusal.pointer, refusal.error.code, detail)])
    error, sentence = _BY_SQLSTATE.get(sqlstate, (Invalid, "is not acceptable"))
    # Constraints are called <kind>_<table>_<columns>, see `database.Base`.
    name = column or (constraint or "value").partition(f"{table}_")[2] or "value"
    return error(f"{name} {sentence}", errors=[FieldError("body", f"/{name}", error.code, f"{name} {sentence}")])


def raises(*errors: type[ProblemError]) -> dict[int | str, dict[str, Any]]:
    """FastAPI `responses` for these errors, each with an example."""
    documented: dict[int | str, dict[str, Any]] = {}
    for error in errors:
        entry = documented.setdefault(
            error.status,
            {
                "description": "",
                "content": {
                    "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}
                },
            },
        )
        entry["description"] = " · ".join(filter(None, [entry["description"], error.title]))
        entry["content"]["application/problem+json"]["examples"][error.code] = {"value": example(error)}
    return documented


def example(error: type[ProblemError]) -> dict[str, Any]:
    """The problem document that `error` is rendered as."""
    return {
        "type": type_uri(error.code),
        "title": error.title,
        "status": error.status,
        "detail": error.title,
        "instance": "/api/v1/…",
        "code": error.code,
        "request_id": "01a1fc10b7277426",
        "errors": [],
    }


def type_uri(code: str) -> str:
    """The problem type (RFC 9457, section 3.1.1): a name, with nothing behind it to fetch."""
    return f"urn:key2key:problem:{code.replace('_', '-')}"
