import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.core.text import FOLDING, LONGEST_WORD, MOST_WORDS, fold, name_key, query_words, search_vector, words


@given(st.text())
def test_folding_twice_is_folding_once(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(st.text())
def test_a_key_is_its_own_key(text: str) -> None:
    assert name_key(name_key(text)) == name_key(text)


@given(st.text(alphabet=st.characters(max_codepoint=127)))
def test_plain_text_is_folded_like_any_other(text: str) -> None:
    assert fold(text) == fold(text + "é").removesuffix("e")


@given(st.text(), st.text())
def test_words_do_not_depend_on_what_else_is_there(one: str, other: str) -> None:
    assert words(f"{one} {other}") == words(one) + words(other)


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Élégant", "elegant"),
        ("STRASSE straße", "strasse strasse"),
        ("Mek’elē", "mekele"),
        ("ｖｉｔｚ ②", "vitz 2"),
        ("İstanbul", "istanbul"),
        ("አዲስ አበባ", "አዲስ አበባ"),
        ("Ἀθῆναι", "αθηναι"),
        ("ﬁfty", "fifty"),
        ("", ""),
    ],
)
def test_case_accents_and_forms_are_folded(text: str, folded: str) -> None:
    assert fold(text) == folded


@pytest.mark.parametrize(
    "names",
    [
        ("Mek’elē", "mek'ele", "MEKELE", "Mek`ele", "Mekʼele"),
        ("Addis Ababa", "addis-ababa", " ADDIS  ABABA ", "Addis_Ababa", "Addis, Ababa."),
        ("ባሕር-ዳር", "ባሕር ዳር", "ባሕር፡ዳር", "ባህር።ዳር", "ባኅር፣ዳር", "ባሕር፤ዳር", "ባሕር፥ዳር", "ባሕር፦ዳር", "ባሕር፧ዳር", "ባሕር፨ዳር"),
        ("ሀዋሳ", "ሐዋሳ", "ኃዋሳ", "ኻዋሣ"),
        ("São Paulo", "sa\u0303o paulo", "SAO PAULO"),
    ],
)
def test_spellings_of_a_name_have_one_key(names: tuple[str, ...]) -> None:
    assert len({name_key(name) for name in names}) == 1


@pytest.mark.parametrize(("one", "other"), [("Adama", "Adamu"), ("Addis Ababa", "Addisababa"), ("ሀ", "ለ"), ("", "a")])
def test_other_names_have_other_keys(one: str, other: str) -> None:
    assert name_key(one) != name_key(other)


def test_a_vector_holds_words_and_sounds_with_their_places_and_weights() -> None:
    vector = search_vector([("D", "vitz, 1 car"), ("A", "Toyota Vitz"), ("B", "")])
    assert vector.split() == [
        "'toyota':1A", "'~toyota':1D", "'+toyotavits':1D", "'vitz':2A,3D", "'~vits':2D,3D", "'1':4D", "'car':5D",
        "'-kar':5D",
    ]  # fmt: skip


def test_past_the_most_words_the_lightest_are_left_out() -> None:
    vector = search_vector([("D", "long " * MOST_WORDS + "end"), ("B", "toyota"), ("A", "vitz")])
    assert "'vitz':1A" in vector
    assert "'toyota':2B" in vector
    assert "'long':3D" in vector
    assert "end" not in vector


def test_what_is_folded_otherwise_has_another_version() -> None:
    """Raise FOLDING together with this digest: what is stored was folded the old way."""
    corpus = "Toyota Vitz 2012 · ቶዮታ ቪትዝ ፳፻፬, Piazza (ፒያሳ) ቷል ጓሮ በፀሐይ; Élégant mek'ele quiet Ḥawzen bahir dar xylophone"
    letters = " ".join(chr(code) for code in range(0x1200, 0x1380))
    vectors = search_vector([("A", corpus), ("D", letters), ("D", " ".join(map("a{}o".format, letters.split())))])
    digest = hashlib.sha256(vectors.encode()).hexdigest()[:12]
    assert (FOLDING, digest) == (2, "3e34ece6663e")


@given(st.text())
def test_a_query_wants_each_word_once_as_a_prefix(text: str) -> None:
    wanted = [word.query.split(" | ")[0] for word in query_words(f"{text} Vitz vitz")]
    assert wanted == [f"'{word}':*" for word in dict.fromkeys(words(f"{text} vitz"))][:12]


def test_a_query_wants_a_word_by_its_letters_by_its_sound_and_written_together() -> None:
    dire, dawa = query_words("Dire Dawa")
    assert dire == ("'dire':* | '~dira' | '+diradawa'", "dire", "~dira")
    assert dawa == ("'dawa':* | '~dawa' | '+diradawa'", "dawa", "~dawa")
    assert query_words("Megenagna")[0].query == "'megenagna':* | '~maganaqa':* | '+maganaqa'"
    assert query_words("ዳር")[0].query == "'ዳር':* | '~dar' | '-dar'"


@pytest.mark.parametrize("word", ["2012", "bmw", "x5", "rav4", "of", "москва"])
def test_numbers_short_words_and_other_scripts_are_not_guessed_at(word: str) -> None:
    assert [(found.word, found.sound) for found in query_words(word)] == [("", "")]


@given(st.text(alphabet="!&|()<->:*'\"\\ \t.,;#@%^~`_-+=[]{}/?’፡።«»"))
def test_a_text_without_words_makes_no_query(text: str) -> None:
    assert query_words(text) == []
    assert search_vector([("A", text)]) == ""


@given(st.text(min_size=1))
def test_words_are_letters_and_digits_of_bounded_length(text: str) -> None:
    for word in words(text * 70):
        assert 0 < len(word) <= LONGEST_WORD
        assert not set(word) & set("'\\\"&|!:*() <>_")
