"""The parser of bodies and the text that can be stored."""

import json
from json import JSONDecodeError
from typing import Any

import pytest
from fastapi.exceptions import RequestValidationError
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from src.core.schemas import Day, Line, Text
from src.core.strict import UNSAFE_TEXT, parse_json

unhurried = settings(deadline=None)

scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
storable = st.text(st.characters(exclude_categories=["Cs", "Cc"])).filter(lambda text: not UNSAFE_TEXT.search(text))
documents = st.recursive(
    scalars | storable, lambda part: st.lists(part) | st.dictionaries(storable, part), max_leaves=20
)


@unhurried
@given(documents)
def test_I06_what_can_be_stored_is_parsed_as_it_was_meant(document: Any) -> None:
    for ascii_only in (True, False):
        assert parse_json(json.dumps(document, ensure_ascii=ascii_only).encode()) == document


@unhurried
@given(
    documents,
    # A high surrogate before a low one would be a character after all.
    st.text("\x00\x08\x0b\x1f\x7f\x9f\ud800\ufdd0\ufffe\uffff", min_size=1, max_size=3) | st.just("\udfff"),
    st.booleans(),
)
def test_I01_unstorable_text_is_found_however_it_is_written(document: Any, bad: str, ascii_only: bool) -> None:
    body = json.dumps({"good": document, "bad": [bad]}, ensure_ascii=ascii_only).encode(errors="surrogatepass")
    with pytest.raises((RequestValidationError, JSONDecodeError)) as refused:
        parse_json(body)
    if isinstance(refused.value, RequestValidationError):
        assert [error["loc"] for error in refused.value.errors()] == [("body", "bad", 0)]


@unhurried
@given(st.sampled_from(["NaN", "Infinity", "-Infinity", "1e309", "-1e999", "1" * 400 + ".0"]))
def test_I02_numbers_that_are_not_finite_are_found(number: str) -> None:
    with pytest.raises((RequestValidationError, JSONDecodeError)) as refused:
        parse_json(f'{{"a": [1, {{"b": {number}}}]}}'.encode())
    assert isinstance(refused.value, RequestValidationError)
    assert [error["loc"] for error in refused.value.errors()] == [("body", "a", 1, "b")]


def test_I06_surrogates_in_pairs_are_a_character() -> None:
    assert parse_json(b'"\\ud83d\\ude97"') == "🚗"


@pytest.mark.parametrize("character", ["\t", "\n", "\r"])
def test_a_line_has_no_breaks_and_a_text_may(character: str) -> None:
    value = f"a{character}b"
    assert TypeAdapter(Text).validate_python(value) == value
    with pytest.raises(ValidationError, match="must be one line"):
        TypeAdapter(Line).validate_python(value)


@unhurried
@given(st.text(st.characters(codec=None)))
def test_I01_a_text_is_stored_as_it_is_or_refused(value: str) -> None:
    try:
        kept = TypeAdapter(Text).validate_python(value)
    except ValidationError:
        assert UNSAFE_TEXT.search(value)
    else:
        assert kept.encode() == value.encode()
        assert "\x00" not in kept


@unhurried
@given(st.dates())
def test_I04_a_day_is_written_in_one_way(day: Any) -> None:
    is_in_range = 1900 <= day.year <= 2100
    try:
        assert TypeAdapter(Day).validate_python(day.isoformat()) == day
    except ValidationError:
        assert not is_in_range
    else:
        assert is_in_range
