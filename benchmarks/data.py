"""The data of the benchmarks: the demo's real listings, and as many variations of them as are asked for."""

import os
import subprocess
import sys
from pathlib import Path

import asyncpg
from sqlalchemy.engine import make_url

from src.core.database import Base
from src.listings.models import Listing
from src.properties.models import Property
from src.vehicles.models import Vehicle

KEY2KEY = Path(sys.executable).with_name("key2key")

# What differs between a listing and its variations: who is looked for by place, price and time finds some of them.
_VARIED = {
    "id": "fresh.id",
    "external_id": "NULL",
    "price_amount": "GREATEST(1, (listings.price_amount * (0.5 + random()))::bigint)",
    "public_latitude": "listings.public_latitude + (random() - 0.5) / 5",
    "public_longitude": "listings.public_longitude + (random() - 0.5) / 5",
    "published_at": "listings.published_at - random() * interval '50 days'",
}


def environment(url: str, **variables: str) -> dict[str, str]:
    """What a server process on this database is started with."""
    return {**os.environ, "DATABASE_URL": url, "ENVIRONMENT": "development", **variables}


async def make(admin_url: str, size: int) -> str:
    """The address of a database with about `size` public listings, made unless it is there."""
    name = f"k2k_bench_{size}"
    admin = await asyncpg.connect(admin_url)
    if await admin.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name) is None:
        unfinished = f"{name}_unfinished"
        await admin.execute(f'DROP DATABASE IF EXISTS "{unfinished}" WITH (FORCE)')
        await admin.execute(f'CREATE DATABASE "{unfinished}"')
        await _fill(_address(admin_url, unfinished), size)
        await admin.execute(f'ALTER DATABASE "{unfinished}" RENAME TO "{name}"')
    await admin.close()
    # One of an earlier day may lack what has come since.
    subprocess.run([KEY2KEY, "migrate"], env=environment(_address(admin_url, name)), check=True)
    return _address(admin_url, name)


def _address(url: str, database: str) -> str:
    return make_url(url).set(database=database).render_as_string(hide_password=False)


async def _fill(url: str, size: int) -> None:
    subprocess.run([KEY2KEY, "seed"], env=environment(url), check=True, stdout=subprocess.DEVNULL)
    connection = await asyncpg.connect(url)
    indexes = await _drop_indexes(connection)
    await connection.execute(_variations(), size)
    for statement in indexes:
        await connection.execute(statement)
    await connection.execute("VACUUM ANALYZE")
    await connection.close()


async def _drop_indexes(connection: asyncpg.Connection) -> list[str]:
    """Drop what no constraint needs, to be made again at once; what makes them."""
    found = await connection.fetch(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename IN ('listings', 'vehicles', 'properties')"
        " AND indexname NOT IN (SELECT conname FROM pg_constraint)"
    )
    for index in found:
        await connection.execute(f'DROP INDEX "{index["indexname"]}"')
    return [index["indexdef"] for index in found]


def _variations() -> str:
    """One statement for listings, vehicles and properties; `$1` is how many listings there should be in the end."""
    listings, vehicles, properties = map(_columns, (Listing, Vehicle, Property))
    varied = ", ".join(_VARIED.get(name, f"listings.{name}") for name in listings)
    return f"""
        WITH public AS MATERIALIZED (
            SELECT id, row_number() OVER (ORDER BY id) - 1 AS place FROM listings WHERE is_public
        ),
        fresh AS MATERIALIZED (
            SELECT public.id AS source, gen_random_uuid() AS id
            FROM generate_series(1, $1 - (SELECT count(*) FROM public)) AS series
            JOIN public ON public.place = series % (SELECT count(*) FROM public)
        ),
        made AS (
            INSERT INTO listings ({", ".join(listings)})
            SELECT {varied} FROM fresh JOIN listings ON listings.id = fresh.source
        ),
        driven AS (
            INSERT INTO vehicles (listing_id, {", ".join(vehicles[1:])})
            SELECT fresh.id, {", ".join(vehicles[1:])} FROM fresh JOIN vehicles ON listing_id = fresh.source
        )
        INSERT INTO properties (listing_id, {", ".join(properties[1:])})
        SELECT fresh.id, {", ".join(properties[1:])} FROM fresh JOIN properties ON listing_id = fresh.source
    """


def _columns(model: type[Base]) -> list[str]:
    return [column.name for column in model.__table__.columns if getattr(column, "computed", None) is None]
