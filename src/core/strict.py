"""Refuses, before any handler runs, input that the stack would accept and choke on later.

The defaults this replaces (measured): JSON `NaN` and lone surrogates end as 500 when serialised, `\\u0000` as a
PostgreSQL error, control characters in logs. One route class covers bodies, forms, query and path.
"""

import re
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from itertools import islice
from json import loads
from math import isfinite
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

import orjson
from fastapi import APIRouter
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.params import Form
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from src.core import conditional, links, retries
from src.core.errors import ProblemError, UnsupportedMediaType
from src.core.problems import MOST_FIELDS

# C0 but tab, newline and return; DEL; C1; surrogates; noncharacters.
UNSAFE_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
# The only ways the above can stand in a body that orjson accepts.
_SUSPICIOUS_JSON = re.compile(rb"\\[ubf]|\x7f|\xc2[\x80-\x9f]|\xef\xb7[\x90-\xaf]|\xef\xbf[\xbe\xbf]")
_SUSPICIOUS_QUERY = re.compile(rb"%(?:[01]|7[fF]|[89a-fA-F])|[^\x20-\x7e]")
_JSON_TYPES = re.compile(r"application/([^/ ]+\+)?json")
_FORM_TYPES = re.compile(r"application/x-www-form-urlencoded|multipart/form-data")

# What JSON has types for: pydantic would also read "5" and true as the number they look like, and 1 as true.
_MISTYPED = {"int_type", "float_type", "bool_type"}

# More than a body has that could pass; pydantic would take a second to list as many as a megabyte may have.
MOST_FAULTS = 1000

_UNKNOWN = "is no parameter of this path"
_UNSAFE = "contains a control character or another character that cannot be stored"


def _error(loc: tuple[str | int, ...], kind: str, message: str) -> dict[str, Any]:
    return {"type": kind, "loc": loc, "msg": message, "input": None}


def parse_json(body: bytes) -> Any:
    """Parse RFC 8259 JSON in UTF-8; where a key stands twice, the last one counts.

    Raises:
        RequestValidationError: naming each number that is not finite and each string that cannot be stored.
        JSONDecodeError: it is not JSON at all.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        if unsafe := _unsafe_in_lenient_json(body):
            raise RequestValidationError(unsafe) from None
        raise
    if _SUSPICIOUS_JSON.search(body) and (unsafe := _first_unsafe(value)):
        raise RequestValidationError(unsafe)
    return value


def _unsafe_in_lenient_json(body: bytes) -> list[dict[str, Any]]:
    """Python's parser takes `NaN`, `1e999` and lone surrogates, and so can say where they stand."""
    try:
        return _first_unsafe(loads(body))
    except (ValueError, RecursionError):
        return []


def _first_unsafe(document: Any) -> list[dict[str, Any]]:
    return list(islice(_unsafe_values(document, ["body"]), MOST_FIELDS))


def _unsafe_values(value: Any, loc: list[str | int]) -> Iterator[dict[str, Any]]:
    """`loc` is where the value stands: one list for them all, for where it is deep, copies take their time."""
    if isinstance(value, str) and UNSAFE_TEXT.search(value):
        yield _error(tuple(loc), "unsafe_text", _UNSAFE)
    elif isinstance(value, float) and not isfinite(value):
        yield _error(tuple(loc), "finite_number", "must be a finite number")
    elif isinstance(value, list | dict):
        for key, item in enumerate(value) if isinstance(value, list) else value.items():
            if isinstance(key, str) and UNSAFE_TEXT.search(key):
                yield _error(tuple(loc), "unsafe_text", "a member name " + _UNSAFE)
                continue
            loc.append(key)
            yield from _unsafe_values(item, loc)
            loc.pop()


def _unsafe_query(query: bytes) -> Iterator[dict[str, Any]]:
    if not _SUSPICIOUS_QUERY.search(query):
        return
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True, encoding="latin-1"):
        try:
            text = value.encode("latin-1").decode()
            is_safe = not UNSAFE_TEXT.search(text) and not UNSAFE_TEXT.search(name)
        except UnicodeDecodeError:
            is_safe = False
        if not is_safe:
            yield _error(("query", re.sub(UNSAFE_TEXT, "", name)), "unsafe_text", _UNSAFE)


def is_unsafe_query(query: bytes) -> bool:
    """Whether a query string says what cannot be stored."""
    return next(_unsafe_query(query), None) is not None


def _unsafe_path(raw_path: bytes) -> Iterator[dict[str, Any]]:
    try:
        is_safe = not UNSAFE_TEXT.search(unquote_to_bytes(raw_path).decode())
    except UnicodeDecodeError:
        is_safe = False
    if not is_safe:
        yield _error(("path",), "unsafe_text", "the path " + _UNSAFE)


