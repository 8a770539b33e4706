import asyncio
import csv
import io
from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import islice

import httpx
import pytest
from sqlalchemy import text, update

from src.core import config, database
from src.core.security import Role
from src.imports import landing
from src.imports.errors import ImportRefusedError
from src.imports.models import Outcome
from src.imports.sheet import REQUIRED, Sheet
from src.listings import service as listings
from src.users.models import User, UserStatus
from src.vehicles import service as vehicles
from src.vehicles.schemas import VehicleCreate
from tests.factories import World
from tests.imports.sheets import DEMO, Row, car, faults, home, land, outcomes, sheet, stored, written
from tests.listings.stored import events_of, nothing_changes
from tests.locks import until_somebody_waits


async def test_a_complete_row_is_published_as_if_its_owner_had_written_it(
    client: httpx.AsyncClient, world: World
) -> None:
    owner = await world.person()
    row = car(
        "van-7",
        description="One owner,\nfull history.",
        language="en",
        negotiable="TRUE",
        purpose="rent",
        rent_period="month",
        price="22661.05",
        region="Oromia",
        subdivision="Bole",
        woreda="03",
        landmark="ሰሚት",
        postal_code="1000",
        latitude="8.991234",
        longitude="38.791234",
        features="abs; alarm ;",
        vin="jtdkb20u093123456",
        model="Vitz",
        battery_kwh="40.5",
        charge_ports="type2;ccs2",
        plate_code="2",
    )
    [verdict] = await land(sheet(row), owner.id)
    assert (verdict.line, verdict.outcome, verdict.problems) == (2, Outcome.PUBLISHED, ())
    [listing] = (await stored(owner.id)).values()
    found = (await client.get(f"/api/v1/vehicles/{listing.id}", headers=owner.headers)).json()
    assert found["status"] == "published"
    assert found["external_id"] == "van-7"
    assert found["price"] == {"amount": 2266105, "currency": "ETB"}
    assert (found["negotiable"], found["purpose"], found["rent_period"]) == (True, "rent", "month")
    assert found["description"] == "One owner,\nfull history."
    assert found["features"] == ["abs", "alarm"]
    assert found["location"] == {
        "country": "ET",
        "region": "Oromia",
        "city": "Addis Ababa",
        "subdivision": "Bole",
        "woreda": "03",
        "landmark": "ሰሚት",
        "postal_code": "1000",
        "latitude": 8.991234,
        "longitude": 38.791234,
    }
    assert found["vehicle"]["vin"] == "JTDKB20U093123456"
    assert (found["vehicle"]["mileage"], found["vehicle"]["mileage_unit"]) == (98000, "km")
    assert (found["vehicle"]["battery_kwh"], found["vehicle"]["charge_ports"]) == (40.5, ["type2", "ccs2"])
    assert await events_of(str(listing.id)) == ["listing.created", "listing.published"]
    search = (await client.get("/api/v1/listings", params={"q": "vitz ሰሚት"})).json()
    assert [item["id"] for item in search["items"]] == [str(listing.id)]


async def test_one_file_holds_both_kinds(client: httpx.AsyncClient, world: World) -> None:
    owner = await world.person()
    rows = [home("h", association_fee="350.5", pets_allowed="false", availability_date="2026-12-01"), car("c")]
    assert outcomes(await land(sheet(*rows), owner.id)) == {Outcome.PUBLISHED: 2}
    [item] = (await client.get("/api/v1/properties")).json()["items"]
    assert item["property"]["association_fee"] == {"amount": 35050, "currency": "ETB"}
    assert item["property"]["pets_allowed"] is False
    assert item["property"]["availability_date"] == "2026-12-01"
    assert (await client.get("/api/v1/vehicles")).json()["total"]["value"] == 1


