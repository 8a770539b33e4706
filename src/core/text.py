"""Folding: the one place where text is made comparable, on write into the search vector and on the query."""

import re
import unicodedata
from collections.abc import Iterable
from itertools import zip_longest
from operator import itemgetter
from typing import Literal, NamedTuple

from src.core import ethiopic, sounds

Weight = Literal["A", "B", "C", "D"]

_APOSTROPHES = str.maketrans("", "", "'’‘ʼʻ`´")
_WORD = re.compile(r"[^\W_]+")
# Raise it with whatever changes what `words` or `search_vector` make: what was stored is then made again.
FOLDING = 2
LONGEST_WORD = 64
MOST_WORDS = 10_000
LEAST_GUESSED = 4
# A shorter beginning is that of so many words that they are looked up once, not for each of many questions.
LEAST_BEGUN = 3
_JOINED = ("A", "B")


def fold(text: str) -> str:
    """Without case, accents, apostrophes, compatibility forms and Amharic homophones; idempotent."""
    if text.isascii():
        return text.lower().translate(_APOSTROPHES)
    decomposed = unicodedata.normalize("NFKD", text.casefold().translate(_APOSTROPHES))
    bare = "".join(character for character in decomposed if not unicodedata.combining(character))
    return ethiopic.fold(unicodedata.normalize("NFKC", bare).casefold().translate(_APOSTROPHES))


def words(text: str) -> list[str]:
    """The folded words of a text, in order."""
    return [word[:LONGEST_WORD] for word in _WORD.findall(fold(text))]


def name_key(name: str) -> str:
    """A name as one comparable string: `Mek’elē` and `mek'ele` are the same place."""
    return " ".join(words(name))


def search_vector(parts: Iterable[tuple[Weight, str]]) -> str:
    """A PostgreSQL `tsvector` literal; past MOST_WORDS the lightest are left out.

    Made here, so that no server locale decides what a word is. Beside each word stands what it sounds like, with the
    least weight; in what weighs much, so does what it makes with the next one.
    """
    places: dict[str, dict[str, None]] = {}
    position = 0
    for weight, text in sorted(parts, key=itemgetter(0)):
        found = words(text)[: MOST_WORDS - position]
        for word, following in zip_longest(found, found[1:] if weight in _JOINED else ()):
            position += 1
            places.setdefault(word, {})[f"{position}{weight}"] = None
            for sound in [*sounds.lexemes(word), *(sounds.joined(word, following) if following else ())]:
                places.setdefault(sound, {})[f"{position}D"] = None
    return " ".join(f"'{word}':{','.join(found)}" for word, found in places.items())


class QueryWord(NamedTuple):
    """A word to search for: the operands of a `tsquery` that find it, and what to look up before guessing at typos.

    `word` and `sound` are empty where no guess is wanted: of numbers and of words of fewer than LEAST_GUESSED letters.
    """

    query: str
    word: str
    sound: str


def query_words(text: str, most: int = 12, least_begun: int = 1) -> list[QueryWord]:
    """The words of a search, each by its sound, alone or written together with its neighbours.

    And each as a prefix, if it has `least_begun` letters.
    """
    wanted = list(dict.fromkeys(words(text)))[:most]
    return [
        _query_word(word, before, after, "" if len(word) < least_begun else ":*")
        for before, word, after in zip(["", *wanted], wanted, [*wanted[1:], ""], strict=False)
    ]


def _query_word(word: str, before: str, after: str, prefix: str) -> QueryWord:
    pairs = [*(sounds.joined(before, word) if before else ()), *(sounds.joined(word, after) if after else ())]
    operands = [
        f"'{word}'{prefix}",
        *sounds.alternatives(word),
        *sounds.separate(word),
        *(f"'{pair}'" for pair in pairs),
    ]
    keys = sounds.keys(word)
    is_guessed = bool(keys) and len(keys[0]) >= LEAST_GUESSED
    return QueryWord(" | ".join(operands), word if is_guessed else "", f"~{keys[0]}" if is_guessed else "")
