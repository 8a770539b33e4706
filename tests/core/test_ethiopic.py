import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.core.ethiopic import fold, is_ethiopic, romanised
from src.core.text import words

SYLLABLES = st.text(alphabet=st.characters(min_codepoint=0x1200, max_codepoint=0x137C))

# Each row is one word as people write it.
HOMOPHONES = [
    "ሀ ሃ ሐ ሓ ኀ ኃ ኸ ኻ", "ሁ ሑ ኁ ኹ ኍ", "ሂ ሒ ኂ ኺ", "ሄ ሔ ኄ ኼ", "ህ ሕ ኅ ኽ", "ሆ ሖ ኆ ኾ ኈ",
    "ሰ ሠ", "ሱ ሡ", "ሲ ሢ", "ሳ ሣ", "ሴ ሤ", "ስ ሥ", "ሶ ሦ", "ሷ ሧ ስዋ ሱዋ ሱአ ሶአ",
    "አ ኣ ዐ ዓ", "ኡ ዑ", "ኢ ዒ", "ኤ ዔ", "እ ዕ", "ኦ ዖ",
    "ጸ ፀ", "ጹ ፁ", "ጺ ፂ", "ጻ ፃ", "ጼ ፄ", "ጽ ፅ", "ጾ ፆ", "ጿ ጽዋ",
    "ቆ ቈ", "ቁ ቊ ቍ", "ቋ ቅዋ ቁዋ", "ቌ ቅዌ", "ኮ ኰ", "ኩ ኲ ኵ", "ኳ ክዋ ኩዋ", "ጎ ጐ", "ጉ ጒ ጕ", "ጓ ግዋ ጉዋ", "ኋ ህዋ ሁዋ ሗ",
    "ው ዉ", "በልቷል በልቱአል በልቶአል በልትዋል በልቱዋል", "ሟች ምዋች ሙዋች", "ጎንደር ጐንደር", "ፀሐይ ጸሀይ ፀሀይ ጸሐይ", "ዓለም አለም ኣለም",
    "ሠላም ሰላም", "ኃይሌ ሀይሌ ሐይሌ ሃይሌ", "ዕቃ እቃ", "ሥራ ስራ",
]  # fmt: skip


@pytest.mark.parametrize("row", HOMOPHONES)
def test_what_sounds_the_same_is_folded_into_one(row: str) -> None:
    assert len({fold(word) for word in row.split()}) == 1


def test_what_sounds_different_stays_apart() -> None:
    first = [row.split()[0] for row in HOMOPHONES]
    assert len({fold(word) for word in first}) == len(first)
    plain = [chr(code) for code in range(0x1208, 0x1210)]
    assert len({fold(letter) for letter in plain}) == len(plain)


def test_folding_any_two_syllables_twice_is_folding_them_once() -> None:
    letters = [chr(code) for code in range(0x1200, 0x1380)]
    pairs = " ".join(one + other for one in letters for other in letters)
    assert fold(fold(pairs)) == fold(pairs)


@given(SYLLABLES)
def test_folding_twice_is_folding_once(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@pytest.mark.parametrize(
    ("numeral", "number"),
    [
        ("፩", "1"), ("፲", "10"), ("፲፩", "11"), ("፺፱", "99"), ("፻", "100"), ("፻፩", "101"), ("፪፻", "200"),
        ("፲፱፻፺፯", "1997"), ("፳፻፬", "2004"), ("፼", "10000"), ("፪፼፫፻፬", "20304"), ("፻፼", "1000000"), ("በ፳፻፬", "በ2004"),
        ("፩" * 9, "፩" * 9), ("", ""),
    ],
)  # fmt: skip
def test_numerals_are_digits(numeral: str, number: str) -> None:
    assert fold(numeral) == number


@pytest.mark.parametrize("mark", "፠፡።፣፤፥፦፧፨«»")
def test_punctuation_separates_words(mark: str) -> None:
    assert words(f"ቦሌ{mark}መገናኛ") == ["ቦሌ", "መገናኛ"]


def test_marks_of_length_are_no_letters() -> None:
    assert words("አ፟ለ፞") == ["አለ"]


@pytest.mark.parametrize(
    ("word", "latin"),
    [
        ("ቦሌ", ["bola"]),
        ("አዲስ", ["adis"]),
        ("ድሬ", ["dira", "dra", "dara"]),
        ("ክልል", ["kill", "kll", "kall", "kilil", "klil", "kalil"]),
        ("ት", ["ti", "t", "ta"]),
    ],
)
def test_the_sixth_order_is_read_both_ways(word: str, latin: list[str]) -> None:
    assert romanised(word) == latin


@given(SYLLABLES)
def test_every_folded_syllable_has_latin_letters(text: str) -> None:
    for word in filter(is_ethiopic, words(text)):
        assert all(not latin or (latin.isascii() and latin.isalpha()) for latin in romanised(word))
