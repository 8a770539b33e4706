"""Changing a listing: parts, nulls, prices, and what a live listing does not lose."""

from datetime import datetime
from typing import Any

import pytest
from httpx import AsyncClient, Response
from sqlalchemy import select, update

from src.core import database
from src.core.events import EventRecord
from src.users.models import User
from tests.factories import Person, World, property_data, vehicle_data
from tests.listings import stored
from tests.listings.journeys import Journey

PLACE = {
    "country": "ET",
    "region": "Addis Ababa",
    "city": "Addis Ababa",
    "subdivision": "Bole",
    "woreda": "03",
    "landmark": "Edna Mall",
    "postal_code": "1000",
    "latitude": 8.991234,
    "longitude": 38.791234,
}


async def edit(client: AsyncClient, owner: Person, listing: dict[str, Any], **changes: Any) -> Response:
    path = "properties" if listing["kind"] == "property" else "vehicles"
    url = f"/api/v1/{path}/{listing['id']}"
    return await client.patch(url, json=changes, headers={**owner.headers, "If-Match": "*"})


async def edited(client: AsyncClient, owner: Person, listing: dict[str, Any], **changes: Any) -> dict[str, Any]:
    answer = await edit(client, owner, listing, **changes)
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    return result


async def refused(client: AsyncClient, owner: Person, listing: dict[str, Any], **changes: Any) -> dict[str, Any]:
    async with stored.nothing_changes():
        answer = await edit(client, owner, listing, **changes)
    assert answer.status_code >= 400, answer.text
    problem: dict[str, Any] = answer.json()
    return problem


