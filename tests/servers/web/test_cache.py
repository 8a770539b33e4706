"""nginx keeps what anybody may read for as long as the application says, and nothing else."""

import time
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime

import httpx

from tests.servers.web.conftest import Web
from tests.servers.web.processes import CACHE_SECONDS


def state(answer: httpx.Response) -> str:
    return str(answer.headers.get("X-Cache-Status", ""))


def test_anonymous_reads_come_from_the_cache_as_the_application_answered_them(
    web: Web, browser: httpx.Client, listing: str
) -> None:
    first, second = browser.get(listing), browser.get(listing)
    assert (state(first), state(second)) == ("MISS", "HIT")
    assert web.gunicorn.requests(listing, expected=1) == 1
    assert second.content == first.content
    assert second.headers["ETag"] == first.headers["ETag"]
    assert not second.headers["ETag"].startswith("W/")
    assert second.headers["Cache-Control"] == f"public, max-age={CACHE_SECONDS - 1}, stale-while-revalidate=1"
    assert second.headers["X-Request-ID"] != first.headers["X-Request-ID"]


def test_who_has_it_already_gets_304_from_the_cache(browser: httpx.Client, listing: str) -> None:
    tag = browser.get(listing).headers["ETag"]
    again = browser.get(listing, headers={"If-None-Match": tag})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
    assert browser.get(listing, headers={"If-None-Match": '"other"'}).status_code == 200


def test_the_date_of_what_is_cached_tells_its_age(browser: httpx.Client, listing: str) -> None:
    made = parsedate_to_datetime(browser.get(listing).headers["Date"])
    while state(later := browser.get(listing)) == "HIT":
        assert parsedate_to_datetime(later.headers["Date"]) == made
        time.sleep(0.1)


def test_callers_with_a_token_or_a_cookie_go_past_the_cache(
    browser: httpx.Client, seller: httpx.Client, listing: str
) -> None:
    browser.get(listing)
    mine, theirs = seller.get(listing), browser.get(listing, headers={"Cookie": "session=1"})
    assert (state(mine), state(theirs)) == ("BYPASS", "BYPASS")
    assert mine.headers["Cache-Control"] == "private, no-store"
    assert state(browser.get(listing)) == "HIT"


def test_what_was_withdrawn_is_gone_within_the_time_that_caches_are_given(
    browser: httpx.Client, seller: httpx.Client, listing: str
) -> None:
    browser.get(listing)
    withdrawn = time.monotonic()
    assert seller.post(f"{listing.replace('vehicles', 'listings')}/withdraw").is_success
    assert browser.get(listing).status_code == 200
    while browser.get(listing).status_code != 404:
        time.sleep(0.1)
    assert time.monotonic() - withdrawn < CACHE_SECONDS + 1.5


def test_each_origin_has_its_own_answer(browser: httpx.Client, listing: str) -> None:
    assert "Access-Control-Allow-Origin" not in browser.get(listing).headers
    page = browser.get(listing, headers={"Origin": "https://app.example.com"})
    assert page.headers["Access-Control-Allow-Origin"] == "https://app.example.com"


def test_of_many_who_ask_at_once_one_reaches_the_application(web: Web, browser: httpx.Client, listing: str) -> None:
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(browser.get, [listing] * 40))
    assert {answer.status_code for answer in answers} == {200}
    assert web.gunicorn.requests(listing, expected=1) == 1


def test_writes_and_refusals_are_not_kept(browser: httpx.Client, listing: str) -> None:
    missing = f"{listing[:-12]}000000000000"
    assert [state(browser.get(missing)) for _ in range(2)] == ["MISS", "MISS"]
    assert "HIT" not in {state(browser.post("/api/v1/vehicles", json={})) for _ in range(2)}