@pytest.mark.parametrize(
    ("cells", "at_fault"),
    [
        ({"price": ""}, "price"),
        ({"currency": ""}, "currency"),
        ({"title": ""}, "title"),
        ({"title": " \t "}, "title"),
        ({"purpose": ""}, "purpose"),
        ({"external_id": ""}, "external_id"),
        ({"kind": ""}, "kind"),
        ({"kind": "boat"}, "kind"),
        ({"price": "1,850,000"}, "price"),
        ({"price": "-5"}, "price"),
        ({"price": "0"}, "price"),
        ({"price": "1e6"}, "price"),
        ({"price": "NaN"}, "price"),
        ({"price": "1_000"}, "price"),
        ({"price": "١٢٣"}, "price"),
        ({"price": "10.005"}, "price"),
        ({"price": "1000.5", "currency": "JPY"}, "price"),
        ({"price": "99999999999999999999"}, "price"),
        ({"price": "9999999999999999"}, "price"),
        ({"currency": "birr"}, "currency"),
        ({"currency": "XXX"}, "currency"),
        ({"title": "ab"}, "title"),
        ({"title": "a" * 121}, "title"),
        ({"title": "two\nlines"}, "title"),
        ({"title": "nul\0byte"}, "title"),
        ({"external_id": "x" * 101}, "external_id"),
        ({"purpose": "lease"}, "purpose"),
        ({"rent_period": "month"}, "rent_period"),
        ({"latitude": "91", "longitude": "38"}, "latitude"),
        ({"latitude": "nan", "longitude": "38"}, "latitude"),
        ({"latitude": "9"}, "row"),
        ({"country": "Ethiopia"}, "country"),
        ({"features": "abs;Air Conditioning"}, "features"),
        ({"mileage": "98,000"}, "mileage"),
        ({"mileage": "-1"}, "mileage"),
        ({"mileage": "99999999999999999999"}, "mileage"),
        ({"fuel_type": "kerosene"}, "fuel_type"),
        ({"model_year": "twelve"}, "model_year"),
        ({"living_area_m2": "80"}, "living_area_m2"),
    ],
)
async def test_a_broken_cell_costs_its_row_and_is_named(world: World, cells: Row, at_fault: str) -> None:
    owner = await world.person()
    verdicts = await land(sheet(car("1"), car("2", **cells), car("3")), owner.id)
    assert [verdict.outcome for verdict in verdicts] == [Outcome.PUBLISHED, Outcome.FAILED, Outcome.PUBLISHED]
    assert faults(verdicts) == {3: [at_fault]}
    assert set(await stored(owner.id)) == {"1", "3"}


async def test_everything_that_is_wrong_with_a_row_is_named_at_once(world: World) -> None:
    owner = await world.person()
    verdicts = await land(
        sheet(home("1", title="", price="a lot", living_area_m2="-3", bedrooms_total="two")), owner.id
    )
    assert {name for names in faults(verdicts).values() for name in names} == {
        "title",
        "price",
        "living_area_m2",
        "bedrooms_total",
    }
    assert await stored(owner.id) == {}


async def test_amounts_have_the_decimals_of_their_currency(world: World) -> None:
    owner = await world.person()
    prices = {"ETB": "0.29", "JPY": "1000", "KWD": "1.005", "USD": "215000.00"}
    rows = [car(currency, currency=currency, price=price) for currency, price in prices.items()]
    assert outcomes(await land(sheet(*rows), owner.id)) == {Outcome.PUBLISHED: 4}
    amounts = {name: listing.price_amount for name, listing in (await stored(owner.id)).items()}
    assert amounts == {"ETB": 29, "JPY": 1000, "KWD": 1005, "USD": 21500000}


async def test_what_looks_like_a_formula_is_text(client: httpx.AsyncClient, world: World) -> None:
    owner = await world.person()
    title = '=HYPERLINK("http://evil.example","Click")'
    assert outcomes(await land(sheet(car("1", title=title, description="+cmd|' /C calc'!A0")), owner.id)) == {
        Outcome.PUBLISHED: 1
    }
    [item] = (await client.get("/api/v1/vehicles")).json()["items"]
    assert (item["title"], item["description"]) == (title, "+cmd|' /C calc'!A0")


