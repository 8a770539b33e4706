"""Time alone: a year passes, and every timer fires once, in order, however it passes."""

from datetime import datetime, timedelta

import pytest
from httpx import AsyncClient
from sqlalchemy import select

from src.core import clock, config, database, schedule
from src.core.events import EventRecord
from src.listings import tasks
from tests.factories import World
from tests.listings import stored
from tests.listings.journeys import ROUTES, Journey

DAY = timedelta(days=1)
LIFE = ["listing.expiring 7", "listing.expiring 1", "listing.expired", "listing.archived"]


@pytest.fixture(autouse=True)
def _only_this_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """What other modules do in time is not looked at here."""
    name = f"{tasks.__name__}.{tasks.run_timers.__name__}"
    monkeypatch.setattr(schedule, "_jobs", {name: schedule._jobs[name]})


async def run_timers() -> None:
    """As the schedule does until nothing is due."""
    while await schedule.tick():
        pass


async def pass_days(days: float) -> None:
    clock.advance(timedelta(days=days))
    await run_timers()


async def facts(listing_id: str) -> list[tuple[str, float]]:
    """What happened to a listing since it was published, and on which day after now."""
    async with database.transaction() as session:
        of_it = select(EventRecord).where(EventRecord.data["listing_id"].astext == listing_id).order_by(EventRecord.id)
        records = (await session.scalars(of_it)).all()
    names = [" ".join([record.name, *map(str, filter(None, [record.data.get("days")]))]) for record in records]
    anew = ("listing.created", "listing.published", "listing.renewed")
    since = max(n for n, name in enumerate(names) if name in anew)
    began = records[since].occurred_at
    return [(name, (r.occurred_at - began) / DAY) for name, r in zip(names, records, strict=True)][since + 1 :]


async def told(listing_id: str) -> list[str]:
    return [name for name, _ in await facts(listing_id)]


async def status_of(listing_id: str) -> str:
    return str((await stored.row_of(listing_id))["status"])


@pytest.fixture
async def lives(manual_review: None, journey: Journey) -> dict[str, str]:
    """One listing in each state that time alone changes, or does not."""
    states = [state for state in YEAR if state in ROUTES]
    made = {state: await journey.start(state) for state in states}
    made["paused"] = await journey.start("on_hold")
    made["unlicensed"] = await journey.start("published")
    assert (await journey.take("hold", made["unlicensed"])).is_done
    return made


# What a year does to each, and on which days after its last move.
YEAR: dict[str, tuple[str, list[tuple[str, int]]]] = {
    "published": ("archived", list(zip(LIFE, (53, 59, 60, 150), strict=True))),
    "unlicensed": ("archived", list(zip(["listing.held", *LIFE], (0, 53, 59, 60, 150), strict=True))),
    "rejected": ("archived", [("listing.archived", 90)]),
    "sold": ("archived", [("listing.archived", 90)]),
    "rented": ("archived", [("listing.archived", 90)]),
    "withdrawn": ("archived", [("listing.archived", 90)]),
    "paused": ("on_hold", []),
    "reserved": ("reserved", []),
    "suspended": ("suspended", []),
    "draft": ("draft", []),
    "pending_review": ("pending_review", []),
}


def is_timed(name: str) -> bool:
    return name.startswith(("listing.expir", "listing.archived"))


async def test_a_year_day_by_day_fires_each_timer_once_and_on_its_day(lives: dict[str, str]) -> None:
    for _ in range(365):
        await pass_days(1)
    for state, listing_id in lives.items():
        end, wanted = YEAR[state]
        found = [(name, round(day)) for name, day in await facts(listing_id) if is_timed(name)]
        assert (await status_of(listing_id), found) == (end, [fact for fact in wanted if is_timed(fact[0])]), state


async def test_a_year_in_one_step_fires_each_timer_once_and_in_order(
    client: AsyncClient, lives: dict[str, str]
) -> None:
    assert (await client.post("/dev/clock/advance", json={"days": 365})).status_code == 200
    await run_timers()
    for state, listing_id in lives.items():
        end, wanted = YEAR[state]
        found = [name for name in await told(listing_id) if is_timed(name)]
        assert (await status_of(listing_id), found) == (end, [name for name, _ in wanted if is_timed(name)]), state


@pytest.mark.parametrize("steps", [[365], [30, 335], [59.5, 1, 304.5], [1] * 62])
async def test_the_market_tells_the_same_however_the_time_passed(
    client: AsyncClient, world: World, steps: list[float]
) -> None:
    owner = await world.person()
    listing = await world.published(owner)
    for days in steps:
        await pass_days(days)
    owner = await world.sign_in(owner.id, owner.email)
    history = (await client.get(f"/api/v1/listings/{listing['id']}/history", headers=owner.headers)).json()
    assert (history["days_on_market"], history["cumulative_days_on_market"]) == (60, 60)
    [_, left] = [(change["what"], datetime.fromisoformat(change["at"])) for change in history["changes"]]
    assert left == ("expired", datetime.fromisoformat(listing["expires_at"]))


