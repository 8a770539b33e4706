"""The words and phrases of public listings: what mistyped words may have meant, and what searches complete to."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, and_, cast, collate, column, exists, func, or_, select, true
from sqlalchemy.dialects.postgresql import TSVECTOR, Insert, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import ARRAY, Text

from src.core.text import name_key, search_vector
from src.listings import kinds
from src.listings.kinds import Details
from src.listings.models import Listing, ListingPhrase, ListingWord, PhraseKind
from src.listings.service import details_by_id

BATCH = 5000
_TITLE_WORD = re.compile(r"[^\W_]+")
_LONGEST_WORD = 32


async def learn(session: AsyncSession, listing_ids: Iterable[UUID]) -> None:
    """Take in what those of the listings that are public say."""
    public = select(Listing).where(Listing.id.in_(listing_ids), Listing.is_public)
    listings = (await session.scalars(public.execution_options(populate_existing=True))).all()
    await take_in(session, listings, await details_by_id(session, listings))


async def take_in(session: AsyncSession, listings: Sequence[Listing], details: Mapping[UUID, Details]) -> None:
    """Take in what these public listings say; they, as they are, and their details are at hand."""
    if listings:
        await _learn_words(session, [listing.id for listing in listings])
        await _learn_phrases(session, {phrase for row in listings for phrase in _phrases(row, details[row.id])})


async def _learn_words(session: AsyncSession, listing_ids: list[UUID]) -> None:
    found = func.unnest(func.tsvector_to_array(Listing.search)).table_valued(column("word", Text))
    lexemes = found.render_derived().lateral()
    is_known = exists().where(ListingWord.word == lexemes.c.word)
    news = select(lexemes.c.word).distinct().select_from(Listing).join(lexemes, true())
    news = news.where(Listing.id.in_(listing_ids), ~is_known)
    # Sorted, so that two who learn at once wait for each other at most in one direction.
    words = sorted(filter(_is_worth_knowing, await session.scalars(news)))
    for some in _batches(words):
        new = select(func.unnest(cast(some, ARRAY(Text))))
        await session.execute(insert(ListingWord).from_select(["word"], new).on_conflict_do_nothing())


def _is_worth_knowing(lexeme: str) -> bool:
    """Words of letters and what they sound like; no numbers and no pairs."""
    return lexeme.removeprefix("~").isalpha() and 2 <= len(lexeme) <= _LONGEST_WORD


def _phrases(listing: Listing, details: Details) -> list[tuple[PhraseKind, str]]:
    places = [(PhraseKind.PLACE, name) for name in (listing.city, listing.subdivision) if name]
    words = [(PhraseKind.WORD, word) for word in _TITLE_WORD.findall(listing.title)]
    return [*kinds.get(listing.kind).phrases(details), *places, *words]


async def _learn_phrases(session: AsyncSession, phrases: Iterable[tuple[PhraseKind, str]]) -> None:
    rows: dict[str, _Phrase] = {}
    for kind, text in sorted(phrases):
        key = name_key(text)
        if key and (kind is not PhraseKind.WORD or _is_worth_knowing(key)):
            rows.setdefault(key, _Phrase(key, kind, text, search_vector([("A", text)])))
    for batch in _batches([rows[key] for key in sorted(rows)]):
        await session.execute(_learned(batch))


class _Phrase(NamedTuple):
    """A row of `ListingPhrase`."""

    key: str
    kind: str
    text: str
    search: str


def _learned(phrases: list[_Phrase]) -> Insert:
    """Those that are known stay untouched and unlocked, but for what is news."""
    *texts, searches = (cast(list(values), ARRAY(Text)) for values in zip(*phrases, strict=True))
    said = func.unnest(*texts, cast(searches, ARRAY(TSVECTOR))).table_valued(
        column("key", Text), column("kind", Text), column("text", Text), column("search", TSVECTOR)
    )
    said = said.render_derived()
    is_known = exists().where(ListingPhrase.key == said.c.key, ~_is_news(said.c))
    new = insert(ListingPhrase).from_select(
        _Phrase._fields, select(*said.c).where(~is_known).order_by(collate(said.c.key, "C"))
    )
    better: dict[str, Any] = {"kind": func.least(new.excluded.kind, ListingPhrase.kind)}
    better |= {name: new.excluded[name] for name in ("text", "search")}
    # Once more, since somebody else may have learned it meanwhile.
    return new.on_conflict_do_update(index_elements=["key"], set_=better, where=_is_news(new.excluded))


def _is_news(said: Any) -> ColumnElement[bool]:
    """A better kind; or the same written more briefly, so that nobody's ornaments stay."""
    is_brief = and_(said.kind == ListingPhrase.kind, func.length(said.text) < func.length(ListingPhrase.text))
    return or_(said.kind < ListingPhrase.kind, said.search != cast(ListingPhrase.search, TSVECTOR), is_brief)


def _batches(items: list[Any]) -> Iterator[list[Any]]:
    return (items[start : start + BATCH] for start in range(0, len(items), BATCH))
