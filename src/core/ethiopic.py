"""Ethiopic script: which letters stand for the same word, and how a word is written in Latin letters.

The syllables stand in rows of eight code points from U+1200: one consonant, with the vowels ä u i a e ə o, then `wa`.
"""

import re
from itertools import product

FIRST, LAST = 0x1200, 0x1357

# The consonant of each row; the rows that only folding knows stay here, so that a row is an offset.
_CONSONANTS = [
    "h",
    "l",
    "h",
    "m",
    "s",
    "r",
    "s",
    "sh",
    "k",
    "kw",
    "k",
    "kw",
    "b",
    "v",
    "t",
    "ch",
    "h",
    "hw",
    "n",
    "gn",
    "-",
    "k",
    "kw",
    "h",
    "hw",
    "w",
    "-",
    "z",
    "zh",
    "y",
    "d",
    "d",
    "j",
    "g",
    "gw",
    "g",
    "t",
    "ch",
    "p",
    "ts",
    "ts",
    "f",
    "p",
]
_SILENT = "*"
_VOWELS = ("a", "u", "i", "a", "a", _SILENT, "o", "wa")

_HOMOPHONES = {0x1210: 0x1200, 0x1280: 0x1200, 0x12B8: 0x1200, 0x1220: 0x1230, 0x12D0: 0x12A0, 0x1340: 0x1338}
_LABIOVELARS = {0x1248: 0x1240, 0x1258: 0x1250, 0x1288: 0x1200, 0x12B0: 0x12A8, 0x12C0: 0x1200, 0x1310: 0x1308}
_SINGLE = str.maketrans("ሃኣዓሐኀኸኻሓኃዉኧሇኇቇኯዏዯጏፇ", "ሀአአሀሀሀሀሀሀውአሆሆቆኮዎዮጎጾ")
_NUMBER = re.compile("(?<![፩-፼])[፩-፼]{1,8}(?![፩-፼])")


def _row(start: int) -> dict[int, str]:
    """Where the letters of a row go: homophones to one of them, `Cwa` to the bare consonant and ዋ."""
    row = _HOMOPHONES.get(start, start)
    return {start + order: chr(row + order) for order in range(7)} | {start + 7: chr(row + 5) + "ዋ"}


def _labiovelar_row(start: int, row: int) -> dict[int, str]:
    """ቈ is written ቆ today, ቊ and ቍ are ቁ; the other two keep their w."""
    o, u, bare = chr(row + 6), chr(row + 1), chr(row + 5)
    return {start: o, start + 2: u, start + 3: bare + "ዋ", start + 4: bare + "ዌ", start + 5: u}


def _letters() -> dict[int, str]:
    letters: dict[int, str] = {}
    for start in range(FIRST, LAST, 8):
        letters |= _labiovelar_row(start, _LABIOVELARS[start]) if start in _LABIOVELARS else _row(start)
    single = {code: chr(letter) for code, letter in _SINGLE.items()}
    return letters | single | {ord("ፘ"): "ርያ", ord("ፙ"): "ምያ", ord("ፚ"): "ፍያ"}


_LETTERS = _letters()
# ቱዋ, ቱአ and ቶአ are other spellings of ቷ; not where the consonant is ወ or none at all.
_UNROUNDED = {0x12A0, 0x12C8, *_HOMOPHONES, *_LABIOVELARS}
_ROUNDED = {chr(start + 1): chr(start + 5) for start in range(FIRST, LAST, 8) if start not in _UNROUNDED}
_ROUNDED_A = _ROUNDED | {chr(ord(u) + 5): bare for u, bare in _ROUNDED.items()}
_SPELLED_OUT = re.compile(f"([{''.join(_ROUNDED)}])ዋ|([{''.join(_ROUNDED_A)}])አ")


def fold(text: str) -> str:
    """One spelling of what sounds the same in Amharic; numerals as digits. Idempotent."""
    spelled = _SPELLED_OUT.sub(lambda found: _ROUNDED_A[found[0][0]] + "ዋ", text.translate(_LETTERS))
    return _NUMBER.sub(lambda found: str(_value(found[0])), spelled)


def _value(numeral: str) -> int:
    """፳፻፬ is 2004: tens and ones, then how many hundreds or ten thousands they are."""
    total = part = pair = 0
    for place in (ord(sign) - ord("፩") for sign in numeral):
        if place < 18:
            pair += place + 1 if place < 9 else (place - 8) * 10
        elif place == 18:
            part, pair = part + (pair or 1) * 100, 0
        else:
            total, part, pair = (total + part + pair or 1) * 10_000, 0, 0
    return total + part + pair


def is_ethiopic(word: str) -> bool:
    """Whether it is syllables and nothing else."""
    return bool(word) and all(FIRST <= ord(letter) <= LAST for letter in word)


def romanised(word: str) -> list[str]:
    """A folded Ethiopic word in Latin letters, the likeliest first.

    The sixth order is a vowel (written i or e) or none, and the script does not say which; at the end of a word it is
    none. Elsewhere both readings are given.
    """
    syllables = [divmod(ord(letter) - FIRST, 8) for letter in word]
    latin = [_CONSONANTS[row].strip("-") + _VOWELS[order] for row, order in syllables]
    first = latin[0]
    firsts = [first.replace(_SILENT, vowel) for vowel in ("i", "", "a")] if _SILENT in first else [first]
    middle, last = "".join(latin[1:-1]), "".join(latin[1:][-1:]).replace(_SILENT, "")
    rests = [middle.replace(_SILENT, vowel) + last for vowel in ("", "i")]
    return list(dict.fromkeys(start + end for end, start in product(rests, firsts)))
