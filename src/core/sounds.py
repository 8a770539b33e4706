"""Sound keys: what a word is heard as, whichever script and romanisation it is written in.

A key is coarse on purpose (`bole`, `boole` and ቦሌ are `bola`), so what it finds ranks below what the letters find.
"""

import re
from functools import lru_cache

from src.core import ethiopic

# In this order; C, X and Q stand for ch, sh and gn until the end.
_RULES = tuple(
    (re.compile(pattern), heard)
    for pattern, heard in (
        ("tch|ch", "C"),
        ("sh", "X"),
        ("gn|ny(?=[aeiou])", "Q"),
        ("ph", "f"),
        ("zh|dj", "j"),
        ("([ktgw])h", r"\1"),
        ("c(?=[eiy])", "s"),
        ("qu(?=[aei])", "kw"),
        ("[cq]", "k"),
        ("x", "ks"),
        ("z", "s"),
        ("ee", "i"),
        ("ie$", "e"),
        ("ou", "u"),
        # ወ is heard wa, wo or we: Wollo, woreda.
        ("wo", "wa"),
        ("iy(?=[aeou])|yi|y(?![aeiou])", "i"),
        ("e", "a"),
        # Hawassa was Awasa, Hawzen Awzen; the vowel after a guttural is weak: Bahir Dar, Bahar Dar.
        ("^h(?=aw)", ""),
        ("(?<=a)h[ai](?![aiou]|$)", "h"),
        (r"(.)\1+", r"\1"),
    )
)
_LATIN = re.compile("[a-z]+")
# Amharic writes in, for, of and from on the word that follows.
_PREPOSITIONS = frozenset("በለየከ")
# Of three letters, a key does not let one Latin word find another; only from five on is it taken for a beginning.
SHORT, LONG = 3, 5


def _heard(latin: str) -> str:
    for pattern, heard in _RULES:
        latin = pattern.sub(heard, latin)
    return latin.lower()


@lru_cache(maxsize=4096)
def keys(word: str) -> tuple[str, ...]:
    """What a folded word may be heard as, the likeliest first; nothing for what is neither Latin nor Ethiopic."""
    spelled = [word] if _LATIN.fullmatch(word) else []
    spellings = ethiopic.romanised(word) if ethiopic.is_ethiopic(word) else spelled
    return tuple(dict.fromkeys(key for key in map(_heard, spellings) if len(key) >= SHORT))


def lexemes(word: str) -> list[str]:
    """The keys as lexemes of a search vector: በቦሌ is also heard as ቦሌ, and `-` keeps short Latin words apart."""
    bare = keys(word[1:]) if word[0] in _PREPOSITIONS and len(word) > 2 else ()
    return [_sign(word, key) + key for key in keys(word)] + [f"~{key}" for key in bare if len(key) > SHORT]


def _sign(word: str, key: str) -> str:
    return "-" if len(key) <= SHORT and word.isascii() else "~"


def alternatives(word: str) -> list[str]:
    """The operands of a `tsquery` that find the word by sound."""
    found = [f"'~{key}'" + (":*" if len(key) >= LONG else "") for key in keys(word)]
    if not word.isascii():
        found += [f"'-{key}'" for key in keys(word)[:1] if len(key) <= SHORT]
    return found


def joined(one: str, other: str) -> list[str]:
    """Two neighbouring words heard as one (Dire Dawa, Diredawa), as lexemes; none where scripts differ."""
    return [f"+{key}" for key in keys(one + other) if len(key) >= LONG]


def separate(word: str) -> list[str]:
    """The operands of a `tsquery` for a word that others write as two."""
    return [f"'+{key}'" for key in keys(word) if len(key) >= LONG]
