"""Limits and sorts of prices in one asked currency, over listings in many."""

from typing import Any

import pytest
from httpx import AsyncClient

from src.core.database import new_id
from src.core.pagination import encode_cursor
from src.listings.router import MixedSearch
from tests.exchange_rates.rates import add
from tests.factories import property_data, vehicle_data
from tests.listings.published import publish

# A dollar is 156.25 birr, or 154.6875 yen, which have no minor unit.
RATES = {"USD": "0.0064", "JPY": "0.99"}
PRICES = {"birr": (10000, "ETB"), "cents": (65, "USD"), "yen": (98, "JPY"), "dear": (10**9, "ETB"), "pence": (5, "GBP")}


async def publish_all() -> None:
    make = (vehicle_data, property_data)
    drafts = [
        make[number % 2](title=title, price={"amount": amount, "currency": currency})
        for number, (title, (amount, currency)) in enumerate(PRICES.items())
    ]
    await publish(*drafts)


async def titles(client: AsyncClient, **query: Any) -> list[str]:
    answer = await client.get("/api/v1/listings", params=query)
    assert answer.status_code == 200, answer.text
    page = answer.json()
    assert page["total"]["value"] == len(page["items"])
    return [item["title"] for item in page["items"]]


@pytest.mark.parametrize("currency", ["ETB", "USD", "JPY", None])
async def test_prices_of_many_currencies_stand_in_one_order(client: AsyncClient, currency: str | None) -> None:
    await add(rates=RATES)
    await publish_all()
    asked = {"currency": currency} if currency else {}
    assert await titles(client, sort="price_asc", **asked) == ["yen", "birr", "cents", "dear", "pence"]
    assert await titles(client, sort="price_desc", **asked) == ["dear", "cents", "birr", "yen", "pence"]


@pytest.mark.parametrize("sort", ["price_asc", "price_desc", "newest"])
async def test_limits_are_exact_in_the_asked_currency(client: AsyncClient, sort: str) -> None:
    await add(rates=RATES)
    await publish_all()
    # 64 cents are exactly 100 birr; 98 yen are more than 63.
    cases: tuple[tuple[int | None, int | None, set[str]], ...]
    cases = ((64, 65, {"birr", "cents"}), (64, 64, {"birr"}), (None, 63, set()), (63, 64, {"birr", "yen"}))
    for least, most, wanted in (*cases, (66, None, {"dear"})):
        limits = {name: value for name, value in (("price_min", least), ("price_max", most)) if value is not None}
        assert set(await titles(client, sort=sort, currency="USD", **limits)) == wanted


async def test_a_currency_without_rates_is_worth_itself(client: AsyncClient) -> None:
    await publish_all()
    assert await titles(client, currency="GBP", price_max=10) == ["pence"]
    assert await titles(client, currency="ETB", price_min=1, sort="price_desc") == ["dear", "birr"]
    assert (await titles(client, currency="GBP", sort="price_asc"))[0] == "pence"
    assert await titles(client, currency="CHF", price_min=0) == []


async def test_a_currency_alone_filters_nothing(client: AsyncClient) -> None:
    await add(rates=RATES)
    await publish_all()
    assert len(await titles(client, currency="USD")) == len(PRICES)


@pytest.mark.parametrize("query", [{"sort": "price_asc"}, {"sort": "newest", "currency": "USD", "price_min": 1}])
async def test_I07_later_pages_keep_to_the_rates_of_the_first(client: AsyncClient, query: dict[str, Any]) -> None:
    rates = await add(rates=RATES)
    await publish_all()
    whole = await titles(client, **query)
    page = (await client.get("/api/v1/listings", params={**query, "limit": 1})).json()
    await add(rates={"USD": "64", "JPY": "0.0001"})
    seen = [page["items"][0]["title"]]
    while page["next_cursor"]:
        assert page["exchange_rates_id"] == str(rates.id)
        params = {**query, "limit": 1, "cursor": page["next_cursor"]}
        page = (await client.get("/api/v1/listings", params=params)).json()
        seen += [item["title"] for item in page["items"]]
    assert seen == whole
    assert (await client.get("/api/v1/listings", params=query)).json()["exchange_rates_id"] != str(rates.id)


async def test_I07_a_cursor_whose_rates_are_not_there_is_refused(client: AsyncClient) -> None:
    """As after the database was restored to the day before."""
    scope = f"None:{MixedSearch(sort='price_asc').scope()}"
    cursor = encode_cursor(scope, [new_id(), False, 1, new_id()])
    answer = await client.get("/api/v1/listings", params={"sort": "price_asc", "cursor": cursor})
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_cursor")
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/cursor"]


async def test_a_search_without_prices_names_no_rates(client: AsyncClient) -> None:
    await add(rates=RATES)
    assert (await client.get("/api/v1/listings", params={"currency": "USD"})).json()["exchange_rates_id"] is None
