"""The first run: accounts and listings, once, whatever happens in between."""

import csv
import stat
from collections import Counter
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import func, select

from src import demo
from src.core import config, database
from src.core.config import Settings
from src.imports.errors import ImportRefusedError
from src.imports.models import Outcome
from src.listings.models import Listing
from tests.exchange_rates.rates import add
from tests.imports.sheets import DEMO, car, home, land, outcomes, sheet
from tests.listings.stored import nothing_changes

ROLES = {"admin": "admin", "moderator": "moderator", "broker": "broker", "seller": "user", "buyer": "user"}


@pytest.fixture
def settings(storage: None, tmp_path: Path) -> Settings:
    """Those of a fresh data directory."""
    return config.settings().model_copy(update={"data_dir": tmp_path / "data"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small demo."""
    made = tmp_path / "demo"
    made.mkdir()
    fill(made, 2)
    return made


def fill(folder: Path, rows: int) -> None:
    for name, row in {
        "properties_ames.csv": home,
        "vehicles_gm_2005.csv": car,
        "properties_ethiopia.csv": home,
        "vehicles_ethiopia.csv": car,
    }.items():
        (folder / name).write_bytes(sheet(*(row(f"{name}-{number}") for number in range(rows))))
    (folder / "exchange_rates.json").write_bytes((DEMO / "exchange_rates.json").read_bytes())


async def count_listings() -> int:
    async with database.transaction() as session:
        return await session.scalar(select(func.count()).select_from(Listing)) or 0


async def signed_in(client: httpx.AsyncClient, name: str, password: str) -> httpx.Response:
    login = {"username": f"{name}@key2key.example", "password": password}
    return await client.post("/api/v1/auth/login", data=login)


async def test_the_first_run_publishes_every_row_and_landing_them_again_changes_nothing(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    await demo.prepare(settings)
    async with database.transaction() as session:
        rows = (
            await session.execute(select(Listing.kind, Listing.status, Listing.owner_id, Listing.external_id))
        ).all()
    assert Counter((kind, status) for kind, status, _, _ in rows) == {
        ("property", "published"): 2930 + 30,
        ("vehicle", "published"): 804 + 30,
    }
    assert len(rows) - 60 == 3734
    owners: dict[str, UUID] = {external_id: owner_id for _, _, owner_id, external_id in rows if external_id}
    async with nothing_changes():
        for path in sorted(DEMO.glob("*.csv")):
            with path.open(newline="") as file:
                ids = [row["external_id"] for row in csv.DictReader(file)]
            verdicts = await land(path.read_bytes(), owners[ids[0]])
            assert outcomes(verdicts) == {Outcome.UNCHANGED: len(ids)}
    found = (await client.get("/api/v1/listings", params={"q": "ቪትዝ", "country": "ET"})).json()
    assert found["total"]["value"] > 0
    cars = (await client.get("/api/v1/vehicles", params={"city": "Ames", "make": "Buick"})).json()
    assert cars["items"][0]["location"]["region"] == "Iowa"


async def test_everybody_has_an_account_to_sign_in_with(
    client: httpx.AsyncClient, settings: Settings, folder: Path
) -> None:
    accounts = await demo.prepare(settings, folder)
    assert accounts.emails == [f"{name}@key2key.example" for name in ROLES]
    for name, role in ROLES.items():
        tokens = (await signed_in(client, name, accounts.password)).json()
        me = (await client.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {tokens['access_token']}"})).json()
        assert (me["role"], me["email_verified"], me["status"]) == (role, True, "active")


async def test_a_password_that_was_made_up_is_kept_from_others(settings: Settings, folder: Path) -> None:
    accounts = await demo.prepare(settings, folder)
    kept = settings.data_dir / "demo-password"
    assert kept.read_text() == accounts.password
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert len(accounts.password) >= 12


async def test_there_are_exchange_rates_that_anybody_elses_replace(
    client: httpx.AsyncClient, settings: Settings, folder: Path
) -> None:
    await demo.prepare(settings, folder)
    assert (await client.get("/api/v1/exchange-rates")).json()["source"] == "Key2Key demo figures, not market rates"
    added = await add(source="A bank")
    await demo.prepare(settings, folder)
    assert (await client.get("/api/v1/exchange-rates")).json()["id"] == str(added.id)


async def test_a_second_start_changes_nothing(settings: Settings, folder: Path) -> None:
    first = await demo.prepare(settings, folder)
    async with nothing_changes():
        assert await demo.prepare(settings, folder) == first


async def test_a_new_seed_password_is_everybodys(client: httpx.AsyncClient, settings: Settings, folder: Path) -> None:
    old = (await demo.prepare(settings, folder)).password
    settings.seed = config.SeedSettings(password=SecretStr("brown-hyena-42-tej"))
    assert (await demo.prepare(settings, folder)).password == "brown-hyena-42-tej"
    for name in ROLES:
        assert (await signed_in(client, name, "brown-hyena-42-tej")).status_code == 200
        assert (await signed_in(client, name, old)).status_code == 401


async def test_a_start_that_was_cut_off_is_made_good_by_the_next(settings: Settings, folder: Path) -> None:
    (folder / "properties_ethiopia.csv").write_bytes(b"external_id\n")
    with pytest.raises(ImportRefusedError):
        await demo.prepare(settings, folder)
    assert await count_listings() == 4
    fill(folder, 2)
    await demo.prepare(settings, folder)
    assert await count_listings() == 8


async def test_new_rows_in_the_files_are_added(settings: Settings, folder: Path) -> None:
    await demo.prepare(settings, folder)
    fill(folder, 3)
    await demo.prepare(settings, folder)
    assert await count_listings() == 12


async def test_listings_that_were_taken_away_do_not_come_back(settings: Settings, folder: Path) -> None:
    await demo.prepare(settings, folder)
    async with database.transaction() as session:
        for listing in await session.scalars(select(Listing)):
            await session.delete(listing)
    await demo.prepare(settings, folder)
    assert await count_listings() == 0


async def test_without_the_files_there_are_accounts_alone(settings: Settings, tmp_path: Path) -> None:
    accounts = await demo.prepare(settings, tmp_path / "nowhere")
    assert len(accounts.emails) == 5
    assert await count_listings() == 0
