"""What a search asks first: what its words may have meant, and which cities have its names.

A statement of its own, so that the search has literals: the planner then knows how frequent the words are and how many
listings are in the cities. Measured on 155,000 listings, newest first: 0.2 to 2 ms, against 460 ms and 85 ms at worst
for the words as a function in the condition and in a subquery; seconds for the city of most listings.
"""

from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Text, any_, bindparam, func, select
from sqlalchemy.types import ARRAY

from src.core.reads import Reader, Statement, compiled
from src.core.text import name_key
from src.geo import service as geo
from src.listings import typos
from src.listings.conditions import Values
from src.listings.filters import ListingSearch


async def look_up(reader: Reader, search: ListingSearch) -> Values:
    """The values `q` and `city_ids`, of what the search has of both; one statement, or none."""
    known: Values = {}
    asked: Values = {}
    if search.q:
        known["q"] = typos.certain(search.q)
        asked |= typos.asked(search.q) if known["q"] is None else {}
    if search.city:
        asked["keys"] = [name_key(name) for name in search.city]
    if not asked:
        return known
    [row] = await reader.fetch(_questions(has_words=known.get("q", "") is None, has_cities=bool(search.city)), asked)
    return known | dict(row)


@cache
def _questions(*, has_words: bool, has_cities: bool) -> Statement:
    words: list[ColumnElement[Any]] = [typos.meaning().label("q")] if has_words else []
    keys: Any = any_(bindparam("keys", type_=ARRAY(Text)))
    cities: list[ColumnElement[Any]] = [func.array(geo.cities_with_key(keys)).label("city_ids")] if has_cities else []
    questions: Any = [*words, *cities]
    return compiled(select(*questions))
