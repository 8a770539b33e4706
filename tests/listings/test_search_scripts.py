"""One word in either script and in any spelling finds the same listings."""

from typing import Any

import pytest
from httpx import AsyncClient

from src.imports import landing
from src.imports.sheet import Sheet
from tests.factories import property_data, vehicle_data
from tests.imports.sheets import DEMO
from tests.listings.published import add_owner, publish

HOME = {"country": "ET", "city": "Addis Ababa"}


async def found(client: AsyncClient, q: str, **query: Any) -> list[str]:
    answer = await client.get("/api/v1/listings", params={"q": q, "limit": 100, **query})
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


@pytest.fixture
async def demo(storage: None) -> None:
    """The Ethiopian listings of the demo."""
    owner = await add_owner()
    for name in ("properties_ethiopia.csv", "vehicles_ethiopia.csv"):
        with (DEMO / name).open("rb") as opened:
            assert [batch async for batch in landing.land(Sheet(opened, {}), owner)]


@pytest.mark.parametrize(
    ("spellings", "least"),
    [
        (("bole", "ቦሌ", "boole", "Bolle", "BOLE"), 10),
        (("toyota", "ቶዮታ", "Toyotta"), 10),
        (("hawassa", "awasa", "Awassa", "ሀዋሳ", "ሐዋሳ", "አዋሳ"), 4),
        (("lideta", "ልደታ"), 3),
        (("kazanchis", "ካዛንቺስ"), 2),
        (("dire dawa", "diredawa", "ድሬዳዋ", "ድሬ ዳዋ"), 2),
        (("hilux", "ሒሉክስ", "ሂሉክስ"), 2),
    ],
)
async def test_the_demo_is_found_in_either_script(
    spellings: tuple[str, ...], least: int, demo: None, client: AsyncClient
) -> None:
    first, *others = [set(await found(client, q)) for q in spellings]
    assert len(first) >= least
    assert [spelling for spelling, ids in zip(spellings[1:], others, strict=True) if ids != first] == []


async def test_homophones_and_labialised_letters_find_each_other(client: AsyncClient) -> None:
    [wanted] = await publish(property_data(title="ሠፊ ቤት ለሽያጭ ፀሐይ የሚያገኝ ቧንቧ ያለው ፳፻፬"))
    for q in ("ሰፊ", "ጸሀይ", "ብዋንቡዋ", "2004", "ጸሐይ፣ሠፊ"):
        assert await found(client, q) == [wanted], q


async def test_letters_rank_above_sounds(client: AsyncClient) -> None:
    heard, read = await publish(
        property_data(title="ቪላ ቦሌ", location=HOME),
        property_data(title="A house", description="Not far from Bole", location=HOME),
    )
    assert await found(client, "bole") == [read, heard]
    assert await found(client, "ቦሌ") == [heard, read]


async def test_a_longer_word_is_found_by_how_it_begins_to_sound(client: AsyncClient) -> None:
    [wanted] = await publish(property_data(title="መገናኛ አካባቢ", location=HOME))
    assert await found(client, "megena") == [wanted]


async def test_what_sounds_different_is_not_found(client: AsyncClient) -> None:
    await publish(property_data(title="ባሌ ሮቤ", location=HOME), vehicle_data(title="A bad red bed"))
    for q in ("bole", "ቦሌ", "rod", "bid", "bud"):
        assert await found(client, q) == [], q


@pytest.mark.parametrize("name", ["ሀዋሳ", "ሐዋሳ", "ኃዋሣ"])
async def test_a_city_is_found_by_each_homophone(name: str, client: AsyncClient) -> None:
    places = (await client.get("/api/v1/geo/cities", params={"country": "ET", "q": name})).json()["items"]
    assert [city["name"] for city in places] == ["Awasa"]
    [wanted, _] = await publish(
        property_data(location={"country": "ET", "city": "ሀዋሳ"}),
        property_data(location={"country": "ET", "city": "ባሌ"}),
    )
    answer = await client.get("/api/v1/listings", params={"city": name})
    assert [item["id"] for item in answer.json()["items"]] == [wanted]
