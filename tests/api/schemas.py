"""What two versions of a JSON schema do not agree on, seen from one side of the wire."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

JsonSchema = dict[str, Any]

# Keyword, and whether the larger value is the tighter one.
_BOUNDS = {
    "minimum": True,
    "exclusiveMinimum": True,
    "minLength": True,
    "minItems": True,
    "minProperties": True,
    "maximum": False,
    "exclusiveMaximum": False,
    "maxLength": False,
    "maxItems": False,
    "maxProperties": False,
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One disagreement: a rule, the place in the value (`*` is any element) and the words for it."""

    rule: str
    place: str
    words: str


@dataclass(frozen=True, slots=True)
class Side:
    """A document and the schemas in it."""

    document: dict[str, Any]

    def resolve(self, schema: JsonSchema) -> JsonSchema:
        """The schema itself, behind any references."""
        while "$ref" in schema:
            schema = self.document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return schema

    def branches(self, schema: JsonSchema) -> list[JsonSchema]:
        """The alternatives of a schema, each of one type; itself if it has none."""
        schema = self.resolve(schema)
        for key in ("anyOf", "oneOf"):
            if key in schema:
                return [branch for part in schema[key] for branch in self.branches(part)]
        if isinstance(schema.get("type"), list):
            return [schema | {"type": kind} for kind in schema["type"]]
        return [schema]


class Comparison:
    """The differences that break clients: of what they send, or (`answers`) of what they receive.

    A client that sends is broken by whatever was allowed and no longer is; one that receives by whatever could not
    come and now can. So both are one question, values of the `wide` schema that the `tight` one refuses, with old and
    new in the other roles. Clients are expected to ignore fields they do not know, and not to care how long a text is.
    """

    def __init__(self, old: Side, new: Side, *, answers: bool) -> None:
        self.old, self.new, self.answers = old, new, answers
        self.wide, self.tight = (new, old) if answers else (old, new)
        self.open: list[tuple[int, int]] = []

    def differences(self, old: JsonSchema, new: JsonSchema, place: str = "") -> Iterator[Difference]:
        """Every breaking difference between the two, outermost first."""
        wide, tight = (new, old) if self.answers else (old, new)
        pair = (id(self.wide.resolve(wide)), id(self.tight.resolve(tight)))
        if pair in self.open:  # a schema that contains itself
            return
        self.open.append(pair)
        alternatives = self.tight.branches(tight)
        for branch in self.wide.branches(wide):
            yield from self._nearest(branch, alternatives, place)
        self.open.pop()

    def _nearest(self, wide: JsonSchema, alternatives: list[JsonSchema], place: str) -> Iterator[Difference]:
        """What the alternative that takes most of `wide` still refuses."""
        alike = [tight for tight in alternatives if _is_of(wide, tight)]
        # The one of the same name is meant, even if another would take more.
        alike = [tight for tight in alike if tight.get("title") == wide.get("title")] or alike
        if alike:
            yield from min((list(self._branch(wide, tight, place)) for tight in alike), key=len)
        else:
            was = " or ".join(str(tight.get("type", "anything")) for tight in alternatives)
            now = wide.get("type", "anything")
            words = f"may be {now}, not only {was}" if self.answers else f"may no longer be {now}, only {was}"
            yield Difference("type-changed", place, words)

    def _branch(self, wide: JsonSchema, tight: JsonSchema, place: str) -> Iterator[Difference]:
        yield from self._values(wide, tight, place)
        if not self.answers:
            yield from self._bounds(wide, tight, place)
        old, new = (tight, wide) if self.answers else (wide, tight)
        if "properties" in old or "properties" in new:
            yield from self._fields(old, new, place)
        for inner in ("items", "additionalProperties"):
            if isinstance(old.get(inner), dict) and isinstance(new.get(inner), dict):
                yield from self.differences(old[inner], new[inner], f"{place}/*")

    def _values(self, wide: JsonSchema, tight: JsonSchema, place: str) -> Iterator[Difference]:
        refused = [value for value in _enumerated(wide) if value not in _enumerated(tight)]
        if _enumerated(tight) and not _enumerated(wide):
            yield Difference("value-limited", place, f"{'was' if self.answers else 'is'} one of {_enumerated(tight)}")
        elif _enumerated(tight):
            for value in refused:
                rule, words = ("value-added", "may be") if self.answers else ("value-removed", "may no longer be")
                yield Difference(rule, f"{place}={value}", f"{words} {value!r}")
        watched = ("format",) if self.answers else ("format", "pattern", "multipleOf")
        for keyword in watched:
            if keyword in tight and wide.get(keyword) != tight[keyword]:
                yield Difference(f"{keyword}-changed", place, f"has another {keyword}")

    def _bounds(self, wide: JsonSchema, tight: JsonSchema, place: str) -> Iterator[Difference]:
        for keyword, larger_is_tighter in _BOUNDS.items():
            if keyword not in tight:
                continue
            before, after = wide.get(keyword), tight[keyword]
            if before is None or (after > before if larger_is_tighter else after < before):
                yield Difference(f"{keyword}-tightened", place, f"has {keyword} {after}, where it was {before}")

    def _fields(self, old: JsonSchema, new: JsonSchema, place: str) -> Iterator[Difference]:
        before, after = old.get("properties", {}), new.get("properties", {})
        for name in before:
            if name not in after:
                yield Difference("field-removed", f"{place}/{name}", "is gone")
            else:
                yield from self._field(before[name], after[name], f"{place}/{name}")
        had, has = set(old.get("required", [])), set(new.get("required", []))
        for name in sorted((had - has if self.answers else has - had) & set(after)):
            rule, words = ("field-optional", "may be missing") if self.answers else ("field-required", "is required")
            yield Difference(rule, f"{place}/{name}", words)

    def _field(self, old: JsonSchema, new: JsonSchema, place: str) -> Iterator[Difference]:
        if not self.answers and "default" in old and old["default"] != new.get("default"):
            yield Difference("default-changed", place, f"has another default than {old['default']!r}")
        yield from self.differences(old, new, place)


def _is_of(wide: JsonSchema, tight: JsonSchema) -> bool:
    kinds = wide.get("type"), tight.get("type")
    return kinds[1] is None or kinds[0] == kinds[1] or kinds == ("integer", "number") or _is_untyped(wide, kinds[1])


def _is_untyped(wide: JsonSchema, kind: Any) -> bool:
    """A bare `const` or `enum` is of the type of its values."""
    types = {"string": str, "integer": int, "boolean": bool}
    values = _enumerated(wide)
    return "type" not in wide and kind in types and bool(values) and isinstance(values[0], types[kind])


def _enumerated(schema: JsonSchema) -> list[Any]:
    return [schema["const"]] if "const" in schema else schema.get("enum", [])
