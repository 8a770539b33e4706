"""The migrations make what the models say, from nothing and back, and wait for no lock for long."""

import json
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from alembic.script import ScriptDirectory
from filelock import FileLock
from httpx import AsyncClient
from sqlalchemy import Connection, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from alembic import command
from src.core import audit, database, reads
from src.core.security import Role, keyed_hash
from tests.conftest import DATA_DIR, bind, template_name
from tests.factories import World, property_data, vehicle_data
from tests.templates import alembic_config, upgrade

pytestmark = pytest.mark.processes


@pytest.fixture
async def empty(server_url: str) -> AsyncIterator[AsyncEngine]:
    """A database with nothing in it."""
    base = make_url(server_url).set(drivername="postgresql+asyncpg")
    name = f"k2k_migrations_{os.getpid()}"
    admin = create_async_engine(base, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    async with admin.connect() as connection:
        await connection.execute(text(f'CREATE DATABASE "{name}" TEMPLATE template0'))
    engine = create_async_engine(base.set(database=name), poolclass=NullPool)
    yield engine
    async with admin.connect() as connection:
        await connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    await admin.dispose()


def tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names()) - {"alembic_version"}


async def test_O02_the_models_and_the_migrations_say_the_same(empty: AsyncEngine) -> None:
    await upgrade(empty)
    async with empty.connect() as connection:
        await connection.run_sync(lambda sync: command.check(alembic_config(sync)))
        assert await connection.run_sync(tables) == set(database.Base.metadata.tables)


async def test_O02_there_is_one_head(empty: AsyncEngine) -> None:
    async with empty.connect() as connection:
        heads = await connection.run_sync(lambda sync: ScriptDirectory.from_config(alembic_config(sync)).get_heads())
    assert len(heads) == 1


async def test_O02_every_constraint_is_named_by_the_convention(empty: AsyncEngine) -> None:
    await upgrade(empty)
    async with empty.connect() as connection:
        names = await connection.scalars(
            text("SELECT conname FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'")
        )
        assert [name for name in names if not name.startswith(("pk_", "fk_", "uq_", "ck_", "alembic_"))] == []


async def test_O02_migrating_goes_down_to_nothing_and_up_again(empty: AsyncEngine) -> None:
    await upgrade(empty)
    async with empty.begin() as connection:
        await connection.run_sync(lambda sync: command.downgrade(alembic_config(sync), "base"))
        assert await connection.run_sync(tables) == set()
        functions = "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        assert list(await connection.scalars(text(functions))) == []
    await upgrade(empty)
    async with empty.connect() as connection:
        assert await connection.run_sync(tables) == set(database.Base.metadata.tables)


BEFORE_SPELLS = """
    INSERT INTO users (id, full_name, email, email_key, language, role, status, is_trusted, created_at, updated_at)
    VALUES ('{owner}', 'Hana', 'a@b.c', 'a@b.c', 'en', 'user', 'active', false, '2026-01-01', '2026-01-01');
    INSERT INTO countries VALUES ('ET', 'Ethiopia', 'ETB', '+251');
    INSERT INTO listings (id, kind, status, owner_id, title, purpose, price_amount, currency, country, city,
        negotiable, features, search, completeness, version, hold_reasons, is_edited_since_review, created_at,
        updated_at, published_at, expires_at)
    SELECT id, 'vehicle', status, '{owner}', 'A car', 'sale', 300, 'ETB', 'ET', 'Adama', false, '{{}}', '', 0, 1,
        '{{}}', false, '2026-01-01', '2026-01-01', '2026-01-03', '2027-01-01'
    FROM (VALUES ('{public}'::uuid, 'published'), ('{hidden}', 'withdrawn')) made (id, status);
    INSERT INTO vehicles (listing_id, vin, charge_ports)
    VALUES ('{public}', 'JTDKB20U093123456', '{{}}'), ('{hidden}', 'JTDKB20U093123457', '{{}}');
    INSERT INTO listing_prices (id, listing_id, since, amount, currency)
    SELECT gen_random_uuid(), listing, since, amount, 'ETB'
    FROM (VALUES ('2026-01-01'::timestamptz, 100), ('2026-01-02', 200), ('2026-01-04', 300)) asked (since, amount),
        (VALUES ('{public}'::uuid), ('{hidden}')) listings (listing);
"""