async def test_a_part_of_the_place_leaves_the_rest(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    draft = await world.draft(owner, vehicle_data(location=PLACE))
    assert draft["location"] == PLACE
    moved = await edited(client, owner, draft, location={"subdivision": "Kirkos"})
    assert moved["location"] == PLACE | {"subdivision": "Kirkos"}
    cleared = await edited(client, owner, draft, location={"landmark": None, "latitude": None, "longitude": None})
    expected = PLACE | {"subdivision": "Kirkos", "landmark": None, "latitude": None, "longitude": None}
    assert cleared["location"] == expected


async def test_half_a_point_is_refused(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    draft = await world.draft(owner)
    for half in ({"latitude": 9.0}, {"longitude": 38.0}, {"latitude": 9.0, "longitude": None}):
        problem = await refused(client, owner, draft, location=half)
        assert (problem["status"], problem["errors"][0]["pointer"]) == (422, "/location")


async def test_a_part_of_the_details_leaves_the_rest(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    draft = await world.draft(owner)
    vehicle = (await edited(client, owner, draft, vehicle={"color": "white", "charge_ports": ["ccs2"]}))["vehicle"]
    assert vehicle == draft["vehicle"] | {"color": "white", "charge_ports": ["ccs2"]}
    vehicle = (await edited(client, owner, draft, vehicle={"trim": "RS"}))["vehicle"]
    assert (vehicle["color"], vehicle["charge_ports"], vehicle["trim"]) == ("white", ["ccs2"], "RS")


async def test_null_clears_what_may_be_empty(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    full = vehicle_data(description="One owner.", language="en", external_id="stock-9")
    draft = await world.draft(owner, full)
    names = ("description", "language", "external_id", "price")
    cleared = await edited(client, owner, draft, **dict.fromkeys(names), vehicle={"model_year": None})
    assert [cleared[name] for name in names] == [None] * 4
    assert cleared["vehicle"]["model_year"] is None
    assert cleared["title"] == draft["title"]


async def test_null_is_refused_where_there_must_be_something(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    draft = await world.draft(owner)
    for name in ("title", "purpose", "negotiable", "location", "features", "vehicle"):
        problem = await refused(client, owner, draft, **{name: None})
        assert (problem["status"], [field["pointer"] for field in problem["errors"]]) == (422, [f"/{name}"])


async def test_no_field_of_a_change_documents_a_default(client: AsyncClient) -> None:
    schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]
    for name in ("VehicleUpdate", "VehicleFields", "PropertyUpdate", "PropertyFields", "Location"):
        documented = schemas[name]["properties"]
        assert [field for field, schema in documented.items() if "default" in schema] == []
    title = schemas["VehicleUpdate"]["properties"]["title"]
    assert title["type"] == "string"


async def test_what_is_left_out_stays(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    full = property_data(features=["lift"], negotiable=True, description="Bright.", external_id="flat-1")
    draft = await world.draft(owner, full)
    renamed = await edited(client, owner, draft, title="Three bedrooms in Bole")
    for gone in (draft, renamed):
        del gone["updated_at"]
    assert renamed == draft | {"title": "Three bedrooms in Bole"}


async def test_an_edit_that_changes_nothing_is_no_new_version(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    listing = await world.published(owner)
    same: list[dict[str, Any]] = [{}, {"title": listing["title"]}, {"vehicle": {}}, {"location": {}}]
    for changes in (*same, {"price": listing["price"]}):
        async with stored.nothing_changes():
            assert (await edited(client, owner, listing, **changes))["updated_at"] == listing["updated_at"]


async def test_a_price_change_is_recorded(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    listing = await world.published(owner)
    assert listing["price_changed_at"] is None
    lower = {"amount": 180000000, "currency": "ETB"}
    changed = await edited(client, owner, listing, price=lower)
    assert changed["price"] == lower
    history = (await client.get(f"/api/v1/listings/{listing['id']}/history")).json()["items"]
    assert [item["price"] for item in history] == [listing["price"], lower]
    since = [datetime.fromisoformat(item["since"]) for item in history]
    assert since == [datetime.fromisoformat(changed[name]) for name in ("created_at", "price_changed_at")]
    async with database.transaction() as session:
        named = select(EventRecord.data).where(EventRecord.name == "listing.price_changed")
        [fact] = (await session.scalars(named)).all()
    assert (fact["old_amount"], fact["new_amount"], fact["new_currency"]) == (185000000, 180000000, "ETB")


async def test_other_edits_are_no_price_change(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    listing = await world.published(owner)
    changed = await edited(client, owner, listing, negotiable=True, features=["alarm"])
    assert changed["price_changed_at"] is None
    history = await client.get(f"/api/v1/listings/{listing['id']}/history")
    assert len(history.json()["items"]) == 1


async def test_an_edit_is_one_fact_that_names_what_changed(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    draft = await world.draft(owner, property_data())
    fee = {"amount": 50000, "currency": "ETB"}
    await edited(
        client, owner, draft, title="A new title", property={"title_number": "AA/77/12", "association_fee": fee}
    )
    assert await stored.events_of(draft["id"]) == ["listing.created", "listing.edited"]
    async with database.transaction() as session:
        data = await session.scalar(select(EventRecord.data).where(EventRecord.name == "listing.edited"))
    assert data is not None
    assert data["fields"] == ["property.association_fee", "property.title_number", "title"]


@pytest.mark.parametrize("held", [False, True])
async def test_a_live_listing_stays_complete(client: AsyncClient, world: World, held: bool) -> None:
    owner = await world.person()
    listing = await world.published(owner)
    if held:
        await world.act(owner, listing, "pause")
    clearings: list[tuple[dict[str, Any], str]] = [
        ({"price": None}, "/price"),
        ({"location": {"city": None}}, "/location/city"),
        ({"location": {"country": None}}, "/location/country"),
        ({"vehicle": {"make": None}}, "/vehicle/make"),
        ({"vehicle": {"mileage": None}}, "/vehicle/mileage"),
    ]
    for changes, pointer in clearings:
        problem = await refused(client, owner, listing, **changes)
        assert (problem["status"], problem["code"]) == (422, "listing_incomplete"), pointer
        assert [field["pointer"] for field in problem["errors"]] == [pointer]


async def test_a_rent_period_goes_with_rent(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    draft = await world.draft(owner, property_data())
    problem = await refused(client, owner, draft, purpose="sale")
    assert (problem["status"], problem["errors"][0]["pointer"]) == (422, "/rent_period")
    sale = await edited(client, owner, draft, purpose="sale", rent_period=None)
    assert (sale["purpose"], sale["rent_period"]) == ("sale", None)
    assert (await refused(client, owner, draft, rent_period="month"))["errors"][0]["pointer"] == "/rent_period"


async def test_an_external_id_is_the_owners_once(client: AsyncClient, world: World) -> None:
    owner, other = await world.person(), await world.person()
    await world.draft(owner, vehicle_data(external_id="stock-1"))
    second = await world.draft(owner)
    problem = await refused(client, owner, second, external_id="stock-1")
    assert (problem["status"], problem["code"]) == (409, "external_id_taken")
    assert problem["errors"][0]["pointer"] == "/external_id"
    assert (await world.draft(other, vehicle_data(external_id="stock-1")))["external_id"] == "stock-1"


async def test_an_edited_listing_is_found_by_what_it_says_now(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    listing = await world.published(owner)
    await edited(
        client, owner, listing, title="Silver Corolla", location={"city": "ሀዋሳ", "latitude": 7.06, "longitude": 38.48}
    )

    async def found(**query: str) -> list[str]:
        answer = await client.get("/api/v1/vehicles", params=query)
        return [item["id"] for item in answer.json()["items"]]

    assert await found(q="silver corolla") == [listing["id"]] == await found(city="Hawassa")
    assert await found(city="Addis Ababa") == [] == await found(near="8.99,38.79", radius_km="5")


async def test_where_listings_are_reviewed_low_risk_edits_go_live_at_once(
    manual_review: None, client: AsyncClient, journey: Journey
) -> None:
    listing = await journey.seen(await journey.start("published"))
    cheaper = {"amount": 170000000, "currency": "ETB"}
    changed = await edited(client, journey.owner, listing, price=cheaper, vehicle={"color": "white"})
    assert changed["status"] == "published"
    seen = (await client.get(f"/api/v1/listings/{listing['id']}")).json()
    assert (seen["price"], seen["vehicle"]["color"]) == (cheaper, "white")


async def test_where_review_is_automatic_everything_goes_live_at_once(client: AsyncClient, world: World) -> None:
    owner = await world.person()
    listing = await world.published(owner)
    changed = await edited(client, owner, listing, vehicle={"make": "Suzuki", "model_year": 2015})
    assert (changed["status"], changed["vehicle"]["make"]) == ("published", "Suzuki")


async def test_a_trusted_owners_high_risk_edit_goes_live_at_once(
    manual_review: None, client: AsyncClient, journey: Journey
) -> None:
    listing = await journey.seen(await journey.start("published"))
    async with database.transaction() as session:
        await session.execute(update(User).where(User.id == journey.owner.id).values(is_trusted=True))
    changed = await edited(client, journey.owner, listing, vehicle={"make": "Suzuki"})
    assert (changed["status"], changed["vehicle"]["make"]) == ("published", "Suzuki")


async def test_what_a_draft_was_priced_at_is_its_owners_affair(
    client: AsyncClient, world: World, committed: None
) -> None:
    owner = await world.person()
    draft = await world.draft(owner)
    asked = {"amount": 170000000, "currency": "ETB"}
    priced = await edited(client, owner, draft, price=asked)
    assert priced["price_changed_at"] is None
    await world.act(owner, draft, "submit")
    url = f"/api/v1/listings/{draft['id']}/history"
    public, own = await client.get(url), await client.get(url, headers=owner.headers)
    assert [item["price"] for item in public.json()["items"]] == [asked]
    assert [item["price"] for item in own.json()["items"]] == [draft["price"], asked]
