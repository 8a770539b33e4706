"""Puts public listings into the database at once, for tests of reading that need many."""

from datetime import timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

from sqlalchemy import insert, update

from src.core import clock, database
from src.listings import service
from src.listings.models import Listing, ListingStatus
from src.properties import service as properties
from src.properties.schemas import PropertyCreate
from src.users.models import User
from src.vehicles import service as vehicles
from src.vehicles.schemas import VehicleCreate


async def add_owner(name: str = "Hana Tesfaye") -> UUID:
    """Somebody who owns listings and never signs in."""
    now, user_id = clock.now(), database.new_id()
    user = {"full_name": name, "email": f"{user_id}@example.com", "email_key": f"{user_id}@example.com"}
    async with database.transaction() as session:
        await session.execute(insert(User).values(id=user_id, **user, created_at=now, updated_at=now))
    return user_id


async def publish(*drafts: dict[str, Any], owner: UUID | None = None) -> list[str]:
    """Save what clients would send, as published listings; their ids, the oldest first."""
    owner = owner or await add_owner()
    now, ids = clock.now(), []
    async with database.transaction() as session:
        for is_home, alike in groupby(drafts, lambda draft: "property" in draft):
            if is_home:
                homes = [properties.draft(PropertyCreate(**draft)) for draft in alike]
                made = await service.create(session, owner, properties.kind, homes)
            else:
                cars = [vehicles.draft(VehicleCreate(**draft)) for draft in alike]
                made = await service.create(session, owner, vehicles.kind, cars)
            ids += [listing.id for listing in made]
        public = {"status": ListingStatus.PUBLISHED, "published_at": now, "expires_at": now + timedelta(days=60)}
        await session.execute(update(Listing).where(Listing.id.in_(ids)).values(**public))
    return [str(listing_id) for listing_id in ids]
