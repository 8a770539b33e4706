"""`q`: every word as a prefix, in any script, and nothing in it an operator."""

from typing import Any

import pytest
from httpx import AsyncClient
from sqlalchemy import text

from src.core import database
from src.core.text import query_words, search_vector
from tests.factories import property_data, vehicle_data
from tests.listings.published import publish

BOLE = {"country": "ET", "city": "Addis Ababa", "subdivision": "Bole", "landmark": "Edna Mall"}


async def found(client: AsyncClient, q: str, path: str = "listings", **query: Any) -> list[str]:
    answer = await client.get(f"/api/v1/{path}", params={"q": q, **query})
    assert answer.status_code == 200, answer.text
    assert answer.json()["total"]["value"] == len(answer.json()["items"])
    return [item["id"] for item in answer.json()["items"]]


@pytest.mark.parametrize(
    "q",
    [
        "toyota",
        "toyo",
        "TOYOTA",
        "vit toy",
        "2012 vitz toyota",
        "toyota, vitz!",
        "elegant",
        "ÉLÉGANT",
        "elegant\u0301",
        "ｖｉｔｚ",
        "2012",
        "20",
        "addis",
        "bole",
        "edna mall",
        "sunroof",
        "hatchback",
        "silver",
        "ንጹህ",
        "መኪ",
        "መኪና ንጹ",
    ],
)
async def test_words_are_found_by_how_they_begin(q: str, client: AsyncClient) -> None:
    details = {"make": "Toyota", "model": "Vitz", "model_year": 2012, "mileage": 1, "color": "Silver"}
    car = vehicle_data(
        title="A very Élegant car",
        description="ንጹህ መኪና ነው",
        location=BOLE,
        features=["sunroof"],
        vehicle=details | {"body_type": "hatchback"},
    )
    [wanted, _] = await publish(car, property_data(title="Villa", location={"country": "KE", "city": "Nairobi"}))
    assert await found(client, q) == [wanted]


@pytest.mark.parametrize("q", ["itz", "toyotas", "toyota lada", "2013", "ባሌ", "vitz & lada"])
async def test_every_word_has_to_be_there(q: str, client: AsyncClient) -> None:
    await publish(vehicle_data())
    assert await found(client, q) == []


@pytest.mark.parametrize("q", ["!", "&", "|", ":*", "''", "\"'\\", "()<->", "...", "  ", "«»", "፡።", "%", "_", "😀"])
async def test_a_text_without_words_finds_nothing(q: str, client: AsyncClient) -> None:
    await publish(vehicle_data(title="Toyota & sons! (:*) 😀"))
    assert await found(client, q) == []
    assert await found(client, q, sort="relevance") == []


@pytest.mark.parametrize(
    "q",
    [
        "vitz & toyota",
        "vitz | toyota",
        "!vitz !toyota",
        "vitz:* toyota:A",
        "'vitz' \"toyota\"",
        "vitz\\ toyota\\'",
        "(vitz <-> toyota)",
        "vitz); DROP TABLE listings; --toyota",
        "vi%tz _toyota",
    ],
)
async def test_I10_operators_are_no_operators(q: str, client: AsyncClient) -> None:
    words = "toyota vitz drop table listings vi tz"
    [wanted, _] = await publish(vehicle_data(title=words), vehicle_data(title="Suzuki", vehicle={"make": "Suzuki"}))
    assert await found(client, q) == [wanted]


async def test_long_and_many_words_are_answered(client: AsyncClient) -> None:
    [wanted] = await publish(vehicle_data(title="w" * 120))
    assert await found(client, "w" * 200) == [wanted]
    assert await found(client, " ".join(["w"] * 100)) == [wanted]
    assert await found(client, " ".join("abcdefghijklmnopqrstuvwxyz" * 3)) == []


async def test_the_end_of_a_long_description_is_found(client: AsyncClient) -> None:
    [wanted] = await publish(vehicle_data(description="a " * 4990 + "unicorn"))
    assert await found(client, "unicorn") == [wanted]


async def test_make_and_model_are_found_whatever_the_description(client: AsyncClient) -> None:
    # Some characters stand for several words.
    [wanted] = await publish(vehicle_data(title="For sale", description="\ufdfa " * 5000))
    assert await found(client, "toyota vitz") == [wanted]


async def test_a_title_outranks_a_name_and_a_name_a_description(client: AsyncClient) -> None:
    blank = {"make": "Lada", "model_year": 2000, "mileage": 1}
    described, named, titled = await publish(
        vehicle_data(title="Something else", description="corolla corolla corolla", vehicle=blank),
        vehicle_data(title="Something else", vehicle=blank | {"model": "Corolla"}),
        vehicle_data(title="A Corolla", vehicle=blank),
    )
    assert await found(client, "corolla") == [titled, named, described]
    assert await found(client, "corol", path="vehicles", sort="relevance") == [titled, named, described]
    assert await found(client, "corolla", sort="newest") == [titled, named, described]
    assert await found(client, "corolla", sort="price_asc") == [described, named, titled]


async def test_what_is_changed_is_found_as_it_is_now(client: AsyncClient) -> None:
    home = property_data(title="Quiet flat", description="near the lake")
    [wanted] = await publish(home)
    assert await found(client, "quiet flat lake residential", path="properties") == [wanted]
    assert await found(client, "quiet", path="vehicles") == []


async def test_every_character_makes_a_vector_and_a_query_that_the_server_reads(storage: None) -> None:
    characters = [chr(code) for code in range(32, 0x30000) if not 0xD800 <= code <= 0xDFFF]
    async with database.transaction() as session:
        for start in range(0, len(characters), 5000):
            block = [("x" + character + "y") for character in characters[start : start + 5000]]
            vector = search_vector([("A", " ".join(block))])
            query = " & ".join(f"({word.query})" for word in query_words(" ".join(block[-6:])))
            is_found = await session.scalar(
                text("SELECT CAST(:v AS tsvector) @@ CAST(:q AS tsquery)"), {"v": vector, "q": query}
            )
            assert is_found
