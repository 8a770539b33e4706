"""Instants as people in Ethiopia say them: in the Ethiopian calendar and on the clock that starts at six.

The Ethiopian day of the week and date change at midnight here, as they do in offices and newspapers, and not at dawn:
so an Ethiopian date always belongs to the Gregorian one beside it. Half past one in the night between two days is
`7:30 at night` of the day that has begun.
"""

from datetime import date, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Africa/Addis_Ababa")

MONTHS = {
    "en": (
        "Meskerem", "Tikimt", "Hidar", "Tahsas", "Tir", "Yekatit", "Megabit", "Miyazya", "Ginbot", "Sene", "Hamle",
        "Nehase", "Pagume",
    ),
    "am": ("መስከረም", "ጥቅምት", "ህዳር", "ታህሳስ", "ጥር", "የካቲት", "መጋቢት", "ሚያዝያ", "ግንቦት", "ሰኔ", "ሐምሌ", "ነሐሴ", "ጳጉሜ"),
}  # fmt: skip
GREGORIAN_MONTHS = {
    "en": (
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
        "December",
    ),
    "am": (
        "ጃንዋሪ", "ፌብሩዋሪ", "ማርች", "ኤፕሪል", "ሜይ", "ጁን", "ጁላይ", "ኦገስት", "ሴፕቴምበር", "ኦክቶበር", "ኖቬምበር", "ዲሴምበር",
    ),
}  # fmt: skip
# The quarters of the day from midnight on. Each hour of the twelve comes once by day and once by night, so that the
# quarter settles which of the two is meant.
PERIODS = {
    "en": ("at night", "in the morning", "in the day", "in the evening"),
    "am": ("ከሌሊቱ", "ከጠዋቱ", "ከቀኑ", "ከምሽቱ"),
}

_YEAR_NOUGHT = date(7, 8, 28).toordinal()
_FOUR_YEARS = 4 * 365 + 1


class EthiopianDate(NamedTuple):
    """Twelve months of 30 days, and Pagume with 5, or 6 in each year before one that four divides."""

    year: int
    month: int
    day: int


def ethiopian(day: date) -> EthiopianDate:
    """The date in the Ethiopian calendar."""
    cycles, days = divmod(day.toordinal() - _YEAR_NOUGHT, _FOUR_YEARS)
    # The fourth year of a cycle is the long one: its last day must not begin a fifth.
    year = min(days // 365, 3)
    month, day_of_month = divmod(days - 365 * year, 30)
    return EthiopianDate(4 * cycles + year, month + 1, day_of_month + 1)


def in_words(instant: datetime, language: str) -> str:
    """The instant in Addis Ababa in both calendars and on both clocks, in `en` or `am`."""
    local = instant.astimezone(ZONE)
    date_ = ethiopian(local.date())
    month, month_there = MONTHS[language][date_.month - 1], GREGORIAN_MONTHS[language][local.month - 1]
    period = PERIODS[language][local.hour // 6]
    hour = f"{(local.hour - 6) % 12 or 12}:{local:%M}"
    if language == "am":
        said = f"{month} {date_.day} ቀን {date_.year} ዓ.ም. {period} {hour} ሰዓት"
        return f"{said} (እ.ኤ.አ. {month_there} {local.day} ቀን {local.year}፣ {local:%H:%M} በአዲስ አበባ)"
    said = f"{date_.day} {month} {date_.year}, {hour} {period}, Ethiopian time"
    return f"{local.day} {month_there} {local.year}, {local:%H:%M} (Addis Ababa) · {said}"
