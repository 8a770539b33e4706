"""Keyset pagination: pages that neither repeat nor miss rows while others write."""

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

import orjson
from itsdangerous import BadData, Signer
from itsdangerous.encoding import base64_decode, base64_encode
from pydantic import Field, TypeAdapter
from sqlalchemy import ColumnElement, Select, literal, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from src.core.errors import FieldError, Invalid
from src.core.schemas import Schema
from src.core.security import signing_key

T = TypeVar("T")

Limit = Annotated[int, Field(ge=1, le=100, description="How many items a page holds")]
CursorText = Annotated[str, Field(max_length=1000, description="`next_cursor` of the page before, unchanged")]


class PageQuery(Schema):
    """The query parameters of every list."""

    limit: Limit = 20
    cursor: CursorText | None = None


class Page(Schema, Generic[T]):
    """One page of a list."""

    items: list[T] = Field(max_length=100)
    next_cursor: str | None = Field(max_length=1000)


class Total(Schema):
    """How many there are, counted up to a cap."""

    value: int = Field(ge=0, le=1000)
    capped: bool = Field(description="True: there are more than `value`")


class FacetValue(Schema):
    """A value that the parameter of the facet's name takes, or a band for its `_min` and `_max`."""

    value: str | None = Field(max_length=120, examples=["Toyota"])
    min: int | None = Field(ge=0, le=10**15, description="Of a band, else null", examples=[None])
    max: int | None = Field(ge=0, le=10**15, description="Of a band, else null", examples=[None])
    count: int = Field(ge=1, le=2**31 - 1)


class Facet(Schema):
    """What there is to choose from, under all filters but those on the facet itself."""

    values: list[FacetValue] = Field(max_length=50, description="Bands upwards, values with the most first")
    is_capped: bool = Field(description="True: only 10,000 of those were counted")


class Relaxation(Schema):
    """A search that finds something, and how far it is from the one that found nothing."""

    parameters: dict[Annotated[str, Field(max_length=60)], Annotated[str, Field(max_length=2000)] | None] = Field(
        min_length=1,
        max_length=10,
        description="Query parameters to replace; null: to leave out",
        examples=[{"price_max": "216000000"}],
    )
    cost: float = Field(
        ge=0,
        le=10,
        description="The share of a limit that it moves by (years: tenths), or of the words that it drops; 1 for a "
        "filter that is left out",
        examples=[0.08],
    )
    total: Total


class SearchPage(Page[T], Generic[T]):
    """One page of search results."""

    total: Total
    facets: dict[Annotated[str, Field(max_length=60)], Facet] = Field(
        default_factory=dict, max_length=10, description="Those asked for with `facets`; left out if none are"
    )
    relaxations: list[Relaxation] = Field(
        default_factory=list,
        max_length=2,
        description="Only where filters leave nothing: the cheapest ways to find something, each about another filter",
    )
    exchange_rates_id: UUID | None = Field(
        description="The rates that prices were compared by (`GET /exchange-rates/{id}`), on every page of a search"
    )


TOTAL_CAP = 1000


def capped(total: int) -> dict[str, Any]:
    """A `Total` of what was counted as far as one more than the cap."""
    return {"value": min(total, TOTAL_CAP), "capped": total > TOTAL_CAP}


# Python's decoder would also take `+/`, the other alphabet of base64, and so two spellings of one cursor.
_SPELLING = re.compile("[A-Za-z0-9_.-]+")


class BadCursor(Invalid):
    """The cursor was not issued for this list and these filters."""

    code, title = "bad_cursor", "The cursor does not belong to this list"


@lru_cache(maxsize=8)
def _signer(key: bytes) -> Signer:
    # The key is one for cursors alone already.
    return Signer(key, key_derivation="none", digest_method=hashlib.sha256)


def encode_cursor(scope: str, keys: Sequence[Any]) -> str:
    """An opaque, signed cursor: the sort keys of the last row, good only for lists of the same `scope`."""
    said = orjson.dumps([_digest(scope), [key if isinstance(key, float | int) else str(key) for key in keys]])
    return _signer(signing_key("cursor")).sign(base64_encode(said)).decode()


def decode_cursor(scope: str, cursor: str, keys: Sequence[ColumnElement[Any]]) -> list[Any]:
    """The sort keys that `encode_cursor` put in, as values of the columns `keys`.

    Raises:
        BadCursor: forged, damaged, or from a list with another scope.
    """
    types = [TypeAdapter(key.type.python_type) for key in keys]
    if not _SPELLING.fullmatch(cursor):
        raise bad_cursor()
    try:
        digest, values = orjson.loads(base64_decode(_signer(signing_key("cursor")).unsign(cursor)))
        if digest == _digest(scope):
            return [wanted.validate_python(value) for wanted, value in zip(types, values, strict=True)]
    except (BadData, ValueError):
        pass
    raise bad_cursor()


async def read_page(
    session: AsyncSession, found: Select[Any], key: Any, scope: str, *, limit: int, cursor: str | None, descending: bool
) -> tuple[list[Any], str | None]:
    """A page of the rows found, in the order of one unique column, and the cursor of the next.

    Raises:
        BadCursor.
    """
    last = None if cursor is None else [literal(value) for value in decode_cursor(scope, cursor, [key])]
    rows = list(await session.scalars(after(found, [key], last, descending=descending).limit(limit + 1)))
    following = encode_cursor(scope, [getattr(rows[limit - 1], key.key)]) if len(rows) > limit else None
    return rows[:limit], following


def bad_cursor() -> BadCursor:
    """The refusal of the parameter."""
    return BadCursor(errors=[FieldError("query", "/cursor", BadCursor.code, BadCursor.title)])


def _digest(scope: str) -> str:
    return hashlib.sha256(scope.encode()).hexdigest()[:12]


def after(
    select: Select[Any],
    keys: Sequence[ColumnElement[Any]],
    last: Sequence[ColumnElement[Any]] | None,
    *,
    descending: bool,
) -> Select[Any]:
    """Order by `keys` (all the same way) and, given those of the last row, start behind it."""
    if last is not None:
        left, right = tuple_(*keys), tuple_(*last)
        select = select.where(left < right if descending else left > right)
    return select.order_by(*(key.desc() if descending else key.asc() for key in keys))
