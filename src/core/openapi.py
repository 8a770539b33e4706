"""Finishes the OpenAPI document: every operation documents its errors as problems and carries examples."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from src.core import errors, idempotency, openapi_headers, problems
from src.core.errors import ProblemError, raises
from src.core.openapi_names import give_names
from src.core.problems import Problem
from src.core.security import InvalidToken

JSON = "application/json"
_HANDED_OUT: dict[str, Any] = {
    "uuid": "01a1fc10-b727-7426-85ce-320caeac1522",
    "date-time": "2026-11-21T08:30:00+03:00",
    "date": "2026-11-21",
    "email": "hana@example.com",
    "password": "brown-hyena-41-tej",
}


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of `app`, made once."""
    if app.openapi_schema is None:
        app.openapi_schema = _finished(
            get_openapi(
                title=app.title,
                version=app.version,
                summary=app.summary,
                description=app.description,
                routes=app.routes,
            )
        )
    return app.openapi_schema


def _finished(made: dict[str, Any]) -> dict[str, Any]:
    schemas = made["components"]["schemas"]
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs"), Problem=problem)
    give_names(made)
    schemas = made["components"]["schemas"]
    made["components"]["headers"] = openapi_headers.HEADERS
    for path, operations in made["paths"].items():
        for operation in operations.values():
            _document_errors(operation)
            openapi_headers.document_headers(path, operation, made)
            _add_examples(operation, schemas)
    return made


def _document_errors(operation: dict[str, Any]) -> None:
    always: list[type[ProblemError]] = [errors.Invalid, errors.Unavailable]
    if "security" in operation:
        always.append(InvalidToken)
        if "401" not in operation["responses"]:  # no route of it refuses those who did not sign in
            operation["security"].insert(0, {})
    if "requestBody" in operation:
        always += [errors.PayloadTooLarge, errors.UnsupportedMediaType]
    if any(parameter["name"] == idempotency.HEADER for parameter in operation.get("parameters", [])):
        always += idempotency.REFUSALS
    answers = operation["responses"]
    if JSON in answers.get("422", {}).get("content", {}):  # FastAPI's own, in a shape we do not answer with
        del answers["422"]
    for status, documented in raises(*always).items():
        _add_problems(answers.setdefault(str(status), documented), documented)
    operation["responses"] = dict(sorted(answers.items()))


def _add_problems(answer: dict[str, Any], more: dict[str, Any]) -> None:
    """Beside those that the route documents itself for the same status."""
    if answer is more or problems.MEDIA_TYPE not in answer.get("content", {}):
        return
    examples = answer["content"][problems.MEDIA_TYPE]["examples"]
    for code, example in more["content"][problems.MEDIA_TYPE]["examples"].items():
        if code not in examples:
            examples[code] = example
            answer["description"] += f" · {example['value']['title']}"


def _add_examples(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    contents = [operation.get("requestBody", {}).get("content", {})]
    contents += [answer.get("content", {}) for answer in operation["responses"].values()]
    for content in contents:
        for media in content.values():
            if "example" not in media and "examples" not in media:
                media["example"] = example_of(media.get("schema", {}), schemas)


def example_of(schema: dict[str, Any], schemas: dict[str, Any]) -> Any:
    """A value of the schema: its own example, or one made of its parts."""
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    for key in ("examples", "enum"):
        if schema.get(key):
            return schema[key][0]
    for key in ("const", "default"):
        if key in schema and schema[key] not in (None, [], {}):
            return schema[key]
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return example_of(schema[key][0], schemas)
    return _example_of_type(schema, schemas)


def _example_of_type(schema: dict[str, Any], schemas: dict[str, Any]) -> Any:
    kind = schema.get("type")
    if kind == "object":
        return {name: example_of(part, schemas) for name, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [example_of(schema["items"], schemas)] if schema.get("items") else []
    if kind in ("integer", "number"):
        return max(schema.get("minimum", 1), 1)
    if kind == "boolean":
        return False
    if kind == "string":
        return _HANDED_OUT.get(schema.get("format", ""), "text")[: schema.get("maxLength")]
    return None