async def test_O02_what_is_public_when_spells_arrive_has_been_on_the_market_since_it_was_published(
    empty: AsyncEngine,
) -> None:
    ids = {name: str(uuid4()) for name in ("owner", "public", "hidden")}
    async with empty.connect() as connection:
        script = await connection.run_sync(lambda sync: ScriptDirectory.from_config(alembic_config(sync)))
    before = script.get_revision("2026_11_21_listing_truth").down_revision
    await upgrade(empty, str(before))
    async with empty.begin() as connection:
        for statement in BEFORE_SPELLS.format(**ids).split(";\n"):
            if statement.strip():
                await connection.execute(text(statement))
    await upgrade(empty)
    async with empty.connect() as connection:
        found = (await connection.execute(text("SELECT * FROM market_spells ORDER BY started_at"))).all()
        told = await connection.execute(text("SELECT what, seen_at, listing_id FROM listing_changes"))
        rows = [(str(row.listing_id), row.price_amount, row.is_continued, row.started_at.day) for row in found]
        assert rows == [(ids["public"], 200, False, 3), (ids["public"], 300, True, 4)]
        assert [row.ended_at and row.ended_at.day for row in found] == [4, None]
        assert [row.asset_keys for row in found] == [[f"vin:{keyed_hash('asset-vin', 'JTDKB20U093123456')}"]] * 2
        assert [(row.what, row.seen_at.day, str(row.listing_id)) for row in told] == [("published", 3, ids["public"])]


BEFORE_TIMERS = """
    INSERT INTO users (id, full_name, email, email_key, language, role, status, is_trusted, created_at, updated_at)
    VALUES ('{owner}', 'Hana', 'a@b.c', 'a@b.c', 'en', 'user', 'active', false, '2020-01-01', '2020-01-01');
    INSERT INTO countries VALUES ('ET', 'Ethiopia', 'ETB', '+251');
    INSERT INTO listings (id, kind, status, owner_id, title, purpose, price_amount, currency, country, city,
        negotiable, features, search, completeness, version, hold_reasons, is_edited_since_review, created_at,
        updated_at, published_at, expires_at, held_at, closed_at)
    SELECT gen_random_uuid(), 'vehicle', status, '{owner}', title, 'sale', 300, 'ETB', 'ET', 'Adama', false, '{{}}', '',
        0, 1, '{{}}', false, '2020-01-01', '2020-01-05', '2020-01-02', now() + left_days * interval '1 day', held_at,
        closed_at
    FROM (VALUES
        ('fresh', 'published', 30, NULL::timestamptz, NULL::timestamptz), ('warned', 'published', 3, NULL, NULL),
        ('late', 'published', -3, NULL, NULL), ('paused', 'on_hold', 30, now(), NULL),
        ('held', 'on_hold', 30, NULL, NULL), ('sold', 'sold', 30, NULL, '2020-01-03'),
        ('rejected', 'rejected', NULL, NULL, NULL), ('draft', 'draft', NULL, NULL, NULL)
    ) made (title, status, left_days, held_at, closed_at);
"""


async def test_O02_listings_that_there_are_get_the_timers_that_are_still_ahead(empty: AsyncEngine) -> None:
    async with empty.connect() as connection:
        script = await connection.run_sync(lambda sync: ScriptDirectory.from_config(alembic_config(sync)))
    await upgrade(empty, str(script.get_revision("2026_11_21_timers").down_revision))
    async with empty.begin() as connection:
        for statement in BEFORE_TIMERS.format(owner=uuid4()).split(";\n"):
            if statement.strip():
                await connection.execute(text(statement))
    await upgrade(empty)
    async with empty.connect() as connection:
        rows = {row.title: row for row in await connection.execute(text("SELECT * FROM listings"))}
    days = {title: rows[title].warning_days for title in ("fresh", "warned", "late", "held")}
    assert days == {"fresh": 7, "warned": 1, "late": 0, "held": 7}
    assert all(rows[title].expires_at - rows[title].timer_at == timedelta(days=days[title]) for title in days)
    assert [(rows[title].timer_at - rows[title].moved_at).days for title in ("sold", "rejected")] == [90, 90]
    assert [rows[title].moved_at.day for title in ("fresh", "sold", "rejected")] == [2, 3, 5]
    assert [rows[title].timer_at for title in ("paused", "draft")] == [None, None]


