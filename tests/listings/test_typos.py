"""A mistyped word finds what it nearly is; a word that is known finds only itself."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from httpx import AsyncClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from src import relay
from src.core import database
from src.core.reads import SessionReader
from src.core.strict import UNSAFE_TEXT
from src.listings import typos
from src.listings.filters import ListingSearch
from src.listings.lookups import look_up
from src.listings.models import Listing, ListingPhrase, ListingStatus, ListingWord
from tests.factories import World, property_data, vehicle_data
from tests.listings.learned import learn
from tests.listings.published import publish

Counting = Callable[[], AbstractContextManager[list[str]]]
TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), max_size=60)


async def found(client: AsyncClient, q: str) -> list[str]:
    answer = await client.get("/api/v1/listings", params={"q": q})
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


async def known() -> set[str]:
    async with database.transaction() as session:
        return set(await session.scalars(select(ListingWord.word)))


@pytest.mark.parametrize(
    "q",
    [
        "toyotta",
        "tyota",
        "toyoto",
        "toyta",
        "corrola",
        "corola vitz",
        "carolla",
        "ቶዮትታ",
        "megennagna",
        "mgenagna",
        "መገናና",
    ],
)
async def test_a_typo_finds_what_was_meant(q: str, client: AsyncClient) -> None:
    [wanted, other] = await publish(
        vehicle_data(title="Toyota Corolla at Megenagna"), vehicle_data(title="Lada", vehicle={"make": "Lada"})
    )
    await learn(wanted, other)
    assert await found(client, q) == [wanted]


@pytest.mark.parametrize("q", ["zzzz", "toyotavitzcorolla", "lado", "2013", "vitzz 2013", "bmx"])
async def test_what_is_too_far_off_finds_nothing(q: str, client: AsyncClient) -> None:
    await learn(*await publish(vehicle_data()))
    assert await found(client, q) == []


async def test_a_word_that_is_known_is_not_guessed_at(client: AsyncClient) -> None:
    [house, _] = ids = await publish(property_data(title="House"), property_data(title="Mouse"))
    await learn(*ids)
    assert await found(client, "house") == [house]
    assert await found(client, "hous") == [house]


async def test_at_most_three_guesses_are_made(client: AsyncClient) -> None:
    ids = await publish(*(property_data(title=f"{letter}ouses") for letter in "hmrtbg"))
    await learn(*ids)
    assert len(await found(client, "zouses")) == 3


async def test_what_is_not_yet_learned_is_found_as_it_is_written(client: AsyncClient) -> None:
    [known_one, new] = await publish(vehicle_data(title="Unicorns"), vehicle_data(title="Unicorm"))
    await learn(known_one)
    assert set(await found(client, "unicorm")) == {known_one, new}


async def test_Z09_only_what_is_public_is_learned(client: AsyncClient, world: World) -> None:
    draft = await world.draft(await world.person(), vehicle_data(title="Secretprototype"))
    await learn(draft["id"])
    assert await known() == set()


async def test_numbers_and_pairs_are_not_learned(client: AsyncClient) -> None:
    await learn(*await publish(vehicle_data(title="Toyota Vitz 2012 x5", vehicle={"make": "Toyota"})))
    words = await known()
    assert {"toyota", "~toyota", "vitz", "~vits"} <= words
    assert all(word.removeprefix("~").isalpha() for word in words)


async def test_publishing_and_editing_teach_words_through_the_relay(
    committed: None, client: AsyncClient, world: World
) -> None:
    relay.subscribe_all()
    owner = await world.person()
    listing = await world.published(owner, vehicle_data(title="Zebracar"))
    while await relay.deliver_batch():
        pass
    assert "zebracar" in await known()
    assert await found(client, "zebrakar") == [listing["id"]]
    changes, headers = {"title": "Giraffecar"}, {**owner.headers, "If-Match": "*"}
    await client.patch(f"/api/v1/vehicles/{listing['id']}", json=changes, headers=headers)
    while await relay.deliver_batch():
        pass
    assert await found(client, "girafecarr") == [listing["id"]]
    async with database.transaction() as session:
        phrases = set(await session.scalars(select(ListingPhrase.text)))
    assert {"Zebracar", "Giraffecar", "Toyota", "Toyota Vitz", "Addis Ababa"} <= phrases


async def test_two_learn_the_same_at_once(committed: None) -> None:
    ids = await publish(*(vehicle_data(title=f"Zebra giraffe okapi {letter}ion") for letter in "lpst"))
    await asyncio.gather(*(learn(*batch) for batch in (ids, ids[::-1], ids[:2], ids[2:])))
    assert {"zebra", "giraffe", "okapi", "lion", "pion", "sion", "tion"} <= await known()


async def test_what_is_known_is_learned_while_somebody_holds_it(committed: None) -> None:
    ids = await publish(vehicle_data())
    await learn(*ids)
    before = await known()
    async with database.transaction() as session:
        await session.scalars(select(ListingPhrase).with_for_update())
        await session.scalars(select(ListingWord).with_for_update())
        async with asyncio.timeout(3):
            await learn(*ids)
    assert await known() == before


async def test_learning_again_changes_nothing(client: AsyncClient) -> None:
    ids = await publish(vehicle_data(), property_data())
    await learn(*ids)
    before = await known()
    await learn(*ids)
    assert await known() == before


async def test_D08_words_take_no_more_statements_than_any_search(client: AsyncClient, count_queries: Counting) -> None:
    await learn(*await publish(vehicle_data(), vehicle_data()))
    counts = []
    for q in ("", "2012", "vitz", "toyotta vittz corola lada bole house"):
        with count_queries() as statements:
            await client.get("/api/v1/vehicles", params={"q": q} if q else {})
        counts.append(len(statements))
    # Which, and how they are shown; before that, what may have been meant; and two for advice where nothing is found.
    assert counts == [1, 1, 2, 2 + 2]


async def test_a_withdrawn_listing_is_not_found_by_a_guess(client: AsyncClient) -> None:
    [gone] = await publish(vehicle_data())
    await learn(gone)
    async with database.transaction() as session:
        await session.execute(update(Listing).values(status=ListingStatus.WITHDRAWN))
    assert await found(client, "toyotta") == []


@given(TEXT)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
async def test_I10_no_text_breaks_a_query(storage: None, text: str) -> None:
    async with database.transaction() as session:
        known = await look_up(SessionReader(session), ListingSearch.model_construct(q=text))
        query = known.get("q", "")
        found = select(Listing.id).where(Listing.search.op("@@")(typos.words_query(text)))
        assert (await session.scalars(found)).all() == []
    assert UNSAFE_TEXT.search(query) is None
