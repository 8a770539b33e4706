"""The OpenAPI document is a contract: whole, bounded, with examples that fit, and the one that is committed."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from jsonschema_rs import Draft202012Validator, Registry

from tests.factories import World

ROOT = Path(__file__).resolve().parents[2]
PROBLEM = "application/problem+json"
Place = tuple[str, ...]


@pytest.fixture
def document(application: FastAPI) -> dict[str, Any]:
    return application.openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, Place, dict[str, Any]]]:
    """Operation id, place in the document and operation."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield operation["operationId"], ("paths", path, method), operation


def media(document: dict[str, Any]) -> Iterator[tuple[str, Place, dict[str, Any]]]:
    """Every body that an operation reads or answers."""
    for name, place, operation in operations(document):
        for media_type, body in operation.get("requestBody", {}).get("content", {}).items():
            yield f"{name} {media_type}", (*place, "requestBody", "content", media_type), body
        for status, answer in operation["responses"].items():
            for media_type, body in answer.get("content", {}).items():
                yield f"{name} {status}", (*place, "responses", status, "content", media_type), body


def test_I19_the_committed_document_is_the_generated_one(document: dict[str, Any]) -> None:
    committed = orjson.loads((ROOT / "openapi.json").read_bytes())
    assert committed == document, "run `make openapi` and read the diff"


def test_every_operation_has_a_summary_a_tag_and_a_name_of_its_own(document: dict[str, Any]) -> None:
    names = [name for name, _, _ in operations(document)]
    assert len(names) == len(set(names)) > 40
    for name, _, operation in operations(document):
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", name)
        assert operation["summary"][0].isupper(), name
        assert not operation["summary"].endswith("."), name
        assert len(operation["tags"]) == 1, name


