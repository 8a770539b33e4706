"""The changes between two OpenAPI documents that break a client of the older one."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.api.schemas import Comparison, Difference, JsonSchema, Side

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
Operation = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """One breaking change: `id` is what a declaration names it by, `sentence` is for people."""

    id: str
    sentence: str


def breaking(old: dict[str, Any], new: dict[str, Any]) -> list[Change]:
    """Every breaking change from `old` to `new`, in the order of `old`, each once."""
    found: dict[str, Change] = {}
    for path, method, operation in _operations(old):
        replacement = new["paths"].get(path, {}).get(method)
        route = f"{method.upper()} {path}"
        name = operation["operationId"]
        if replacement is None:
            changes = [Change(f"operation-removed {name}", f"{route} is gone")]
        else:
            compared = _Operations(Side(old), Side(new), operation, replacement)
            changes = [_told(name, route, difference) for difference in compared.differences()]
        found |= {change.id: change for change in changes}
    return list(found.values())


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, Operation]]:
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def _told(name: str, route: str, difference: Difference) -> Change:
    identity = f"{difference.rule} {name} {difference.place}".rstrip()
    return Change(identity, f"{route}: {difference.place} {difference.words}".replace(":  ", ": "))


@dataclass(frozen=True, slots=True)
class _Operations:
    """One operation, before and after."""

    old_side: Side
    new_side: Side
    old: Operation
    new: Operation

    def differences(self) -> Iterator[Difference]:
        if self.old["operationId"] != self.new["operationId"]:
            yield Difference("operation-renamed", "", f"has the operation id {self.new['operationId']}")
        if _needs_sign_in(self.new) and not _needs_sign_in(self.old):
            yield Difference("sign-in-required", "", "asks who the caller is")
        yield from self._parameters()
        yield from self._body()
        yield from self._answers()

    def _parameters(self) -> Iterator[Difference]:
        before, after = _parameters(self.old), _parameters(self.new)
        for place, parameter in before.items():
            if place not in after:
                yield Difference("parameter-removed", place, "is gone")
            else:
                yield from self._parameter(place, parameter, after[place])
        for place, parameter in after.items():
            if parameter.get("required") and not before.get(place, {}).get("required"):
                yield Difference("parameter-required", place, "is required")

    def _parameter(self, place: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[Difference]:
        default = old["schema"].get("default")
        if default is not None and default != new["schema"].get("default"):
            yield Difference("default-changed", place, f"has another default than {default!r}")
        yield from self._sent(old["schema"], new["schema"], place)

    def _body(self) -> Iterator[Difference]:
        old, new = self.old.get("requestBody", {}), self.new.get("requestBody", {})
        if new.get("required") and not old.get("required"):
            yield Difference("body-required", "body", "is required")
        if old and not new:
            yield Difference("body-removed", "body", "is no longer read")
            return
        yield from self._media(old, new, "body", answers=False)

    def _answers(self) -> Iterator[Difference]:
        before, after = self.old["responses"], self.new["responses"]
        for status, answer in before.items():
            if status in after:
                yield from self._headers(answer, after[status], status)
                yield from self._media(answer, after[status], status, answers=True)
            elif _is_success(status):
                yield Difference("status-removed", status, "is no longer answered")
        for status in after:
            if _is_success(status) and status not in before:
                yield Difference("status-added", status, "may be answered")

    def _headers(self, old: dict[str, Any], new: dict[str, Any], place: str) -> Iterator[Difference]:
        for name in old.get("headers", {}):
            if name not in new.get("headers", {}):
                yield Difference("header-removed", f"{place} {name}", "is gone")

    def _media(self, old: dict[str, Any], new: dict[str, Any], place: str, *, answers: bool) -> Iterator[Difference]:
        before, after = old.get("content", {}), new.get("content", {})
        for media_type, content in before.items():
            if media_type not in after:
                yield Difference("media-type-removed", f"{place} {media_type}", "is gone")
                continue
            schemas = content.get("schema", {}), after[media_type].get("schema", {})
            yield from self._received(*schemas, place) if answers else self._sent(*schemas, place)

    def _sent(self, old: JsonSchema, new: JsonSchema, place: str) -> Iterator[Difference]:
        return Comparison(self.old_side, self.new_side, answers=False).differences(old, new, place)

    def _received(self, old: JsonSchema, new: JsonSchema, place: str) -> Iterator[Difference]:
        return Comparison(self.old_side, self.new_side, answers=True).differences(old, new, place)


def _parameters(operation: Operation) -> dict[str, dict[str, Any]]:
    """By a place that says where they go: `?limit`, `{listing_id}`, `If-Match:`."""
    shapes = {"query": "?{}", "path": "{{{}}}", "header": "{}:", "cookie": "cookie {}"}
    return {shapes[given["in"]].format(given["name"]): given for given in operation.get("parameters", [])}


def _needs_sign_in(operation: Operation) -> bool:
    return bool(operation.get("security")) and {} not in operation["security"]


def _is_success(status: str) -> bool:
    return status.startswith("2")
