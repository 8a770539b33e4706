"""What a vehicle identification number says of a vehicle, as a verdict: facts, and warnings where they disagree.

ISO 3779 makes a VIN of 17 characters without I, O and Q. Its check digit (position 9) and its model year (position
10) bind makers in North America alone: 49 CFR 565.15(c) and (d). There position 7 also tells the thirty-year cycle:
a digit until 2009, a letter since; of light vehicles, that is, so that a cycle not yet begun is not believed. From
other makers the check digit says nothing, and the year little. Before model year 1981 every maker numbered its
chassis in its own way, and more briefly.
"""

import re
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from src.core import clock
from src.core.schemas import Schema, Trimmed
from src.geo.schemas import CountryCode
from src.vehicles import wmi

LENGTH = 17
SHORTEST_CHASSIS_NUMBER = 4
FIRST_STANDARD_YEAR = 1981

_YEARS = "ABCDEFGHJKLMNPRSTVWXY123456789"
_FIRST_CYCLE, _SECOND_CYCLE = 1980, 2010
_VALUES = {str(digit): digit for digit in range(10)} | dict(
    zip("ABCDEFGHJKLMNPRSTUVWXYZ", map(int, "12345678123457923456789"), strict=True)
)
_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
_FOREIGN = {LENGTH: re.compile("[^A-HJ-NPR-Z0-9]")}
_FOREIGN_TO_ANY = re.compile("[^A-Z0-9-]")


def _numbered(value: str) -> str:
    """Upper case, or the reason why it is no number of a vehicle, naming the first position that is wrong."""
    if wrong := _FOREIGN.get(len(value), _FOREIGN_TO_ANY).search(value.upper() if value.isascii() else value):
        what = "has no I, O or Q" if wrong[0] in "IOQ" else "is of A to Z and 0 to 9"
        raise ValueError(f"character {wrong.start() + 1} is {wrong[0]!r}: a VIN {what}")
    return value.upper()


Vin = Annotated[
    str,
    Trimmed,
    Field(
        min_length=SHORTEST_CHASSIS_NUMBER,
        max_length=LENGTH,
        description="ISO 3779: 17 characters; fewer, with `model_year`, of a vehicle from before 1981",
        examples=["JTDKB20U093123456"],
    ),
    AfterValidator(_numbered),
]


def is_too_short(vin: str | None, model_year: int | None) -> bool:
    """Whether it is shorter than a VIN though the vehicle is not stated to be old enough for that."""
    return vin is not None and len(vin) < LENGTH and (model_year or FIRST_STANDARD_YEAR) >= FIRST_STANDARD_YEAR


class VinWarning(StrEnum):
    """What may be wrong."""

    DEGENERATE = "degenerate"
    CHECK_DIGIT_WRONG = "check_digit_wrong"
    YEAR_CODE_IMPOSSIBLE = "year_code_impossible"
    MODEL_YEAR_DIFFERS = "model_year_differs"
    MODEL_YEAR_DOUBTFUL = "model_year_doubtful"
    MAKE_DIFFERS = "make_differs"
    TOO_SHORT = "too_short"


class Doubt(Schema):
    """A reason to look again; nothing is refused for it."""

    code: VinWarning = Field(examples=["make_differs"])
    detail: str = Field(max_length=300, examples=["JTD is a code of Toyota; make says Honda"])


class VinVerdict(Schema):
    """What a VIN says, and where that disagrees with what the owner says."""

    format: Literal["vin", "chassis_number"] = Field(description="chassis_number: shorter, from before 1981")
    wmi: str | None = Field(max_length=3, description="World manufacturer identifier", examples=["JTD"])
    maker: str | None = Field(max_length=100, examples=["Toyota"])
    country: CountryCode | None = Field(examples=["JP"])
    check_digit: Literal["ok", "fail", "not_applicable"] = Field(
        description="Binding in North America only", examples=["not_applicable"]
    )
    model_years: list[Annotated[int, Field(ge=_FIRST_CYCLE, le=9999)]] = Field(
        max_length=300, description="What position 10 may mean", examples=[[2009]]
    )
    warnings: list[Doubt] = Field(max_length=10)


