"""The short way of hot reads: callers without a token are answered past FastAPI's routing and its solving of
dependencies, which cost more than the read itself (ADR 0011).

Only requests that are in order take it. Any other goes the ordinary way, which alone says what is wrong with it.
"""

import inspect
from collections.abc import Iterator, Mapping
from typing import Any, get_args
from urllib.parse import parse_qsl
from uuid import UUID

from fastapi import FastAPI
from fastapi.params import Query
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, compile_path
from starlette.types import Receive, Scope, Send

from src.core import retries
from src.core.dependencies import ReaderDep, Viewer
from src.core.reads import readers
from src.core.strict import StrictRoute, is_unsafe_query

Arguments = dict[str, Any]


def install(app: FastAPI) -> None:
    """Give the hot reads of `app` their short way: what may be cached and takes a reader, ids and a query only."""
    app.router.routes[:0] = list(_ways(app))


def _ways(app: FastAPI) -> Iterator[BaseRoute]:
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, StrictRoute) and route.lifetime and context.path and _is_hot(route):
            yield ShortWay(context.path, route)


def _is_hot(route: StrictRoute) -> bool:
    taken = [parameter.annotation for parameter in inspect.signature(route.endpoint).parameters.values()]
    return ReaderDep in taken and all(one in (ReaderDep, Viewer, UUID) or _query_model(one) for one in taken)


def _query_model(annotation: Any) -> type[BaseModel] | None:
    """Of `Annotated[Model, Query()]`, the model."""
    model, *metadata = get_args(annotation) or (None,)
    return model if any(isinstance(part, Query) for part in metadata) else None


class QueryReader:
    """Reads a query string as a model whose fields are one value each, or a list of them."""

    def __init__(self, model: type[BaseModel]) -> None:
        self._model = model
        self._lists = {name for name, field in model.model_fields.items() if isinstance(field.default, tuple)}

    def read(self, query: bytes) -> BaseModel | None:
        """None if it is not in order; of what is one value, the last counts, as it does to FastAPI."""
        values: Arguments = {}
        for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
            if name in self._lists:
                values.setdefault(name, []).append(value)
            else:
                values[name] = value
        try:
            return self._model.model_validate(values)
        except ValidationError:
            return None


class ShortWay(BaseRoute):
    """From a request without a token straight to the endpoint of `route`, which is documented at `path`."""

    def __init__(self, path: str, route: StrictRoute) -> None:
        self._route = route
        taken = inspect.signature(route.endpoint).parameters
        wanted = {name: parameter.annotation for name, parameter in taken.items()}
        for name in (name for name, annotation in wanted.items() if annotation is UUID):
            path = path.replace(f"{{{name}}}", f"{{{name}:uuid}}")
        self._pattern, _, self._convertors = compile_path(path)
        self._readers = [name for name, annotation in wanted.items() if annotation == ReaderDep]
        self._viewers: Arguments = {name: None for name, annotation in wanted.items() if annotation == Viewer}
        models = {name: model for name, annotation in wanted.items() if (model := _query_model(annotation))}
        self._queries = {name: QueryReader(model) for name, model in models.items()}

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether the request is for this way, and in order; if so, what the endpoint is to be called with."""
        if scope["type"] != "http" or scope["method"] != "GET":
            return Match.NONE, {}
        found = self._pattern.match(scope["path"])
        if not found or any(name == b"authorization" for name, _ in scope["headers"]):
            return Match.NONE, {}
        query = self._query_arguments(scope.get("query_string", b""))
        if query is None:
            return Match.NONE, {}
        ids = {name: self._convertors[name].convert(text) for name, text in found.groupdict().items()}
        return Match.FULL, {"endpoint": self._route.endpoint, "arguments": {**ids, **self._viewers, **query}}

    def _query_arguments(self, query: bytes) -> Mapping[str, Any] | None:
        if not self._queries:
            return None if query else {}
        if is_unsafe_query(query):
            return None
        read = {name: reader.read(query) for name, reader in self._queries.items()}
        return None if None in read.values() else read

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the ordinary route would."""
        request = Request(scope, receive)
        answer = await retries.answer(self._answer, request)
        await self._route.finished(request, answer)(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        reader = readers.get(is_anonymous=True)
        answer: Response = await self._route.endpoint(
            **request.scope["arguments"], **dict.fromkeys(self._readers, reader)
        )
        return answer
