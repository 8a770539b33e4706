"""The words and phrases of public listings: what mistyped words may have meant, and what searches complete to."""

import re
from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

from sqlalchemy import cast, func, or_, select
from sqlalchemy.dialects.postgresql import TSVECTOR, insert
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
    if listings:
        await _learn_words(session, [listing.id for listing in listings])
        details = await details_by_id(session, listings)
        await _learn_phrases(session, [phrase for row in listings for phrase in _phrases(row, details[row.id])])


async def _learn_words(session: AsyncSession, listing_ids: list[UUID]) -> None:
    vectors = select(func.tsvector_to_array(Listing.search, type_=ARRAY(Text))).where(Listing.id.in_(listing_ids))
    known = {word for vector in await session.scalars(vectors) for word in vector if _is_worth_knowing(word)}
    # Sorted, so that two who learn at once wait for each other at most in one direction.
    for words in _batches(sorted(known)):
        new = select(func.unnest(cast(words, ARRAY(Text))))
        await session.execute(insert(ListingWord).from_select(["word"], new).on_conflict_do_nothing())


def _is_worth_knowing(lexeme: str) -> bool:
    """Words of letters and what they sound like; no numbers and no pairs."""
    return lexeme.removeprefix("~").isalpha() and 2 <= len(lexeme) <= _LONGEST_WORD


def _phrases(listing: Listing, details: Details) -> list[tuple[PhraseKind, str]]:
    places = [(PhraseKind.PLACE, name) for name in (listing.city, listing.subdivision) if name]
    words = [
        (PhraseKind.WORD, word) for word in _TITLE_WORD.findall(listing.title) if _is_worth_knowing(name_key(word))
    ]
    return [*kinds.get(listing.kind).phrases(details), *places, *words]


async def _learn_phrases(session: AsyncSession, phrases: Iterable[tuple[PhraseKind, str]]) -> None:
    rows: dict[str, dict[str, Any]] = {}
    for kind, text in sorted(phrases):
        row = {"key": name_key(text), "kind": kind, "text": text, "search": search_vector([("A", text)])}
        rows.setdefault(row["key"], row)
    rows.pop("", None)
    for batch in _batches([rows[key] for key in sorted(rows)]):
        new = insert(ListingPhrase).values(batch)
        is_news = or_(
            new.excluded.kind < ListingPhrase.kind, new.excluded.search != cast(ListingPhrase.search, TSVECTOR)
        )
        better: dict[str, Any] = {"kind": func.least(new.excluded.kind, ListingPhrase.kind)}
        better |= {name: new.excluded[name] for name in ("text", "search")}
        await session.execute(new.on_conflict_do_update(index_elements=["key"], set_=better, where=is_news))


def _batches(items: list[Any]) -> Iterator[list[Any]]:
    return (items[start : start + BATCH] for start in range(0, len(items), BATCH))
