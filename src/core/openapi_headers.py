"""Documents the headers that answers carry, told from what each operation takes and answers."""

from typing import Any

from src.core.conditional import LONGEST_IF_NONE_MATCH
from src.core.links import LONGEST_ADDRESS

Operation = dict[str, Any]


def _header(description: str, example: str, *, always: bool = True, longest: int = 200) -> dict[str, Any]:
    schema = {"type": "string", "maxLength": longest}
    return {"description": description, "required": always, "schema": schema, "example": example}


HEADERS: dict[str, Any] = {
    "ETag": _header("Names this state of what was answered", '"3-1f2e3d4c"'),
    "Cache-Control": _header(
        "Who may keep the answer, for how many seconds; `private, no-store` to a signed-in caller",
        "public, max-age=8, stale-while-revalidate=2",
    ),
    "Vary": _header("What else the answer depends on", "Authorization"),
    "Location": _header("The path of what was created", "/api/v1/listings/01a1fc10-b727-7426-85ce-320caeac1522"),
    "Link": _header(
        f"The next page, where there is one (RFC 8288) whose address has no more than {LONGEST_ADDRESS} characters",
        '</api/v1/listings?limit=20&cursor=W10.x>; rel="next"',
        always=False,
        longest=10_000,
    ),
    "Idempotency-Replayed": _header(
        "`true`: this is the answer to an earlier request with the same key", "true", always=False
    ),
}
IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "ETags you have; if it is still one of them, the answer is 304 without a body",
    "schema": {"type": "string", "maxLength": LONGEST_IF_NONE_MATCH, "examples": ['"3-1f2e3d4c"']},
}


def document_headers(path: str, operation: Operation, made: dict[str, Any]) -> None:
    """Add to an operation at `path` of the document `made` the headers of its successes."""
    taken = {parameter["name"] for parameter in operation.get("parameters", [])}
    for status, answer in operation["responses"].items():
        if status not in ("200", "201"):
            continue
        names = {
            "Location": status == "201",
            "ETag": "If-Match" in taken or (status == "201" and _is_contested(path, made["paths"])),
            "Link": _is_page(answer, made["components"]["schemas"]),
            "Idempotency-Replayed": "Idempotency-Key" in taken,
        }
        _refer(answer, *(name for name, is_there in names.items() if is_there))
    if "304" in operation["responses"]:
        for status in ("200", "304"):
            _refer(operation["responses"][status], "ETag", "Cache-Control", "Vary")
        operation.setdefault("parameters", []).append(IF_NONE_MATCH)


def _refer(answer: dict[str, Any], *names: str) -> None:
    if names:
        answer.setdefault("headers", {}).update({name: {"$ref": f"#/components/headers/{name}"} for name in names})


def _is_contested(path: str, paths: dict[str, Any]) -> bool:
    """Whether what is created at `path` is changed with `If-Match` below it, and so comes with an ETag."""
    changes = [below.get("patch", {}) for other, below in paths.items() if other.startswith(path + "/{")]
    return any(parameter["name"] == "If-Match" for change in changes for parameter in change.get("parameters", []))


def _is_page(answer: dict[str, Any], schemas: dict[str, Any]) -> bool:
    schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
    name = schema.get("$ref", "").rpartition("/")[2]
    return "next_cursor" in schemas.get(name, {}).get("properties", {})
