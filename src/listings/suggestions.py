"""What a search may be completed to: phrases of public listings, counted among those that are public now."""

from typing import Any

from sqlalchemy import ColumnElement, FromClause, Row, Select, cast, func, literal, select
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.ext.asyncio import AsyncSession

from src.core.text import LEAST_BEGUN
from src.listings.models import Listing, ListingPhrase
from src.listings.typos import words_query

COUNT_CAP = 100
# Of each kind, the shortest so many are looked up.
_CANDIDATES = 6


async def suggest(session: AsyncSession, q: str, limit: int) -> list[dict[str, Any]]:
    """Phrases that hold all words of `q`; if there are none, what its last word may be completed to."""
    found = await _find(session, "", q, limit)
    *before, last = q.split() or [""]
    if not found and before:
        head = " ".join(before)
        return [_suggestion(row, f"{head} {row.text}") for row in await _find(session, head, last, limit)]
    return [_suggestion(row, row.text) for row in found]


def _suggestion(row: Row[Any], text: str) -> dict[str, Any]:
    return {"text": text, "kind": row.kind, "listings": row.listings}


async def _find(session: AsyncSession, head: str, tail: str, limit: int) -> list[Row[Any]]:
    """Phrases that hold the words of `tail`, in listings that hold those of `head` as well."""
    found = _candidates(tail).subquery()
    query: ColumnElement[Any] = found.c.query
    if head:
        query = query.op("&&", return_type=TSQUERY())(words_query(head, LEAST_BEGUN))
    counted = (
        select(found.c.text, found.c.kind, _count(query, found).label("listings"))
        .where(found.c.place <= _CANDIDATES)
        .subquery()
    )
    public = select(counted).where(counted.c.listings > 0)
    ordered = public.order_by(counted.c.listings.desc(), counted.c.kind, func.length(counted.c.text), counted.c.text)
    return list((await session.execute(ordered.limit(limit))).all())


def _candidates(tail: str) -> Select[Any]:
    key = ListingPhrase.key
    whole = func.concat("'", func.replace(key, " ", "' & '"), "'")
    place = func.row_number().over(partition_by=ListingPhrase.kind, order_by=(func.length(key), key))
    found = select(ListingPhrase.text, ListingPhrase.kind, cast(whole, TSQUERY).label("query"), place.label("place"))
    return found.where(ListingPhrase.search.op("@@")(words_query(tail)))


def _count(query: Any, found: FromClause) -> Any:
    holding = select(literal(1)).where(Listing.is_public, Listing.search.op("@@")(query)).limit(COUNT_CAP)
    holding = holding.correlate(found)
    return select(func.count()).select_from(holding.subquery()).scalar_subquery()