def test_I19_every_schema_has_a_name_that_a_client_can_bear(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert [name for name, schema in schemas.items() if not re.fullmatch("([A-Z][a-z]+)+", name)] == []
    assert {name: schema["title"] for name, schema in schemas.items()} == {name: name for name in schemas}
    assert {"Listing", "ListingPage", "ListingSearchPage", "VehicleListingSearchPage"} <= schemas.keys()


def test_I19_kinds_are_told_apart_in_one_named_union(document: dict[str, Any]) -> None:
    assert orjson.dumps(document).decode().count('"discriminator"') == 1
    assert {part["$ref"].rpartition("/")[2] for part in document["components"]["schemas"]["Listing"]["oneOf"]} == {
        "VehicleListing",
        "PropertyListing",
    }


def test_I19_what_anybody_may_read_asks_for_no_sign_in(document: dict[str, Any]) -> None:
    optional = {name for name, _, operation in operations(document) if {} in operation.get("security", [])}
    reads = {"read_listing", "read_vehicle", "read_property", "read_listing_history"}
    assert optional == {*reads, "list_similar_listings"}


def test_every_operation_documents_its_refusals_as_problems(document: dict[str, Any]) -> None:
    for name, _, operation in operations(document):
        answers = operation["responses"]
        failures = {status for status in answers if int(status) >= 400}
        assert failures >= {"422", "503"} | ({"413", "415"} if "requestBody" in operation else set()), name
        if operation.get("security") and name not in ("read_listing", "read_listing_history"):
            assert "401" in failures or name.startswith("read_"), name
        for status in failures - ({"503"} if name == "read_readiness" else set()):
            [(media_type, body)] = answers[status]["content"].items()
            assert (media_type, body["schema"]) == (PROBLEM, {"$ref": "#/components/schemas/Problem"}), name
            assert {example["value"]["status"] for example in body["examples"].values()} == {int(status)}


def test_every_body_has_examples_that_fit_its_schema(document: dict[str, Any]) -> None:
    registry = Registry([("urn:openapi", document)])
    count = 0
    for name, place, body in media(document):
        examples = [named["value"] for named in body["examples"].values()] if "examples" in body else [body["example"]]
        pointer = "/".join(part.replace("~", "~0").replace("/", "~1") for part in (*place, "schema"))
        validator = Draft202012Validator({"$ref": f"urn:openapi#/{quote(pointer)}"}, registry=registry)
        for example in examples:
            assert [error.message for error in validator.iter_errors(example)] == [], name
            count += 1
    assert count > 200


def test_examples_of_parameters_fit_their_schema(document: dict[str, Any]) -> None:
    count = 0
    for name, _, operation in operations(document):
        for parameter in operation.get("parameters", []):
            for example in parameter["schema"].get("examples", []):
                validator = Draft202012Validator(parameter["schema"])
                assert [error.message for error in validator.iter_errors(example)] == [], (name, parameter["name"])
                count += 1
    assert count > 10


async def test_the_examples_of_what_can_be_created_really_work(
    document: dict[str, Any], client: AsyncClient, world: World
) -> None:
    def example(path: str, media_type: str = "application/json") -> Any:
        return document["paths"][path]["post"]["requestBody"]["content"][media_type]["example"]

    registered = await client.post("/api/v1/auth/register", json=example("/api/v1/auth/register"))
    assert registered.status_code == 201, registered.text
    form = example("/api/v1/auth/login", "application/x-www-form-urlencoded")
    assert (await client.post("/api/v1/auth/login", data=form)).status_code == 200
    for path in ("/api/v1/vehicles", "/api/v1/properties"):
        seller = await world.person()
        made = await client.post(path, json=example(path), headers=seller.headers)
        assert made.status_code == 201, made.text
        submitted = await client.post(f"/api/v1/listings/{made.json()['id']}/submit", headers=seller.headers)
        assert submitted.status_code == 200, submitted.text


def unbounded(schema: dict[str, Any], schemas: dict[str, Any], where: str, seen: set[str]) -> Iterator[str]:
    """Where a value could be of any size."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name not in seen:
            seen.add(name)
            yield from unbounded(schemas[name], schemas, name, seen)
        return
    for part in (part for key in ("anyOf", "oneOf", "allOf") for part in schema.get(key, [])):
        yield from unbounded(part, schemas, where, seen)
    if "enum" in schema or "const" in schema:
        return
    kind = schema.get("type")
    if kind in ("integer", "number"):
        is_bounded = {"minimum", "exclusiveMinimum"} & schema.keys() and {"maximum", "exclusiveMaximum"} & schema.keys()
        yield from () if is_bounded else (where,)
    elif kind == "string":
        yield from () if {"maxLength", "format"} & schema.keys() else (where,)
    elif kind == "array":
        yield from () if "maxItems" in schema else (where,)
        yield from unbounded(schema["items"], schemas, f"{where}[]", seen)
    for name, member in schema.get("properties", {}).items():
        yield from unbounded(member, schemas, f"{where}.{name}", seen)


def test_everything_that_can_be_sent_is_bounded(document: dict[str, Any]) -> None:
    schemas, seen = document["components"]["schemas"], set[str]()
    found: list[str] = []
    for name, _, operation in operations(document):
        for parameter in operation.get("parameters", []):
            found += unbounded(parameter["schema"], schemas, f"{name}?{parameter['name']}", seen)
        for body in operation.get("requestBody", {}).get("content", {}).values():
            found += unbounded(body["schema"], schemas, name, seen)
    assert found == []


def test_everything_that_is_answered_is_bounded(document: dict[str, Any]) -> None:
    schemas, seen = document["components"]["schemas"], set[str]()
    found = [place for name, _, body in media(document) for place in unbounded(body["schema"], schemas, name, seen)]
    assert found == []


def test_unknown_members_are_refused_in_every_json_body(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    objects = {name for name, schema in schemas.items() if "properties" in schema} - {"LoginForm"}
    assert [name for name in objects if schemas[name].get("additionalProperties") is not False] == []


def test_nothing_of_the_frameworks_own_errors_is_left(document: dict[str, Any]) -> None:
    assert "HTTPValidationError" not in orjson.dumps(document).decode()