def _mistyped(value: Any, wanted: TypeAdapter[Any]) -> list[dict[str, Any]]:
    """Where a number or a truth value is expected and something of another JSON type stands.

    Of the body as a whole, if it is too faulty to be looked at any longer.
    """
    try:
        wanted.validate_python(value, strict=True)
    except ValidationError as error:
        if error.error_count() > MOST_FAULTS:
            return [_error(("body",), "too_many_faults", f"has over {MOST_FAULTS} faults")]
        found = [detail for detail in error.errors(include_url=False) if detail["type"] in _MISTYPED]
        return [
            _error(("body", *detail["loc"]), detail["type"], detail["msg"]) for detail in found if not _is_whole(detail)
        ]
    return []


def _is_whole(detail: ErrorDetails) -> bool:
    """`5.0` is an integer to JSON Schema."""
    return detail["type"] == "int_type" and isinstance(detail["input"], float) and detail["input"].is_integer()


class StrictRequest(Request):
    """A request that reads only bodies we can store, and of what is `wanted` only values of the right JSON type."""

    def __init__(self, request: Request, wanted: TypeAdapter[Any] | None) -> None:
        super().__init__(request.scope, request.receive)
        self._wanted = wanted

    async def json(self) -> Any:
        """The JSON body; see `parse_json`."""
        value = parse_json(await self.body())
        if self._wanted is not None and (mistyped := _mistyped(value, self._wanted)):
            raise RequestValidationError(mistyped)
        return value

    async def _get_form(self, **limits: Any) -> FormData:
        form = await super()._get_form(**limits)
        unsafe = [
            _error(("body", name), "unsafe_text", _UNSAFE)
            for name, value in form.multi_items()
            if isinstance(value, str) and UNSAFE_TEXT.search(name + value)
        ]
        if unsafe:
            raise RequestValidationError(unsafe)
        return form


class Answered(Exception):
    """Raised by a dependency that has the answer already: the endpoint does not run."""

    def __init__(self, answer: Response) -> None:
        super().__init__()
        self.answer = answer


class StrictRoute(APIRoute):
    """A route behind the checks of this module; its answers can be kept, asked for again and leafed through."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        self.lifetime = conditional.lifetime_of(endpoint)
        if self.lifetime:
            options["responses"] = {**(options.get("responses") or {}), **conditional.NOT_MODIFIED}
        super().__init__(path, endpoint, **options)
        self._is_page = "next_cursor" in getattr(self.response_model, "model_fields", ())

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, given a `StrictRequest` whose path, query and content type are sound."""
        handle = super().get_route_handler()
        readable = self._readable_types()
        body = self.body_field and self.body_field.field_info.annotation
        wanted: TypeAdapter[Any] | None = TypeAdapter(body) if body else None
        # Where there are query parameters, their model refuses the unknown ones.
        takes_no_query = not _takes_query(self.dependant)

        async def answering(request: Request) -> Response:
            # Each attempt has a stack of its own for what FastAPI closes before it answers, the session above all.
            async with AsyncExitStack() as stack:
                request.scope["fastapi_function_astack"] = stack
                # Dependencies of function scope find it there when they leave, before it is sent.
                request.scope["answer"] = answer = await handle(request)
                return answer

        async def strict(request: Request) -> Response:
            query = request.scope["query_string"]
            unsafe = [*_unsafe_query(query), *_unsafe_path(request.scope.get("raw_path") or b"")]
            if takes_no_query:
                unsafe += [_error(("query", name), "extra_forbidden", _UNKNOWN) for name in request.query_params]
            if unsafe:
                raise RequestValidationError(unsafe)
            if readable and _has_body(request) and not readable.fullmatch(_media_type(request)):
                raise UnsupportedMediaType
            try:
                answer = await retries.answer(answering, StrictRequest(request, wanted))
            except Answered as exc:
                return exc.answer
            except HTTPException as exc:
                # FastAPI makes a bare 400 of whatever fails while it reads the body; the cause says what and where.
                if isinstance(exc.__cause__, (ProblemError, RequestValidationError)):
                    raise exc.__cause__ from None
                raise
            return self.finished(request, answer)

        return strict

    def finished(self, request: Request, answer: Response) -> Response:
        """The answer with its address of the next page, its ETag and for whom it may be kept."""
        if self._is_page:
            links.add_next(request, answer)
        if self.lifetime and answer.status_code == 200:
            return conditional.finished(request, answer, self.lifetime)
        return answer

    def _readable_types(self) -> re.Pattern[str] | None:
        if self.body_field is None:
            return None
        return _FORM_TYPES if isinstance(self.body_field.field_info, Form) else _JSON_TYPES


def _takes_query(dependant: Dependant) -> bool:
    return bool(dependant.query_params) or any(_takes_query(below) for below in dependant.dependencies)


def _has_body(request: Request) -> bool:
    return request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


class Router(APIRouter):
    """The router of every module: each of its routes is strict."""

    def __init__(self, **options: Any) -> None:
        super().__init__(route_class=StrictRoute, **options)
