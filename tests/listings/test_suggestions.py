"""`GET /listings/suggest`: what a search that is being typed may become."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from httpx import AsyncClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from src.core import database
from src.listings import suggestions
from src.listings.models import Listing, ListingStatus
from tests.factories import World, property_data, vehicle_data
from tests.listings.learned import learn
from tests.listings.published import publish

Counting = Callable[[], AbstractContextManager[list[str]]]
BOLE = {"country": "ET", "city": "Addis Ababa", "subdivision": "Bole"}


async def suggested(client: AsyncClient, q: str, **query: Any) -> list[tuple[str, str, int]]:
    answer = await client.get("/api/v1/listings/suggest", params={"q": q, **query})
    assert answer.status_code == 200, answer.text
    return [(item["text"], item["kind"], item["listings"]) for item in answer.json()["items"]]


@pytest.fixture
async def listed(storage: None) -> list[str]:
    """A few listings, learned."""
    details = {"make": "Toyota", "model_year": 2012, "mileage": 1}
    ids = await publish(
        vehicle_data(title="Silver family car", vehicle=details | {"model": "Vitz"}),
        vehicle_data(title="ቶዮታ ለሽያጭ", vehicle=details | {"model": "Corolla"}),
        property_data(title="ቤት በመገናኛ", location=BOLE, property={"property_type": "residential", "living_area_m2": 85}),
        property_data(
            title="Quiet home",
            location={"country": "ET", "city": "Hawassa"},
            property={
                "property_type": "residential",
                "property_sub_type": "single_family_residence",
                "living_area_m2": 9,
            },
        ),
    )
    await learn(*ids)
    return ids


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        ("toyo", [("Toyota", "make", 2), ("Toyota Vitz", "model", 1), ("Toyota Corolla", "model", 1)]),
        ("toyota v", [("Toyota Vitz", "model", 1)]),
        ("coro", [("Toyota Corolla", "model", 1)]),
        ("ቶዮ", [("ቶዮታ", "word", 1)]),
        ("add", [("Addis Ababa", "place", 3)]),
        ("bole", [("Bole", "place", 1)]),
        ("boole", [("Bole", "place", 1)]),
        ("ቦሌ", [("Bole", "place", 1)]),
        ("አዋሳ", [("Hawassa", "place", 1)]),
        ("megenagna", [("በመገናኛ", "word", 1)]),
        ("በመገ", [("በመገናኛ", "word", 1)]),
        ("resid", [("residential", "type", 2), ("single family residence", "type", 1)]),
        ("qui", [("Quiet", "word", 1)]),
        ("silver toy", [("silver Toyota", "make", 1), ("silver Toyota Vitz", "model", 1)]),
        ("quiet toy", []),
        ("nothing", []),
    ],
)
async def test_words_are_completed(
    q: str, expected: list[tuple[str, str, int]], listed: list[str], client: AsyncClient
) -> None:
    assert await suggested(client, q) == expected


@pytest.mark.parametrize("q", ["toyotta", "tyota", "ቶዮታ"])
async def test_typos_and_sounds_are_completed(q: str, listed: list[str], client: AsyncClient) -> None:
    assert ("Toyota", "make", 2) in await suggested(client, q)


@pytest.mark.parametrize(("head", "is_found"), [("s", False), ("si", False), ("sil", True), ("silver", True)])
async def test_only_longer_beginnings_narrow_what_follows(
    head: str, is_found: bool, listed: list[str], client: AsyncClient
) -> None:
    # One or two letters begin so many words that a suggestion took seconds among 300,000 listings.
    assert bool(await suggested(client, f"{head} toy")) is is_found


async def test_no_more_than_the_limit_are_suggested(listed: list[str], client: AsyncClient) -> None:
    assert len(await suggested(client, "toyo", limit=1)) == 1
    assert len(await suggested(client, "toyo", limit=2)) == 2


async def test_a_phrase_is_the_first_of_the_kinds_it_is(client: AsyncClient) -> None:
    await learn(*await publish(vehicle_data(title="Bole, Toyota & Vitz")))
    assert await suggested(client, "bole") == [("Bole", "word", 1)]
    await learn(*await publish(vehicle_data(title="Something", location=BOLE)))
    assert await suggested(client, "bole") == [("Bole", "place", 2)]
    await learn(*await publish(vehicle_data(title="bole again")))
    assert await suggested(client, "bole") == [("Bole", "place", 3)]


async def test_a_phrase_is_written_as_briefly_as_somebody_writes_it(client: AsyncClient) -> None:
    await learn(*await publish(vehicle_data(title="A car", vehicle={"make": "☎ T\u0336oyota ☎"})))
    [(ornate, _, _)] = await suggested(client, "toyo")
    await learn(*await publish(vehicle_data(title="A car", vehicle={"make": "Toyota"})))
    await learn(*await publish(vehicle_data(title="A car", vehicle={"make": "Toyota!!"})))
    assert ornate != "Toyota"
    assert await suggested(client, "toyo") == [("Toyota", "make", 3)]


async def test_Z09_what_is_not_public_is_not_suggested(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    draft = await world.draft(owner, vehicle_data(title="Secretprototype", vehicle={"make": "Secretmake"}))
    await learn(draft["id"])
    assert await suggested(client, "secret") == []
    [gone] = await publish(vehicle_data(title="Withdrawnword", vehicle={"make": "Withdrawnmake"}))
    await learn(gone)
    assert len(await suggested(client, "withdrawn")) == 2
    async with database.transaction() as session:
        await session.execute(update(Listing).values(status=ListingStatus.WITHDRAWN))
    assert await suggested(client, "withdrawn") == []


async def test_D08_suggesting_takes_two_statements_at_most(
    listed: list[str], client: AsyncClient, count_queries: Counting
) -> None:
    for q, most in (("toyo", 1), ("silver toy", 2), ("nothing at all like it", 2)):
        with count_queries() as statements:
            await suggested(client, q)
        assert len(statements) <= most, statements


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("q", {}), ("q", {"q": ""}), ("q", {"q": "x" * 101}), ("q", {"q": "two\nlines"}), ("q", {"q": "a\x00b"}),
        ("limit", {"q": "a", "limit": 0}), ("limit", {"q": "a", "limit": 11}), ("limit", {"q": "a", "limit": "all"}),
        ("kind", {"q": "a", "kind": "make"}),
    ],
)  # fmt: skip
async def test_a_bad_parameter_is_refused_by_name(name: str, query: dict[str, Any], client: AsyncClient) -> None:
    answer = await client.get("/api/v1/listings/suggest", params=query)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [f"/{name}"]


@pytest.mark.parametrize("q", ["!", "%", "_", "'", "\\", "a & b | !(c", "'x':*", "<->", ":*", "()", " ", "%%", "😀"])
async def test_I10_operators_complete_to_nothing_of_their_own(q: str, listed: list[str], client: AsyncClient) -> None:
    assert await suggested(client, q) == []


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=60))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
async def test_I10_no_text_breaks_a_suggestion(storage: None, text: str) -> None:
    async with database.transaction() as session:
        assert await suggestions.suggest(session, text, 8) == []