async def test_a_row_that_publishing_needs_more_of_lands_as_a_draft_and_says_of_what(
    client: httpx.AsyncClient, world: World
) -> None:
    owner = await world.person()
    rows = [car("1", city="", mileage=""), car("2", mileage="", item_condition="new"), home("3", living_area_m2="")]
    verdicts = await land(sheet(*rows), owner.id)
    assert [verdict.outcome for verdict in verdicts] == [Outcome.DRAFT, Outcome.PUBLISHED, Outcome.DRAFT]
    assert faults(verdicts) == {2: ["city", "mileage"], 4: ["living_area_m2"]}
    assert (await client.get("/api/v1/listings")).json()["total"]["value"] == 1
    drafted = (await stored(owner.id))["1"]
    assert await events_of(str(drafted.id)) == ["listing.created"]


async def test_drafts_can_be_asked_for(client: httpx.AsyncClient, world: World) -> None:
    owner = await world.person()
    verdicts = await land(sheet(car("1"), home("2")), owner.id, is_draft=True)
    assert outcomes(verdicts) == {Outcome.DRAFT: 2}
    assert faults(verdicts) == {}
    assert (await client.get("/api/v1/listings")).json()["total"]["value"] == 0


async def test_where_listings_are_reviewed_they_wait_for_it_unless_the_owner_is_trusted(
    client: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config.settings().listings, "review", "manual")
    owner, trusted = await world.person(), await world.person(Role.BROKER)
    async with database.transaction() as session:
        await session.execute(update(User).where(User.id == trusted.id).values(is_trusted=True))
    content = sheet(car("1"), home("2"))
    assert outcomes(await land(content, owner.id)) == {Outcome.PENDING_REVIEW: 2}
    assert (await client.get("/api/v1/listings")).json()["total"]["value"] == 0
    assert outcomes(await land(content, trusted.id)) == {Outcome.PUBLISHED: 2}


async def test_an_owner_who_may_not_publish_yet_gets_drafts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config.settings().auth, "require_verified", True)
    owner = await world.person()
    verdicts = await land(sheet(car("1")), owner.id)
    assert (outcomes(verdicts), faults(verdicts)) == ({Outcome.DRAFT: 1}, {2: ["row"]})


@pytest.mark.parametrize("status", [UserStatus.SUSPENDED, UserStatus.DELETED])
async def test_nothing_lands_for_an_owner_who_may_not_list(world: World, status: UserStatus) -> None:
    owner = await world.person(status=UserStatus.ACTIVE)
    async with database.transaction() as session:
        await session.execute(update(User).where(User.id == owner.id).values(status=status))
    async with nothing_changes():
        with pytest.raises(ImportRefusedError):
            await land(sheet(car("1")), owner.id)


async def test_importing_again_changes_nothing_even_where_the_file_changed(world: World) -> None:
    owner = await world.person()
    await land(sheet(car("1"), home("2"), car("3", city="")), owner.id)
    async with nothing_changes():
        verdicts = await land(sheet(car("1", price="5"), home("2", title="Another title"), car("3")), owner.id)
    assert outcomes(verdicts) == {Outcome.UNCHANGED: 3}


async def test_of_two_rows_with_one_external_id_the_first_that_is_in_order_lands(world: World) -> None:
    owner = await world.person()
    rows = [car("1", price=""), car("1", price="2"), home("1", price="3")]
    verdicts = await land(sheet(*rows), owner.id)
    assert [verdict.outcome for verdict in verdicts] == [Outcome.FAILED, Outcome.PUBLISHED, Outcome.UNCHANGED]
    assert (await stored(owner.id))["1"].price_amount == 200


async def test_external_ids_are_each_owners_own(world: World) -> None:
    hana, abel = await world.person(), await world.person()
    content = sheet(car("1"), home("2"))
    assert outcomes(await land(content, hana.id)) == {Outcome.PUBLISHED: 2}
    assert outcomes(await land(content, abel.id)) == {Outcome.PUBLISHED: 2}
    assert {listing.id for listing in (await stored(hana.id)).values()}.isdisjoint(
        listing.id for listing in (await stored(abel.id)).values()
    )


