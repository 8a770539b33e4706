"""Validators never work on more than a field may hold: what is too long is refused for its length."""

import importlib
import json
import pkgutil
import re
from collections.abc import Iterator
from itertools import cycle
from typing import Any
from urllib.parse import quote

import pytest
from fastapi import FastAPI
from httpx import AsyncClient

import src
from tests.factories import Person, World
from tests.test_input import JSON, bodies, leaves, parameters, pointer, replaced

# Private, and typed or not as other packages import it.
parser = importlib.import_module("re._parser")
SIZE = 50_000
# Each drives some backtracking pattern for addresses, slugs, numbers, dates or links beyond all time.
ADVERSARIAL = (
    "a" * SIZE + "!",
    "a@" + "a." * (SIZE // 2) + "!",
    "a." * (SIZE // 2) + "@",
    "_" * SIZE + "-",
    "0" * SIZE + "x",
    "1," * (SIZE // 2),
    "+2519" + "1 " * (SIZE // 2) + "x",
    "2026-" * (SIZE // 5),
    "(" * SIZE,
    '"' * SIZE,
    "\\" * SIZE,
    "http://" + "a/" * (SIZE // 2),
    "%" * SIZE,
    "አ" * SIZE,
    "e\u0301" * (SIZE // 2),
)
TOO_LONG = {"string_too_long", "too_long"}
# Compared whole with what there is, or read from the left by a parser that does not go back.
COMPARED = {"enum", "literal_error", "uuid_parsing", "int_parsing", "int_parsing_size", "float_parsing", "bool_parsing"}
# Fields with a validator of their own, and the sentence with which it stops at the length or at the first character.
OWN = {
    "email": "must not exceed 2048",
    "phone": "not a valid phone number",  # phonenumbers reads no more than 250 characters
    "availability_date": "must be a date",
}


def assert_refused_for_its_length(error: dict[str, str]) -> None:
    field = error["pointer"].rpartition("/")[2].removesuffix("_min").removesuffix("_max")
    own = OWN.get(field)
    assert error["code"] in TOO_LONG | COMPARED or (own is not None and own in error["detail"]), error


def strings(app: FastAPI) -> Iterator[tuple[str, str, Any, tuple[str | int, ...]]]:
    for method, path, example in bodies(app):
        for way, leaf in leaves(example):
            if isinstance(leaf, str):
                yield method, path, example, way


async def test_I09_every_string_of_every_body_is_refused_for_its_length(
    app: FastAPI, client: AsyncClient, world: World
) -> None:
    person, evil = await world.person(), cycle(ADVERSARIAL)
    seen: set[str] = set()
    for method, path, example, way in strings(app):
        for _ in range(3):
            body = json.dumps(replaced(example, way, next(evil)))
            headers = person.headers | JSON | {"If-Match": "*"}
            answer = await client.request(method, path, content=body, headers=headers)
            # Who may not, or asks for nothing that is there, is told so before the body is looked at.
            if answer.status_code in (401, 403, 404):
                continue
            assert answer.status_code == 422, (path, way)
            for error in answer.json()["errors"]:
                assert error["pointer"].startswith(pointer(way)), (path, way)
                assert_refused_for_its_length(error)
            seen.add(f"{method} {path} {way[-1]}")
    assert len(seen) > 90


async def test_I09_every_query_parameter_is_refused_for_its_length(app: FastAPI, client: AsyncClient) -> None:
    # The client itself refuses to write longer addresses than these.
    evil = cycle(text for text in ADVERSARIAL if len(quote(text, safe="")) < 60_000)
    for path, name, _ in parameters(app):
        answer = await client.get(path, params={name: next(evil)})
        assert answer.status_code == 422, (path, name)
        # Another parameter may be needed, and says so as well.
        errors = [error for error in answer.json()["errors"] if error["code"] != "missing"]
        assert errors, (path, name)
        for error in errors:
            assert (error["in"], error["pointer"].split("/")[1]) == ("query", name)
            assert_refused_for_its_length(error)


def encoded(person: Person) -> dict[bytes, bytes]:
    return {name.encode(): value.encode() for name, value in person.headers.items()}


@pytest.mark.parametrize("evil", ADVERSARIAL, ids=lambda text: text[:8])
async def test_I09_forms_paths_and_headers_are_bounded(client: AsyncClient, world: World, evil: str) -> None:
    person = await world.person()
    form = await client.post("/api/v1/auth/login", data={"username": evil, "password": evil})
    assert form.status_code == 422
    for error in form.json()["errors"]:
        assert error["code"] in TOO_LONG
    url = f"/api/v1/vehicles/{(await world.draft(person))['id']}"
    text = evil.encode()
    edited = await client.patch(url, json={"title": "abc"}, headers={**encoded(person), b"If-Match": text})
    assert (edited.status_code, edited.json()["errors"][0]["code"]) == (422, "string_too_long")
    for name in ("X-Request-ID", "Accept", "User-Agent"):
        answer = await client.get("/health/live", headers={name.encode(): text})
        assert answer.status_code == 200
        assert len(answer.headers["X-Request-ID"]) == 32
    assert (await client.get(url, headers={b"Authorization": b"Bearer " + text})).status_code == 401


def patterns(app: FastAPI) -> Iterator[tuple[str, str | bytes]]:
    """Every pattern of ours: where it is, and what it says."""
    for module in pkgutil.walk_packages(src.__path__, "src."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, re.Pattern):
                yield f"{module.name}.{name}", value.pattern
    yield from (
        ("openapi.json", pattern) for pattern in set(re.findall(r'"pattern": "(.*?)"', json.dumps(app.openapi())))
    )


def is_nested(pattern: str | bytes) -> bool:
    """Whether a repetition without end repeats another, so that a text has exponentially many ways not to match."""

    def repeats(tree: Any, *, inside: bool) -> bool:
        return any(repeated(code, argument, inside=inside) for code, argument in tree)

    def repeated(code: Any, argument: Any, *, inside: bool) -> bool:
        is_endless = str(code) in ("MAX_REPEAT", "MIN_REPEAT") and argument[1] is parser.MAXREPEAT
        if is_endless and inside:
            return True
        parts = argument if isinstance(argument, tuple | list) else (argument,)
        trees = [part for part in parts if isinstance(part, parser.SubPattern)]
        trees += [
            tree for part in parts if isinstance(part, list) for tree in part if isinstance(tree, parser.SubPattern)
        ]
        return any(repeats(tree, inside=inside or is_endless) for tree in trees)

    return repeats(parser.parse(pattern), inside=False)


def test_I09_no_pattern_repeats_a_repetition(app: FastAPI) -> None:
    found = dict(patterns(app))
    assert len(found) > 15
    assert [place for place, pattern in found.items() if is_nested(pattern)] == []


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|b*)*c", "(?:x(?:y*z)*)*", "([a-z]+\\.)*@", "(a{2,})+"])
def test_I09_a_repeated_repetition_would_be_found(pattern: str) -> None:
    assert is_nested(pattern)


@pytest.mark.parametrize("pattern", ["a+b*c?", "(?:ab)+c", "(a{2,5}){3}", '"[^"]*+(?:""[^"]*+)*+'])
def test_I09_and_others_are_not(pattern: str) -> None:
    assert not is_nested(pattern)