def judge(vin: str, make: str | None = None, model_year: int | None = None) -> VinVerdict:
    """The verdict on a number that `Vin` lets pass, and on what is said beside it."""
    if len(vin) != LENGTH:
        return _chassis_number(model_year)
    code = vin[:3]
    is_bound = wmi.is_north_american(code)
    digit, years, maker = _check(vin) if is_bound else "not_applicable", model_years(vin), wmi.maker_of(code)
    doubts = [*_doubts_of_itself(vin, digit, years, is_bound=is_bound)]
    if model_year is not None and years and model_year not in years:
        is_certain = is_bound and model_year not in _cycles(vin)
        doubts.append(_year_doubt(years, model_year, is_certain=is_certain, is_bound=is_bound))
    if maker is not None and make is not None and not wmi.may_be_of(maker, make):
        doubts.append(Doubt(code=VinWarning.MAKE_DIFFERS, detail=f"{code} is a code of {maker}; make says {make}"))
    return VinVerdict(
        format="vin",
        wmi=code,
        maker=maker,
        country=wmi.country_of(code),
        check_digit=digit,
        model_years=years,
        warnings=doubts,
    )


def _chassis_number(model_year: int | None) -> VinVerdict:
    doubts = []
    if (model_year or FIRST_STANDARD_YEAR) >= FIRST_STANDARD_YEAR:
        detail = f"A vehicle of model year {FIRST_STANDARD_YEAR} or later has a VIN of {LENGTH} characters"
        doubts.append(Doubt(code=VinWarning.TOO_SHORT, detail=detail))
    return VinVerdict(
        format="chassis_number",
        wmi=None,
        maker=None,
        country=None,
        check_digit="not_applicable",
        model_years=[],
        warnings=doubts,
    )


def _check(vin: str) -> Literal["ok", "fail"]:
    return "ok" if vin[8] == check_digit(vin) else "fail"


def check_digit(vin: str) -> str:
    """The digit, or X for ten, that position 9 of a VIN should hold (49 CFR 565.15(c), tables III to V)."""
    total = sum(_VALUES[character] * weight for character, weight in zip(vin, _WEIGHTS, strict=True))
    return "0123456789X"[total % 11]


def model_years(vin: str) -> list[int]:
    """The model years that position 10 may mean, none later than next year's; position 7 decides where it binds."""
    years = _cycles(vin)
    if not wmi.is_north_american(vin[:3]):
        return years
    return [year for year in years if (year < _SECOND_CYCLE) == vin[6].isdigit()] or years


def _cycles(vin: str) -> list[int]:
    if vin[9] not in _YEARS:
        return []
    return list(range(_FIRST_CYCLE + _YEARS.index(vin[9]), clock.now().year + 2, len(_YEARS)))


def _doubts_of_itself(vin: str, digit: str, years: list[int], *, is_bound: bool) -> list[Doubt]:
    doubts = []
    if len(set(vin)) == 1:
        doubts.append(Doubt(code=VinWarning.DEGENERATE, detail="One character over and over is no vehicle's VIN"))
    if digit == "fail":
        detail = f"Beside the other characters position 9 should be {check_digit(vin)}: one was mistyped or changed"
        doubts.append(Doubt(code=VinWarning.CHECK_DIGIT_WRONG, detail=detail))
    if is_bound and not years:
        detail = f"Position 10 is {vin[9]}, which stands for no model year"
        doubts.append(Doubt(code=VinWarning.YEAR_CODE_IMPOSSIBLE, detail=detail))
    return doubts


def _year_doubt(years: list[int], model_year: int, *, is_certain: bool, is_bound: bool) -> Doubt:
    said = f"Position 10 means {' or '.join(map(str, years))}; model_year says {model_year}"
    if is_certain:
        return Doubt(code=VinWarning.MODEL_YEAR_DIFFERS, detail=said)
    but = "unless it is a motorcycle, bus or heavy truck" if is_bound else "but not every maker puts the year there"
    return Doubt(code=VinWarning.MODEL_YEAR_DOUBTFUL, detail=f"{said}, {but}")