async def test_a_default_fills_what_is_empty_in_the_rows_it_suits(world: World) -> None:
    owner = await world.person()
    rows = [car("1", city="", make=""), car("2", make="Lada"), home("3", city="")]
    verdicts = await land(sheet(*rows), owner.id, {"city": "Adama", "make": "Isuzu"})
    assert outcomes(verdicts) == {Outcome.PUBLISHED: 3}
    found = await stored(owner.id)
    assert [found[name].city for name in ("1", "2", "3")] == ["Adama", "Addis Ababa", "Adama"]
    assert found["1"].search != found["2"].search


async def test_columns_are_named_as_people_name_them_and_unknown_ones_are_passed_over(world: World) -> None:
    owner = await world.person()
    columns = [name.title() if name != "kind" else " KIND " for name in car("")]
    content = written([[*columns, "Colour", ""], [*car("1").values(), "red", ""]])
    assert outcomes(await land(content, owner.id)) == {Outcome.PUBLISHED: 1}


@pytest.mark.parametrize(
    ("content", "defaults", "said"),
    [
        (b"", {}, "empty"),
        (b"\xef\xbb\xbf\n\n", {}, "empty"),
        (b'"external_id,kind\n', {}, "line 1"),
        (b"title;price;currency\n", {}, ", ".join(REQUIRED)),
        (written([[name for name in car("1") if name != "price"]]), {}, "lacks price"),
        (written([[*car("1"), "Price"]]), {}, "price more than once"),
        (sheet(car("1")), {"colour": "red"}, "colour"),
    ],
)
async def test_a_file_that_cannot_be_one_of_listings_is_refused_whole(
    world: World, content: bytes, defaults: Row, said: str
) -> None:
    owner = await world.person()
    async with nothing_changes():
        with pytest.raises(ImportRefusedError, match=said):
            await land(content, owner.id, defaults)


async def test_a_header_alone_lands_nothing(world: World) -> None:
    owner = await world.person()
    assert await land(written([list(car(""))]), owner.id) == []


Break = Callable[[Row], bytes]


def with_cell(name: str, cell: str) -> Break:
    return lambda row: written([list((row | {name: cell}).values())])


def with_bytes(change: Callable[[bytes], bytes]) -> Break:
    return lambda row: change(written([list(row.values())]))


# How a row is broken, and the column that is named for it.
BREAKS: list[tuple[Break, str]] = [
    (with_cell("price", ""), "price"),
    (with_cell("title", "a\0b"), "title"),
    (with_bytes(lambda line: line.replace(b",sale,", b",%b," % (b"x" * 10_000_000))), "row"),
    (with_bytes(lambda line: b"one more," + line), "row"),
    (with_bytes(lambda line: line.partition(b",")[2]), "row"),
    (with_bytes(lambda line: line.replace(b",sale,", b",s\xe4le,")), "purpose"),
    (with_bytes(lambda line: b'"' + line), "row"),
]
BREAKS_OF = {
    "property": [*BREAKS, (with_cell("living_area_m2", "-80"), "living_area_m2")],
    "vehicle": [*BREAKS, (with_cell("fuel_type", "plutonium"), "fuel_type")],
}


def demo_rows(name: str, most: int) -> list[Row]:
    with (DEMO / name).open(newline="") as file:
        return list(islice(csv.DictReader(file), most))