async def test_O02_a_migration_gives_up_on_a_lock_rather_than_queue_everybody_behind_it(empty: AsyncEngine) -> None:
    await upgrade(empty)
    async with empty.begin() as holder:
        await holder.execute(text("LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(DBAPIError, match="lock timeout"):
            await upgrade(empty)


# Values that a way down and up again does change, and why; what a way down drops is not there to compare.
CHANGED: dict[str, str] = {}
REFERENCE = {"cities", "city_names", "alembic_version"}
# Each of these has rows when the walk begins.
SEEDED = {
    "audit_log", "countries", "credentials", "events", "favourites", "listing_decisions",
    "listing_prices", "listings", "outbox", "properties", "revocations", "sessions", "users", "vehicles",
}  # fmt: skip

Rows = dict[str, list[dict[str, Any]]]


@pytest.fixture
async def seeded(server_url: str, database_url: str, client: AsyncClient, world: World) -> AsyncIterator[AsyncEngine]:
    """A migrated database in which people have done things."""
    base = make_url(server_url).set(drivername="postgresql+asyncpg")
    name = f"k2k_seeded_{os.getpid()}"
    admin = create_async_engine(base, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with FileLock(DATA_DIR / "template.lock"):
        async with admin.connect() as connection:
            await connection.execute(text(f'CREATE DATABASE "{name}" TEMPLATE "{template_name()}"'))
    engine = create_async_engine(base.set(database=name), poolclass=NullPool)
    bind(engine, reads.EngineReader(engine))
    await seed(client, world)
    yield engine
    async with admin.connect() as connection:
        await connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    await admin.dispose()


async def seed(client: AsyncClient, world: World) -> None:
    owner, buyer, moderator = await world.person(), await world.person(), await world.person(Role.MODERATOR)
    car = vehicle_data()["vehicle"] | {"vin": "1M8GDM9AXKP042788"}
    for data in (vehicle_data(vehicle=car), property_data(external_id="flat-1"), vehicle_data(title="ነጭ ቪትዝ")):
        listing = await world.published(owner, data)
        await client.put(f"/api/v1/listings/{listing['id']}/favourite", headers=buyer.headers)
    await world.act(moderator, listing, "suspend", reason="The photos show another car.")
    await world.draft(owner)
    await client.delete("/api/v1/auth/sessions", headers=buyer.headers)
    async with database.transaction() as session:
        audit.record(session, "test.denied", actor_id=owner.id, subject_id=None, why="because")


async def contents(engine: AsyncEngine) -> Rows:
    """Every row of every table but those of reference data, as the database writes it."""
    async with engine.connect() as connection:
        names = await connection.run_sync(tables) - REFERENCE
        return {
            name: list(await connection.scalars(text(f"SELECT to_jsonb({name}) FROM {name}")))  # noqa: S608
            for name in sorted(names)
        }


def common(one: Rows, other: Rows) -> Rows:
    """Of one, the tables and columns that the other has as well."""
    columns = {name: set().union(*rows) for name, rows in other.items()}
    return {
        name: sorted(
            ({key: row[key] for key in row.keys() & columns[name] if f"{name}.{key}" not in CHANGED} for row in rows),
            key=lambda row: json.dumps(row, sort_keys=True),
        )
        for name, rows in one.items()
        if name in other
    }


async def migrate(engine: AsyncEngine, revision: str, *, down: bool = False) -> None:
    go = command.downgrade if down else command.upgrade
    async with engine.begin() as connection:
        await connection.run_sync(lambda sync: go(alembic_config(sync), revision))


async def test_O01_each_revision_goes_down_and_up_again_over_data_and_keeps_it(seeded: AsyncEngine) -> None:
    async with seeded.connect() as connection:
        scripts = await connection.run_sync(lambda sync: ScriptDirectory.from_config(alembic_config(sync)))
    above, newest_first = await contents(seeded), list(scripts.walk_revisions())
    assert {name for name, rows in above.items() if rows} >= SEEDED
    whole = above
    for revision in newest_first[:-1]:
        lower = str(revision.down_revision)
        await migrate(seeded, lower, down=True)
        below = await contents(seeded)
        assert common(below, above) == common(above, below), f"going down from {revision.revision}"
        await migrate(seeded, revision.revision)
        again = await contents(seeded)
        assert common(again, below) == common(below, again), f"going up to {revision.revision} again"
        assert {name: len(rows) for name, rows in again.items() if name in below} == {
            name: len(rows) for name, rows in below.items()
        }
        await migrate(seeded, lower, down=True)
        above = below
    await migrate(seeded, "head")
    last = await contents(seeded)
    assert last.keys() == whole.keys()
    assert common(last, above) == common(whole, above)


async def test_O01_each_revision_is_reversible_without_data_too(empty: AsyncEngine) -> None:
    async with empty.connect() as connection:
        scripts = await connection.run_sync(lambda sync: ScriptDirectory.from_config(alembic_config(sync)))
    for revision in reversed(list(scripts.walk_revisions())):
        await migrate(empty, revision.revision)
        async with empty.connect() as connection:
            above = await connection.run_sync(tables)
        await migrate(empty, "-1", down=True)
        await migrate(empty, revision.revision)
        async with empty.connect() as connection:
            assert await connection.run_sync(tables) == above
