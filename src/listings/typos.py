"""What the words of a search mean to the server, which knows the vocabulary and so can tell a typo."""

from typing import Any

from sqlalchemy import ColumnElement, Text, bindparam, cast, func, select
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.types import ARRAY

from src.core.text import QueryWord, query_words


def certain(q: str) -> str | None:
    """The words of `q` as a `tsquery` literal if none of them could be mistyped; empty, if there are none."""
    wanted = query_words(q)
    if any(word.word for word in wanted):
        return None
    return " & ".join(f"({word.query})" for word in wanted)


def asked(q: str) -> dict[str, list[str]]:
    """The values that `meaning` names."""
    wanted = query_words(q)
    return {name: [getattr(word, name) for word in wanted] for name in QueryWord._fields}


def meaning(suffix: str = "") -> ColumnElement[str]:
    """The words as a `tsquery` literal, typos allowed for; its parameters, with this suffix, are of `asked`."""
    return cast(func.words_query(*(bindparam(name + suffix, type_=ARRAY(Text)) for name in QueryWord._fields)), Text)


def words_query(q: str) -> ColumnElement[Any]:
    """The same as an expression, for tables that are small enough not to care."""
    columns = ([getattr(word, name) for word in query_words(q)] for name in QueryWord._fields)
    found = func.words_query(*(cast(column, ARRAY(Text)) for column in columns), type_=TSQUERY())
    return select(found).scalar_subquery()
