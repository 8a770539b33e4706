"""Relevance: how well the words fit, how new the listing is and how much it tells.

The score is a sum of logarithms to base two, so one point more is twice as relevant. That a listing ages shows in the
newer ones' scores, not in its own: the order does not depend on when it is asked for, and cursors stay exact.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Text, cast, func
from sqlalchemy.types import Double

from src.listings.kinds import object_of
from src.listings.models import Listing

# A listing that is older by this must fit twice as well; one that tells everything counts twice one that tells nothing.
HALF_LIFE_DAYS = 30
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
# What `ts_rank` gives is at most one, and next to nothing where all it found stands in one place.
_LEAST_RANK = 0.001


def parts(words: ColumnElement[Any], row: Any = Listing) -> dict[str, ColumnElement[Any]]:
    """The points of a listing for a `tsquery`: for its text, its freshness and its completeness."""
    rank = func.greatest(cast(func.ts_rank(row.search, words), Double), _LEAST_RANK)
    seconds = func.extract("epoch", row.published_at) - EPOCH.timestamp()
    return {
        "text": func.ln(rank, type_=Double()) / func.ln(2.0, type_=Double()),
        "freshness": cast(seconds, Double) / (HALF_LIFE_DAYS * 86_400),
        "completeness": cast(row.completeness, Double) / 100,
    }


def score(words: ColumnElement[Any], row: Any = Listing) -> ColumnElement[float]:
    """What relevance sorts by, the most relevant first."""
    text, freshness, completeness = parts(words, row).values()
    return cast(text + freshness + completeness, Double)


def explanation(words: ColumnElement[Any]) -> ColumnElement[str]:
    """The score and its parts as JSON text."""
    return cast(object_of(total=score(words), **parts(words)), Text)


def explained(document: bytes, explanation: str) -> bytes:
    """A listing's JSON with its score."""
    return document[:-1] + b', "score" : ' + explanation.encode() + b"}"
