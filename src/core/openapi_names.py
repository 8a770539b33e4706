"""Gives the schemas of the OpenAPI document names that read well in a generated client.

`SearchPage[Annotated[Union[VehicleListing, PropertyListing], …]]` is `ListingSearchPage`, and the union `Listing`.
"""

import re
from collections.abc import Iterator
from itertools import takewhile
from typing import Any

SCHEMAS = "#/components/schemas/"
ROLES = ("", "Create", "Read", "Update")  # what they have in common then is no name


def give_names(document: dict[str, Any]) -> None:
    """Name the unions that are told apart by a field, and the pages of something, for what they hold."""
    schemas = document["components"]["schemas"]
    for union in [part for part in _parts(document) if "discriminator" in part]:
        name = _name_of_union([part["$ref"].removeprefix(SCHEMAS) for part in union["oneOf"]])
        schemas[name] = {key: union[key] for key in ("oneOf", "discriminator")} | {"title": name}
        union.clear()
        union["$ref"] = SCHEMAS + name
    for old in [name for name, schema in schemas.items() if "[" in schema.get("title", "")]:
        _rename(document, old, _name_of_page(schemas[old]))
    document["components"]["schemas"] = dict(sorted(schemas.items()))


def _rename(document: dict[str, Any], old: str, new: str) -> None:
    schemas = document["components"]["schemas"]
    schemas[new] = schemas.pop(old) | {"title": new}
    for part in _parts(document):
        if part.get("$ref") == SCHEMAS + old:
            part["$ref"] = SCHEMAS + new


def _name_of_page(page: dict[str, Any]) -> str:
    generic = str(page["title"]).partition("[")[0]
    return str(page["properties"]["items"]["items"]["$ref"]).removeprefix(SCHEMAS) + generic


def _name_of_union(names: list[str]) -> str:
    """The words that all names end with: `VehicleListing` and `PropertyListing` are a `Listing`."""
    words = [re.findall("[A-Z][^A-Z]*", name)[::-1] for name in names]
    shared = [same[0] for same in takewhile(lambda same: len(set(same)) == 1, zip(*words, strict=False))]
    ending = "".join(reversed(shared))
    return "Or".join(names) if ending in ROLES else ending


def _parts(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _parts(inner)
