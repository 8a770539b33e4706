"""What a kind of listing brings with it; kinds register themselves, so that `listings` need not import them."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from functools import cached_property
from math import log
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import ColumnElement, Double, Select, case, cast, func, literal_column

from src.core.text import Weight
from src.listings.models import ListingKind, PhraseKind

# A row of a kind's table; its key, `listing_id`, is the listing's.
Details = Any


def object_of(*last: Any, **members: Any) -> ColumnElement[Any]:
    """A JSON object in SQL, its members in this order; the `last` one's name may be a column, too."""
    arguments: list[Any] = []
    for name, value in members.items():
        arguments += [literal_column(f"'{name}'"), value]
    return func.json_build_object(*arguments, *last)


def nearness(one: Any, other: Any) -> ColumnElement[float]:
    """1 for equal quantities, falling to 0 where one is twice the other; 0 where one is unknown."""
    ratio = cast(one, Double) / func.nullif(cast(other, Double), 0)
    distance = func.abs(func.ln(func.nullif(ratio, 0))) / log(2)
    return func.coalesce(func.greatest(0, 1 - distance), 0, type_=Double())


def is_same(one: Any, other: Any) -> ColumnElement[int]:
    """1 where both are known and equal, else 0."""
    return case((one == other, 1), else_=0)


class Kind(ABC):
    """A kind of listing: its table, its rules, and its part of the public representation.

    `fields` are what clients write; each is a column of `table`, unless the kind overrides what it does with it.
    """

    name: ClassVar[ListingKind]
    table: ClassVar[Any]
    read_model: ClassVar[Any]
    fields: ClassVar[tuple[str, ...]]
    high_risk: ClassVar[frozenset[str]]
    is_address_staged: ClassVar[bool] = False

    def build(self, listing_id: UUID, fields: Mapping[str, Any]) -> Details:
        """The row for all of these validated fields."""
        details = self.table(listing_id=listing_id)
        self.apply(details, fields)
        return details

    def columns(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """What clients write as it is kept; columns stay what they are."""
        return dict(fields)

    def apply(self, details: Details, fields: Mapping[str, Any]) -> set[str]:
        """Change the row; the names of the fields that really changed."""
        columns = self.columns(fields)
        changed = {name for name, value in columns.items() if getattr(details, name) != value}
        for name in changed:
            setattr(details, name, columns[name])
        return self.names(changed)

    def names(self, columns: Iterable[str]) -> set[str]:
        """What clients call these columns."""
        return set(columns)

    def imagined(self, details: Details, fields: Mapping[str, Any]) -> Details:
        """The row as it would be; a copy that is not saved."""
        columns = [column for column in self.table.__table__.columns if column.computed is None]
        copy = self.table(**{column.key: getattr(details, column.key) for column in columns})
        self.apply(copy, fields)
        return copy

    def readable(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        """Columns as owner and moderators read them."""
        return dict(columns)

    @cached_property
    def read_fields(self) -> frozenset[str]:
        """The names of the details that everybody reads."""
        return frozenset(self.read_model.model_fields[self.name].annotation.model_fields)

    def asset_keys(self, details: Details) -> list[str]:  # noqa: ARG002 - for kinds that can tell
        """What tells this one thing from all others, as keyed hashes; empty where nothing does."""
        return []

    def missing(self, details: Details) -> Iterable[str]:
        """The names of the fields that publishing needs and the row lacks."""
        return [name for name in self.needed(details) if getattr(details, name) is None]

    @abstractmethod
    def needed(self, details: Details) -> Iterable[str]:
        """The names of the fields that publishing such a row needs."""

    @abstractmethod
    def search_text(self, details: Details) -> Iterable[tuple[Weight, str]]:
        """What the listing is found by, beyond title, description and place."""

    def phrases(self, details: Details) -> Iterable[tuple[PhraseKind, str]]:  # noqa: ARG002 - for kinds with names
        """What of it a search is to be completed to."""
        return ()

    @abstractmethod
    def similarity(self, origin: Any, details: Any) -> ColumnElement[Any]:
        """Points, eight at most, for what a row of `Listing` and `table` has in common with these aliases of them."""

    @abstractmethod
    def look_alikes(self, origin: Any, details: Any) -> Iterable[Select[Any]]:
        """The ids of a few hundred listings at most that promise points; these may be anything, public or not."""

    def completeness(self, details: Details) -> tuple[int, int]:
        """How many of the fields are filled, of how many."""
        return sum(getattr(details, name) not in (None, []) for name in self.fields), len(self.fields)

    def representation(self, is_private: ColumnElement[bool]) -> ColumnElement[Any]:
        """The details as a JSON object; `is_private` tells where the viewer may see what is not public."""
        return object_of(**self.members(is_private))

    def members(self, is_private: ColumnElement[bool]) -> dict[str, Any]:  # noqa: ARG002 - for kinds with secrets
        """The members of that object."""
        return {name: getattr(self.table, name) for name in self.fields}


_kinds: dict[ListingKind, Kind] = {}


def register(kind: Kind) -> None:
    """Make a kind known; called once by its module."""
    _kinds[kind.name] = kind


def get(name: str) -> Kind:
    """The registered kind of that name."""
    return _kinds[ListingKind(name)]


def every() -> list[Kind]:
    """All registered kinds, in the enum's order, so that what is built from them is stable."""
    return [_kinds[name] for name in ListingKind if name in _kinds]
