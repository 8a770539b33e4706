"""Folding: the one place where text is made comparable, on write into the search vector and on the query."""

import re
import unicodedata
from collections.abc import Iterable
from operator import itemgetter
from typing import Literal

Weight = Literal["A", "B", "C", "D"]

_APOSTROPHES = str.maketrans("", "", "'’‘ʼʻ`´")
_WORD = re.compile(r"[^\W_]+")
LONGEST_WORD = 64
MOST_WORDS = 10_000


def fold(text: str) -> str:
    """Without case, accents, apostrophes and compatibility forms; idempotent."""
    if text.isascii():
        return text.lower().translate(_APOSTROPHES)
    decomposed = unicodedata.normalize("NFKD", text.casefold().translate(_APOSTROPHES))
    bare = "".join(character for character in decomposed if not unicodedata.combining(character))
    return unicodedata.normalize("NFKC", bare).casefold().translate(_APOSTROPHES)


def words(text: str) -> list[str]:
    """The folded words of a text, in order."""
    return [word[:LONGEST_WORD] for word in _WORD.findall(fold(text))]


def name_key(name: str) -> str:
    """A name as one comparable string: `Mek’elē` and `mek'ele` are the same place."""
    return " ".join(words(name))


def search_vector(parts: Iterable[tuple[Weight, str]]) -> str:
    """A PostgreSQL `tsvector` literal; past MOST_WORDS the lightest are left out.

    Made here, so that no server locale decides what a word is.
    """
    places: dict[str, list[str]] = {}
    position = 0
    for weight, text in sorted(parts, key=itemgetter(0)):
        for word in words(text):
            position += 1
            if position > MOST_WORDS:
                break
            places.setdefault(word, []).append(f"{position}{weight}")
    return " ".join(f"'{word}':{','.join(found)}" for word, found in places.items())


def search_query(text: str, most: int = 12) -> str | None:
    """A `tsquery` literal that wants every word of `text`, each as a prefix; None if it has no words."""
    wanted = dict.fromkeys(words(text))
    return " & ".join(f"'{word}':*" for word in list(wanted)[:most]) or None
