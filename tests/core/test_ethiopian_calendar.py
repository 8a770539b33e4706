"""The Ethiopian calendar on every day of two centuries, and the clock that starts at six."""

from datetime import UTC, date, datetime, timedelta

import pytest

from src.core.ethiopian_calendar import ZONE, EthiopianDate, ethiopian, in_words

ANCHORS = [
    (date(1900, 1, 1), (1892, 4, 23)),
    (date(1896, 3, 1), (1888, 6, 23)),  # Adwa
    (date(1935, 10, 3), (1928, 1, 22)),
    (date(1974, 9, 12), (1967, 1, 2)),  # the Derg
    (date(1991, 5, 28), (1983, 9, 20)),  # Ginbot 20
    (date(2000, 2, 29), (1992, 6, 21)),
    (date(2007, 9, 11), (1999, 13, 6)),
    (date(2007, 9, 12), (2000, 1, 1)),  # the millennium
    (date(2015, 9, 12), (2008, 1, 1)),
    (date(2016, 9, 11), (2009, 1, 1)),
    (date(2023, 9, 11), (2015, 13, 6)),
    (date(2023, 9, 12), (2016, 1, 1)),
    (date(2026, 1, 7), (2018, 4, 29)),  # Christmas
    (date(2026, 1, 19), (2018, 5, 11)),  # Epiphany
    (date(2026, 9, 10), (2018, 13, 5)),
    (date(2026, 11, 21), (2019, 3, 12)),
    (date(2100, 3, 1), (2092, 6, 21)),  # no 29 February before it
    (date(2100, 9, 12), (2093, 1, 1)),
]


@pytest.mark.parametrize(("there", "here"), ANCHORS)
def test_known_days(there: date, here: tuple[int, int, int]) -> None:
    assert ethiopian(there) == here


def following(day: EthiopianDate) -> EthiopianDate:
    """The next day, by the rules as they are taught: Pagume has a sixth day in each year before a multiple of four."""
    longest = 30 if day.month < 13 else 6 if (day.year + 1) % 4 == 0 else 5
    if day.day < longest:
        return day._replace(day=day.day + 1)
    return EthiopianDate(day.year, day.month + 1, 1) if day.month < 13 else EthiopianDate(day.year + 1, 1, 1)


def test_each_day_of_two_centuries_follows_the_one_before() -> None:
    day, expected = date(1900, 1, 1), EthiopianDate(1892, 4, 23)
    while day.year < 2101:
        assert ethiopian(day) == expected
        day, expected = day + timedelta(days=1), following(expected)


def test_the_sixth_of_pagume_comes_every_four_years() -> None:
    days = [ethiopian(date(1900, 1, 1) + timedelta(days=number)) for number in range(201 * 365)]
    assert [day.year for day in days if (day.month, day.day) == (13, 6)] == list(range(1895, 2093, 4))


def test_in_words_in_english_and_amharic() -> None:
    noon = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
    english = "21 November 2026, 12:30 (Addis Ababa) · 12 Hidar 2019, 6:30 in the day, Ethiopian time"
    amharic = "ህዳር 12 ቀን 2019 ዓ.ም. ከቀኑ 6:30 ሰዓት (እ.ኤ.አ. ኖቬምበር 21 ቀን 2026፣ 12:30 በአዲስ አበባ)"
    assert in_words(noon, "en") == english
    assert in_words(noon, "am") == amharic


@pytest.mark.parametrize(
    ("hour", "english", "amharic"),
    [
        (0, "6:05 at night", "ከሌሊቱ 6:05"),
        (5, "11:05 at night", "ከሌሊቱ 11:05"),
        (6, "12:05 in the morning", "ከጠዋቱ 12:05"),
        (7, "1:05 in the morning", "ከጠዋቱ 1:05"),
        (11, "5:05 in the morning", "ከጠዋቱ 5:05"),
        (12, "6:05 in the day", "ከቀኑ 6:05"),
        (17, "11:05 in the day", "ከቀኑ 11:05"),
        (18, "12:05 in the evening", "ከምሽቱ 12:05"),
        (19, "1:05 in the evening", "ከምሽቱ 1:05"),
        (23, "5:05 in the evening", "ከምሽቱ 5:05"),
    ],
)
def test_the_clock_starts_at_six(hour: int, english: str, amharic: str) -> None:
    instant = datetime(2026, 11, 21, hour, 5, tzinfo=ZONE)
    assert f", {english}, Ethiopian time" in in_words(instant, "en")
    assert f" {amharic} ሰዓት" in in_words(instant, "am")


@pytest.mark.parametrize("language", ["en", "am"])
def test_no_two_minutes_of_a_day_are_called_the_same(language: str) -> None:
    midnight = datetime(2026, 11, 21, tzinfo=ZONE)
    words = [in_words(midnight + timedelta(minutes=number), language) for number in range(24 * 60)]
    ethiopian_half = [text.split(" · ")[1] if language == "en" else text.split(" (")[0] for text in words]
    assert len(set(ethiopian_half)) == 24 * 60


def test_both_dates_change_at_midnight_in_addis_ababa() -> None:
    before = in_words(datetime(2023, 9, 11, 20, 59, tzinfo=UTC), "en")
    after = in_words(datetime(2023, 9, 11, 21, 0, tzinfo=UTC), "en")
    assert before == "11 September 2023, 23:59 (Addis Ababa) · 6 Pagume 2015, 5:59 in the evening, Ethiopian time"
    assert after == "12 September 2023, 00:00 (Addis Ababa) · 1 Meskerem 2016, 6:00 at night, Ethiopian time"
