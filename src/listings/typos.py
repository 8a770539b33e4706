"""What the words of a search mean to the server, which knows the vocabulary and so can tell a typo."""

from typing import Any

from sqlalchemy import ColumnElement, Select, Text, cast, func, select
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import ARRAY

from src.core.text import QueryWord, query_words


async def meant(session: AsyncSession, q: str) -> str:
    """The words of `q` as a `tsquery` literal, typos allowed for; empty, which nothing matches, if there are none.

    A statement of its own, so that the search has a literal: the planner then knows how frequent the words are, and no
    row makes the query anew. Measured on 155,000 listings, newest first: 0.2 to 2 ms, against 460 ms and 85 ms at worst
    for the function in the condition and in a subquery.
    """
    wanted = query_words(q)
    if not any(word.word for word in wanted):
        return " & ".join(f"({word.query})" for word in wanted)
    return (await session.scalars(_asked(wanted))).one()


def _asked(wanted: list[QueryWord]) -> Select[str]:
    return select(cast(_words_query(wanted), Text))


def words_query(q: str) -> ColumnElement[Any]:
    """The same as an expression, for tables that are small enough not to care."""
    return select(_words_query(query_words(q))).scalar_subquery()


def _words_query(wanted: list[QueryWord]) -> ColumnElement[Any]:
    columns = ([getattr(word, name) for word in wanted] for name in QueryWord._fields)
    return func.words_query(*(cast(column, ARRAY(Text)) for column in columns), type_=TSQUERY())
