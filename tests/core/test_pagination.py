import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import BigInteger, ColumnElement, DateTime, Double, Numeric, String, Uuid, column

from src.core.pagination import BadCursor, decode_cursor, encode_cursor

KEYS: list[ColumnElement[Any]] = [
    column("at", DateTime(timezone=True)),
    column("rank", Double()),
    column("amount", BigInteger()),
    column("km", Numeric()),
    column("id", Uuid()),
]
NAMES: list[ColumnElement[Any]] = [column("name", String())]


@given(
    st.datetimes(timezones=st.just(UTC)),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(2**63), 2**63 - 1),
    st.decimals(-(10**9), 10**9, places=6),
    st.uuids(),
)
def test_keys_come_back_exactly(at: datetime, rank: float, amount: int, km: Decimal, key: UUID) -> None:
    values = [at, rank, amount, km, key]
    cursor = encode_cursor("newest", values)
    assert len(cursor) <= 1000
    back = decode_cursor("newest", cursor, KEYS)
    assert back == values
    assert list(map(type, back)) == [datetime, float, int, Decimal, UUID]


@given(st.text(max_size=100))
def test_a_name_comes_back_exactly(name: str) -> None:
    assert decode_cursor("by name", encode_cursor("by name", [name]), NAMES) == [name]


@given(st.text())
def test_I07_a_text_is_no_cursor(text: str) -> None:
    with pytest.raises(BadCursor):
        decode_cursor("newest", text, KEYS)


@given(st.data())
def test_I07_no_character_of_a_cursor_can_be_another(data: st.DataObject) -> None:
    cursor = encode_cursor("newest", ["Adama"])
    place = data.draw(st.integers(0, len(cursor) - 1))
    character = data.draw(st.characters().filter(lambda other: other != cursor[place]))
    changed = cursor[:place] + character + cursor[place + 1 :]
    # The last character of base64 can hold bits that mean nothing.
    if place == len(cursor) - 1 and _is_refused(changed) is False:
        assert decode_cursor("newest", changed, NAMES) == ["Adama"]
    else:
        assert _is_refused(changed)


def test_I07_the_other_alphabet_of_base64_is_refused() -> None:
    cursors = [encode_cursor("newest", [f"Adama {number}"]) for number in range(50)]
    respelt = [cursor.replace("_", "/").replace("-", "+") for cursor in cursors if re.search("[_-]", cursor)]
    assert len(respelt) > 5
    assert all(_is_refused(cursor) for cursor in respelt)


def _is_refused(cursor: str) -> bool:
    try:
        decode_cursor("newest", cursor, NAMES)
    except BadCursor:
        return True
    return False


@pytest.mark.parametrize(("scope", "values"), [("oldest", ["Adama"]), ("newest", []), ("newest", ["Adama", "1"])])
def test_a_cursor_of_another_list_is_refused(scope: str, values: list[Any]) -> None:
    with pytest.raises(BadCursor):
        decode_cursor("newest", encode_cursor(scope, values), NAMES)


def test_a_cursor_with_keys_of_other_types_is_refused() -> None:
    with pytest.raises(BadCursor):
        decode_cursor("newest", encode_cursor("newest", ["yesterday", 1.5, 1, 1, "id"]), KEYS)