async def test_fifty_broken_rows_are_named_and_the_rest_lands(world: World) -> None:
    owner = await world.person()
    rows = [*demo_rows("properties_ames.csv", 300), *demo_rows("vehicles_gm_2005.csv", 300)]
    columns = list(dict.fromkeys(name for row in rows for name in [*row, "fuel_type"]))
    lines, broken, kept = [written([columns])], {}, set()
    for line, row in enumerate(rows, start=2):
        whole = dict.fromkeys(columns, "") | row | {"city": "Ames"}
        if line % 12:
            kept.add(row["external_id"])
            lines.append(written([list(whole.values())]))
        else:
            ways = BREAKS_OF[row["kind"]]
            way, at_fault = ways[line // 12 % len(ways)]
            broken[line] = [at_fault]
            lines.append(way(whole))
    assert len(broken) == 50
    verdicts = await land(b"".join(lines), owner.id)
    assert faults(verdicts) == broken
    assert outcomes(verdicts) == {Outcome.PUBLISHED: 550, Outcome.FAILED: 50}
    assert set(await stored(owner.id)) == kept


async def test_two_imports_of_one_file_at_once_land_each_row_once(committed: None, world: World) -> None:
    owner = await world.person()
    content = sheet(*(car(str(number)) if number % 2 else home(str(number)) for number in range(1200)))
    one, two = await asyncio.gather(land(content, owner.id), land(content, owner.id))
    assert outcomes([*one, *two]) == {Outcome.PUBLISHED: 1200, Outcome.UNCHANGED: 1200}
    assert len(await stored(owner.id)) == 1200


async def test_an_owner_is_not_kept_waiting_by_a_batch(
    committed: None, client: httpx.AsyncClient, world: World
) -> None:
    owner = await world.person()
    async with database.transaction() as session:
        await landing.land_batch(session, list(Sheet(io.BytesIO(sheet(car("1"))), {})), owner.id, is_draft=False)
        name = {"full_name": "Another Name"}
        answer = await client.patch("/api/v1/users/me", json=name, headers=owner.headers)
    assert (answer.status_code, set(await stored(owner.id))) == (200, {"1"})


async def test_a_rival_for_one_row_of_a_batch_costs_only_that_row(committed: None, world: World) -> None:
    owner = await world.person()
    async with database.transaction() as session:
        rival = VehicleCreate(title="Written meanwhile", purpose="sale", external_id="2")
        await listings.create(session, owner.id, vehicles.kind, [vehicles.draft(rival)])
        importing = asyncio.create_task(land(sheet(car("1"), car("2"), car("3")), owner.id))
        await until_somebody_waits()
    verdicts = await importing
    assert [verdict.outcome for verdict in verdicts] == [Outcome.PUBLISHED, Outcome.UNCHANGED, Outcome.PUBLISHED]
    assert (await stored(owner.id))["2"].title == "Written meanwhile"


async def test_what_the_database_refuses_costs_only_its_row(committed: None, world: World) -> None:
    owner = await world.person()
    async with database.transaction() as session:
        await session.execute(text("ALTER TABLE vehicles ADD CONSTRAINT no_ladas CHECK (make <> 'Lada') NOT VALID"))
    try:
        verdicts = await land(sheet(car("1"), car("2", make="Lada"), car("3")), owner.id)
    finally:
        async with database.transaction() as session:
            await session.execute(text("ALTER TABLE vehicles DROP CONSTRAINT no_ladas"))
    assert [verdict.outcome for verdict in verdicts] == [Outcome.PUBLISHED, Outcome.FAILED, Outcome.PUBLISHED]
    assert faults(verdicts) == {3: ["row"]}
    assert set(await stored(owner.id)) == {"1", "3"}


async def test_one_row_that_the_database_refuses_does_not_send_the_others_one_by_one(
    committed: None, world: World, count_queries: Callable[[], AbstractContextManager[list[str]]]
) -> None:
    owner = await world.person()
    rows = [car(str(number), make="Lada" if number == 77 else "Toyota") for number in range(128)]
    async with database.transaction() as session:
        await session.execute(text("ALTER TABLE vehicles ADD CONSTRAINT no_ladas CHECK (make <> 'Lada') NOT VALID"))
    try:
        with count_queries() as statements:
            verdicts = await land(sheet(*rows), owner.id, is_draft=True)
    finally:
        async with database.transaction() as session:
            await session.execute(text("ALTER TABLE vehicles DROP CONSTRAINT no_ladas"))
    assert outcomes(verdicts) == {Outcome.DRAFT: 127, Outcome.FAILED: 1}
    # One by one it would be as many as there are rows, times eight.
    assert len(statements) < 128