async def test_what_ran_out_late_is_archived_90_days_after_it_was_to(world: World) -> None:
    listing = await world.published(await world.person())
    await pass_days(149)
    assert (await status_of(listing["id"]), await told(listing["id"])) == ("expired", LIFE[:3])
    await pass_days(1)
    assert (await status_of(listing["id"]), await told(listing["id"])) == ("archived", LIFE)


async def test_an_expired_listing_is_gone_from_the_public_and_its_owner_may_renew_it(
    client: AsyncClient, world: World
) -> None:
    owner = await world.person()
    listing = await world.published(owner)
    await pass_days(60)
    assert (await client.get(f"/api/v1/listings/{listing['id']}")).status_code == 404
    assert (await client.get("/api/v1/listings")).json()["items"] == []
    owner = await world.sign_in(owner.id, owner.email)
    renewed = await world.act(owner, listing, "renew")
    assert (renewed["status"], (await client.get("/api/v1/listings")).json()["total"]["value"]) == ("published", 1)


async def test_each_renewal_has_warnings_of_its_own(world: World) -> None:
    owner = await world.person()
    listing = await world.published(owner)
    await pass_days(54)
    assert await told(listing["id"]) == LIFE[:1]
    for _ in range(2):  # what was left, 6 days, is added to the 60
        await world.act(await world.sign_in(owner.id, owner.email), listing, "renew")
        await pass_days(58.5)
        assert await told(listing["id"]) == []
        await pass_days(1.5)
        assert await told(listing["id"]) == LIFE[:1]
    await pass_days(6)
    assert await told(listing["id"]) == LIFE[:3]


async def test_warnings_make_no_new_version(client: AsyncClient, world: World) -> None:
    listing = await world.published(await world.person())
    read = await client.get(f"/api/v1/listings/{listing['id']}")
    await pass_days(59.5)
    again = await client.get(f"/api/v1/listings/{listing['id']}")
    assert await told(listing["id"]) == LIFE[:2]
    assert (again.headers["ETag"], again.json()) == (read.headers["ETag"], read.json())


async def test_a_pause_stops_the_clock_between_two_warnings(world: World) -> None:
    owner = await world.person()
    listing = await world.published(owner)
    await pass_days(55)
    await world.act(await world.sign_in(owner.id, owner.email), listing, "pause")
    await pass_days(200)
    assert await told(listing["id"]) == [LIFE[0], "listing.held"]
    resumed = await world.act(await world.sign_in(owner.id, owner.email), listing, "resume")
    left = datetime.fromisoformat(resumed["expires_at"]) - clock.now()
    assert round(left / DAY, 3) == 5
    await pass_days(3.9)
    assert (await told(listing["id"]))[3:] == []
    await pass_days(0.2)
    assert (await told(listing["id"]))[3:] == LIFE[1:2]
    await pass_days(1)
    assert (await told(listing["id"]))[3:] == LIFE[1:3]


async def test_what_was_reserved_when_its_time_ran_out_expires_when_it_is_released(world: World) -> None:
    owner = await world.person()
    listing = await world.published(owner)
    await world.act(owner, listing, "reserve")
    await pass_days(200)
    assert (await status_of(listing["id"]), await told(listing["id"])) == ("reserved", ["listing.reserved"])
    await world.act(await world.sign_in(owner.id, owner.email), listing, "release")
    await pass_days(0.01)
    assert (await told(listing["id"]))[2:] == LIFE[:3]
    await pass_days(89)
    assert await status_of(listing["id"]) == "expired"
    await pass_days(1.1)
    assert await status_of(listing["id"]) == "archived"


async def test_a_life_shorter_than_a_warning_goes_without_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config.settings().listings, "lifetime_days", 3)
    listing = await world.published(await world.person())
    await pass_days(1)
    assert await told(listing["id"]) == []
    await pass_days(99)
    assert await told(listing["id"]) == LIFE[1:]


async def test_what_is_relisted_in_time_is_a_draft_that_time_leaves_alone(
    manual_review: None, journey: Journey, world: World
) -> None:
    listing_id = await journey.start("rented")
    await pass_days(89)
    journey.owner = await world.sign_in(journey.owner.id, journey.owner.email)
    assert (await journey.take("relist", listing_id)).is_done
    await pass_days(300)
    assert await status_of(listing_id) == "draft"


async def test_D11_a_clock_that_is_turned_back_repeats_nothing(world: World) -> None:
    listing = await world.published(await world.person())
    for days in (54, 60, 151):
        await pass_days(days)
        clock.reset()
        await run_timers()
    assert (await status_of(listing["id"]), await told(listing["id"])) == ("archived", LIFE)
