"""Checks every answer of a test against the OpenAPI document: the status is documented and the body fits."""

import re
from typing import Any
from urllib.parse import quote

import httpx
from jsonschema_rs import Draft202012Validator, Registry

from src.core.links import LONGEST_ADDRESS

ANY_OPERATION = {"404", "405", "413", "415", "429", "500", "503"}


class Contract:
    """The OpenAPI document, ready to check answers."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.registry = Registry([("urn:openapi", document)])
        self.validators: dict[tuple[str, ...], Draft202012Validator] = {}
        self.paths = [
            (re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path)), path, operations)
            for path, operations in sorted(document["paths"].items(), key=lambda item: item[0].count("{"))
        ]

    async def check(self, response: httpx.Response) -> None:
        """Raises AssertionError where the answer is not as documented."""
        await response.aread()
        found = self.find(response.request.method, response.request.url.path)
        if found is None:
            return
        path, operation = found
        status = str(response.status_code)
        documented = operation["responses"].get(status)
        if documented is None:
            assert status in ANY_OPERATION, f"{operation['operationId']} answered {status}: {response.text[:500]}"
            return
        self._check_headers(response, documented)
        content = documented.get("content")
        if not content:
            assert not response.content
            return
        media_type = response.headers.get("content-type", "").partition(";")[0]
        assert media_type in content, f"{media_type} is not documented"
        place = (path, response.request.method.lower(), "responses", status, "content", media_type, "schema")
        self._validate(response.text if media_type.startswith("text/") else response.json(), place)
        if "Link" in documented.get("headers", {}) and len(response.request.url.raw_path) < LONGEST_ADDRESS - 1000:
            assert ("Link" in response.headers) == (response.json()["next_cursor"] is not None)

    def _check_headers(self, response: httpx.Response, documented: dict[str, Any]) -> None:
        for name in documented.get("headers", {}):
            header = self.document["components"]["headers"][name]
            if header["required"]:
                assert name in response.headers, f"{name} is documented and was not sent"
            if name in response.headers:
                assert len(response.headers[name]) <= header["schema"]["maxLength"], name

    def find(self, method: str, address: str) -> tuple[str, dict[str, Any]] | None:
        """The path and the operation that answer `method` at a path without its query."""
        for pattern, path, operations in self.paths:
            if pattern.fullmatch(address) and method.lower() in operations:
                return path, operations[method.lower()]
        return None

    def _validate(self, body: Any, place: tuple[str, ...]) -> None:
        if place not in self.validators:
            pointer = "/".join(part.replace("~", "~0").replace("/", "~1") for part in place)
            schema = {"$ref": f"urn:openapi#/paths/{quote(pointer)}"}
            self.validators[place] = Draft202012Validator(schema, registry=self.registry)
        self.validators[place].validate(body)
