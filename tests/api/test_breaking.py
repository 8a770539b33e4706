"""What breaks a client of the released API is found, told and has to be declared."""

from copy import deepcopy
from typing import Any

import orjson
import pytest

from tests.api import __main__ as gate
from tests.api.changes import breaking

CAR = {
    "type": "object",
    "title": "Car",
    "additionalProperties": False,
    "required": ["id", "make"],
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        "make": {"type": "string", "maxLength": 40, "pattern": "^[a-z]+$"},
        "seats": {"type": "integer", "minimum": 1, "maximum": 9, "default": 5},
        "fuel": {"$ref": "#/components/schemas/Fuel"},
        "tags": {"type": "array", "maxItems": 5, "items": {"type": "string"}},
        "price": {"anyOf": [{"type": "number"}, {"type": "null"}]},
        "twin": {"$ref": "#/components/schemas/Car"},
    },
}
CAR_REF = {"application/json": {"schema": {"$ref": "#/components/schemas/Car"}}}
DOCUMENT: dict[str, Any] = {
    "components": {"schemas": {"Car": CAR, "Fuel": {"type": "string", "enum": ["petrol", "diesel"]}}},
    "paths": {
        "/cars": {
            "get": {
                "operationId": "list_cars",
                "parameters": [
                    {"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 100, "default": 20}},
                    {"name": "If-None-Match", "in": "header", "schema": {"type": "string"}},
                ],
                "responses": {"200": {"headers": {"ETag": {}}, "content": CAR_REF}, "404": {}},
            },
            "post": {
                "operationId": "create_car",
                "requestBody": {"content": CAR_REF},
                "responses": {"201": {}},
            },
        }
    },
}
GET = "paths /cars get"
POST = "paths /cars post"
FIELDS = "components schemas Car properties"
GONE = object()


def changed(place: str, value: Any) -> dict[str, Any]:
    """The document with one value put, or taken away (GONE), at a place of words."""
    document = deepcopy(DOCUMENT)
    *way, last = (int(step) if step.isdigit() and len(step) == 1 else step for step in place.split())
    there: Any = document
    for step in way:
        there = there[step]
    if value is GONE:
        del there[last]
    elif isinstance(there, list) and last == len(there):
        there.append(value)
    else:
        there[last] = value
    return document


NEEDED = {"name": "owner", "in": "query", "required": True, "schema": {"type": "string"}}
COLOUR = {"type": "string", "maxLength": 20}

BREAKING = [
    # Operations
    ("paths /cars", GONE, {"operation-removed list_cars", "operation-removed create_car"}),
    (GET, GONE, {"operation-removed list_cars"}),
    (f"{GET} operationId", "find_cars", {"operation-renamed list_cars"}),
    (f"{GET} security", [{"OAuth2": []}], {"sign-in-required list_cars"}),
    # Parameters
    (f"{GET} parameters 0", GONE, {"parameter-removed list_cars ?limit"}),
    (f"{GET} parameters 1 required", True, {"parameter-required list_cars If-None-Match:"}),
    (f"{GET} parameters 2", NEEDED, {"parameter-required list_cars ?owner"}),
    (f"{GET} parameters 0 schema maximum", 50, {"maximum-tightened list_cars ?limit"}),
    (f"{GET} parameters 0 schema minimum", 1, {"minimum-tightened list_cars ?limit"}),
    (f"{GET} parameters 0 schema type", "boolean", {"type-changed list_cars ?limit"}),
    (f"{GET} parameters 0 schema default", 10, {"default-changed list_cars ?limit"}),
    # Bodies and answers as a whole
    (f"{POST} requestBody", GONE, {"body-removed create_car body"}),
    (f"{POST} requestBody required", True, {"body-required create_car body"}),
    (f"{POST} requestBody content", {"text/csv": {}}, {"media-type-removed create_car body application/json"}),
    (f"{GET} responses 200", GONE, {"status-removed list_cars 200"}),
    (f"{GET} responses 202", {}, {"status-added list_cars 202"}),
    (f"{GET} responses 200 content", {}, {"media-type-removed list_cars 200 application/json"}),
    (f"{GET} responses 200 headers ETag", GONE, {"header-removed list_cars 200 ETag"}),
    # Fields, which here are both sent and received
    (f"{FIELDS} seats", GONE, {"field-removed list_cars 200/seats", "field-removed create_car body/seats"}),
    ("components schemas Car required", ["id"], {"field-optional list_cars 200/make"}),
    ("components schemas Car required 2", "fuel", {"field-required create_car body/fuel"}),
    (f"{FIELDS} seats type", "string", {"type-changed list_cars 200/seats", "type-changed create_car body/seats"}),
    (f"{FIELDS} seats type", "number", {"type-changed list_cars 200/seats"}),
    (f"{FIELDS} price", {"type": "number"}, {"type-changed create_car body/price"}),
    (f"{FIELDS} seats type", ["integer", "null"], {"type-changed list_cars 200/seats"}),
    (
        f"{FIELDS} tags items type",
        "integer",
        {"type-changed list_cars 200/tags/*", "type-changed create_car body/tags/*"},
    ),
    ("components schemas Fuel enum", ["petrol"], {"value-removed create_car body/fuel=diesel"}),
    ("components schemas Fuel enum 2", "electric", {"value-added list_cars 200/fuel=electric"}),
    ("components schemas Fuel enum", GONE, {"value-limited list_cars 200/fuel"}),
    (f"{FIELDS} make enum", ["toyota"], {"value-limited create_car body/make"}),
    (f"{FIELDS} make maxLength", 20, {"maxLength-tightened create_car body/make"}),
    (f"{FIELDS} make minLength", 2, {"minLength-tightened create_car body/make"}),
    (f"{FIELDS} make pattern", "^[a-z]$", {"pattern-changed create_car body/make"}),
    (f"{FIELDS} make format", "email", {"format-changed create_car body/make"}),
    (f"{FIELDS} id format", GONE, {"format-changed list_cars 200/id"}),
    (f"{FIELDS} tags maxItems", 4, {"maxItems-tightened create_car body/tags"}),
    (f"{FIELDS} seats default", 4, {"default-changed create_car body/seats"}),
]

COMPATIBLE = [
    ("paths /boats", {"get": {"operationId": "list_boats", "responses": {}}}),
    (f"{GET} summary", "Cars"),
    (f"{GET} security", [{}, {"OAuth2": []}]),
    (f"{GET} parameters 2", NEEDED | {"required": False}),
    (f"{GET} parameters 0 schema maximum", 200),
    (f"{GET} parameters 0 schema maximum", GONE),
    (f"{GET} responses 404", GONE),
    (f"{GET} responses 409", {}),
    (f"{GET} responses 200 headers Link", {}),
    (f"{POST} requestBody content text/csv", {}),
    (f"{FIELDS} colour", COLOUR),
    (f"{FIELDS} make maxLength", 80),
    (f"{FIELDS} make title", "Make"),
    ("components schemas Car title", "Vehicle"),
]


@pytest.mark.parametrize(("place", "value", "ids"), BREAKING)
def test_I19_a_change_that_breaks_clients_is_found(place: str, value: Any, ids: set[str]) -> None:
    found = breaking(DOCUMENT, changed(place, value))
    assert {change.id for change in found} == ids


@pytest.mark.parametrize(("place", "value"), COMPATIBLE)
def test_I19_a_change_that_breaks_nobody_is_let_through(place: str, value: Any) -> None:
    assert changed(place, value) != DOCUMENT
    assert breaking(DOCUMENT, changed(place, value)) == []


def test_I19_of_several_kinds_the_one_of_the_same_name_is_compared() -> None:
    boat = {"title": "Boat", "type": "object", "properties": {"id": {"type": "string"}}}
    kinds = {"schema": {"oneOf": [boat, {"$ref": "#/components/schemas/Car"}]}}
    place = f"{GET} responses 200 content application/json"
    old, new = changed(place, kinds), changed(place, kinds)
    new["components"]["schemas"]["Car"]["properties"].pop("seats")
    assert "field-removed list_cars 200/seats" in {change.id for change in breaking(old, new)}
    assert all("/id" not in change.id for change in breaking(old, new))


def test_I19_an_undeclared_change_is_told_in_a_sentence_with_its_id() -> None:
    new = changed(f"{GET} parameters 0", GONE)
    said = gate.complaints(gate.judge(DOCUMENT, new, []))
    assert "Breaks clients: GET /cars: ?limit is gone.\n" in said
    assert 'id = "parameter-removed list_cars ?limit"' in said
    assert "docs/api/breaking.toml" in said


def test_I19_a_declared_change_passes_and_an_idle_declaration_does_not() -> None:
    new = changed(f"{FIELDS} seats", GONE)
    declared = gate.declarations('[[change]]\nid = "field-removed * */seats"\nwhy = "Nobody counts them."')
    assert gate.complaints(gate.judge(DOCUMENT, new, declared)) == ""
    assert "does not happen: field-removed * */seats" in gate.complaints(gate.judge(DOCUMENT, DOCUMENT, declared))


def test_I19_a_declaration_without_a_reason_is_refused() -> None:
    with pytest.raises(ValueError, match="a why"):
        gate.declarations('[[change]]\nid = "field-removed * */seats"')


def test_I19_the_document_breaks_no_client_of_the_released_one_undeclared() -> None:
    old, new = (orjson.loads(path.read_bytes()) for path in (gate.RELEASED, gate.CURRENT))
    verdict = gate.judge(old, new, gate.declarations(gate.DECLARED.read_text()))
    assert gate.complaints(verdict) == ""


def test_I19_a_search_that_lost_a_parameter_of_the_real_document_is_found() -> None:
    old = orjson.loads(gate.RELEASED.read_bytes())
    new = deepcopy(old)
    del new["paths"]["/api/v1/vehicles"]["get"]["parameters"][0]
    [change] = breaking(old, new)
    assert change.id.startswith("parameter-removed search_vehicles ?")
