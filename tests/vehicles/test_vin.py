"""The verdict on a VIN, as a value."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from src.core import clock
from src.geo.countries import is_country
from src.vehicles import vin, wmi
from src.vehicles.vin import judge

unhurried = settings(deadline=None)

CHARACTERS = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789"
# Numbers that are published as examples, or stand on vehicles in museums and advertisements.
KNOWN = [
    ("1M8GDM9AXKP042788", "Motor Coach Industries", "US", "ok", [1989]),
    ("5GZCZ43D13S812715", "Saturn", "US", "ok", [2003]),
    ("1HGCM82633A004352", "Honda", "US", "ok", [2003]),
    ("11111111111111111", None, "US", "ok", [2001]),
    ("JTDKB20U093123456", "Toyota", "JP", "not_applicable", [2009]),
    ("WVWZZZ1JZXW000001", "Volkswagen", "DE", "not_applicable", [1999]),
    ("WDB2030461A000001", "Mercedes-Benz", "DE", "not_applicable", [2001]),
    ("LGXC16AF0M0000001", "BYD", "CN", "not_applicable", [1991, 2021]),
    ("MBHZF63S000000001", "Suzuki", "IN", "not_applicable", []),
    ("VF9SP3V3400000001", None, "FR", "not_applicable", []),
]
# What vininfo says of some of these is wrong: see the docstring of `wmi`.
MAKERS = {
    "1FT": "Ford", "1G1": "Chevrolet", "1HT": "International", "1M8": "Motor Coach Industries", "1NK": "Kenworth",
    "1NX": "Toyota", "2T1": "Toyota", "3AK": "Freightliner", "3N6": "Nissan", "5YJ": "Tesla", "9BW": "Volkswagen",
    "AHT": "Toyota", "JHD": "Hino", "JHM": "Honda", "JMB": "Mitsubishi", "JMY": "Mitsubishi", "JMZ": "Mazda",
    "JN1": "Nissan", "JS3": "Suzuki", "JTE": "Toyota", "JTN": "Toyota", "KMH": "Hyundai", "KMT": "Genesis",
    "KNA": "Kia", "LZZ": "Sinotruk", "MA3": "Suzuki", "MBH": "Suzuki", "MR0": "Toyota", "SAL": "Land Rover",
    "TMB": "Škoda", "VF3": "Peugeot", "WBA": "BMW", "YV1": "Volvo Cars", "ZFF": "Ferrari",
    "1M9": None, "1G9": None, "000": None, "XXX": None, "112": None, "QQQ": None,
}  # fmt: skip
COUNTRIES = {
    "AHT": "ZA", "BCA": "ET", "BFA": "KE", "JTD": "JP", "KMH": "KR", "LGX": "CN", "MA3": "IN", "MR0": "TH",
    "SAL": "GB", "TMB": "CZ", "VF1": "FR", "VSS": "ES", "W0L": "DE", "XTA": "RU", "YV1": "SE", "ZFA": "IT",
    "1HG": "US", "2T1": "CA", "3VW": "MX", "4T1": "US", "6T1": "AU", "7A3": "NZ", "7SA": "US", "8AJ": "AR",
    "9BW": "BR", "EAA": None, "0AA": None,
}  # fmt: skip
GOOD = "1M8GDM9AXKP042788"
Adapter: TypeAdapter[str] = TypeAdapter(vin.Vin)


def codes(*arguments: object) -> list[str]:
    return [doubt.code.value for doubt in judge(*arguments).warnings]  # type: ignore[arg-type]


@pytest.mark.parametrize(("number", "maker", "country", "digit", "years"), KNOWN)
def test_known_numbers(number: str, maker: str | None, country: str, digit: str, years: list[int]) -> None:
    verdict = judge(number)
    assert (verdict.format, verdict.wmi) == ("vin", number[:3])
    assert (verdict.maker, verdict.country, verdict.check_digit) == (maker, country, digit)
    assert verdict.model_years == years
    assert codes(number) == (["degenerate"] if len(set(number)) == 1 else [])


def test_codes_of_makers_and_countries() -> None:
    assert {code: wmi.maker_of(code) for code in MAKERS} == MAKERS
    assert {code: wmi.country_of(code) for code in COUNTRIES} == COUNTRIES
    assert all(is_country(country) for country in wmi._countries().values())


@unhurried
@given(st.text(CHARACTERS, min_size=17, max_size=17).map(lambda text: "1" + text[1:]), st.integers(0, 16), st.data())
def test_one_changed_character_never_passes_unless_it_weighs_the_same(
    number: str, at: int, data: st.DataObject
) -> None:
    number = number[:8] + vin.check_digit(number) + number[9:]
    assert judge(number).check_digit == "ok"
    other = data.draw(st.sampled_from(CHARACTERS.replace(number[at], "") if at else "2345"))
    changed = number[:at] + other + number[at + 1 :]
    weighs_the_same = at != 8 and vin._VALUES[other] == vin._VALUES[number[at]]
    assert judge(changed).check_digit == ("ok" if weighs_the_same else "fail")


@unhurried
@given(st.text(CHARACTERS, min_size=17, max_size=17), st.none() | st.text(max_size=60), st.integers(1885, 2100))
def test_every_vin_has_a_verdict_that_can_be_shown(number: str, make: str | None, model_year: int) -> None:
    verdict = judge(number, make, model_year)
    assert vin.VinVerdict.model_validate(verdict.model_dump(mode="json")) == verdict
    assert number not in verdict.model_dump_json()
    assert (verdict.check_digit == "not_applicable") == (number[0] not in "12345" and verdict.country != "US")


@pytest.mark.parametrize("character", CHARACTERS)
def test_one_character_over_and_over_is_degenerate(character: str) -> None:
    assert "degenerate" in codes(character * 17)


@pytest.mark.parametrize(
    ("number", "position", "character"),
    [
        ("IM8GDM9AXKP042788", 1, "I"),
        ("1M8GDM9AXKPO42788", 12, "O"),
        ("1M8GDM9AXKP04278q", 17, "Q"),
        ("1M8GDM9AX-P042788", 10, "-"),
        ("1M8GDM9AXKP04278٣", 17, "٣"),
        ("1M8GDM9ıXKP042788", 8, "ı"),
        ("ABC 123", 4, " "),
    ],
)
def test_what_no_number_holds_is_refused_with_its_position(number: str, position: int, character: str) -> None:
    with pytest.raises(ValidationError, match=f"character {position} is '{character}'"):
        Adapter.validate_python(number)


def test_a_number_is_read_without_regard_to_case_and_space_around_it() -> None:
    assert Adapter.validate_python(" 1m8gdm9axkp042788\n") == GOOD


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        ("Toyota", []),
        ("TOYOTA Motor", []),
        ("Lexus", []),
        ("Daihatsu", []),
        ("ቶዮታ", []),
        ("Somebody's own brand", []),
        (None, []),
        ("Honda", ["make_differs"]),
        ("Mercedes Benz", ["make_differs"]),
        ("Škoda", ["make_differs"]),
    ],
)
def test_a_make_of_another_house_is_a_contradiction(make: str | None, expected: list[str]) -> None:
    assert codes("JTDKB20U093123456", make) == expected


@pytest.mark.parametrize(
    ("number", "model_year", "expected"),
    [
        (GOOD, 1989, []),
        (GOOD, 1990, ["model_year_differs"]),
        (GOOD, 2019, ["model_year_doubtful"]),  # position 7 is a digit: 1980 to 2009, unless it is heavy
        ("JTDKB20U093123456", 2009, []),
        ("JTDKB20U093123456", 2012, ["model_year_doubtful"]),
        ("WDB2030461A000001", 2004, ["model_year_doubtful"]),  # where Mercedes-Benz tells the side of the wheel
        ("WVWZZZ1JZ0W000001", 1999, []),
        ("1M8GDM9A7ZP042788", 1989, ["year_code_impossible"]),
    ],
)
def test_a_year_that_position_10_does_not_mean(number: str, model_year: int, expected: list[str]) -> None:
    assert codes(number, None, model_year) == expected


def test_position_7_tells_the_cycle_in_north_america_alone() -> None:
    assert vin.model_years("1FTFW1E00DFC10312") == [2013]
    assert vin.model_years("1FTFW1100DFC10312") == [1983]
    assert vin.model_years("JTDKB2100D3123456") == [1983, 2013]
    assert vin.model_years("1HD1FMW105Y600001") == [2005]  # a motorcycle's letter; 2035 is not yet


def test_the_years_grow_with_the_clock() -> None:
    assert vin.model_years("JTDKB2U0083123456") == [2008]
    clock.advance(timedelta(days=365 * 12))
    assert vin.model_years("JTDKB2U0083123456") == [2008, 2038]


def test_a_chassis_number_from_before_the_standard_is_taken_as_it_is() -> None:
    verdict = judge("118-7654321", "Volkswagen", 1968)
    assert (verdict.format, verdict.check_digit, verdict.model_years) == ("chassis_number", "not_applicable", [])
    assert verdict.warnings == []
    assert codes("118-7654321", "Volkswagen", 1984) == codes("118-7654321") == ["too_short"]
