"""The doors to a listing."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends

from src.core.conditional import OptionalIfMatch, RequiredIfMatch
from src.core.dependencies import Moderator, Publisher, SessionDep
from src.listings import service
from src.listings.models import Listing


async def get_owned_listing(
    session: SessionDep, actor: Publisher, listing_id: UUID, versions: OptionalIfMatch
) -> Listing:
    """The caller's own listing, locked; at the version they read, if they say so."""
    listing = await service.get_owned(session, listing_id, actor)
    versions.check(listing.version)
    return listing


async def get_judged_listing(
    session: SessionDep, actor: Moderator, listing_id: UUID, versions: OptionalIfMatch
) -> Listing:
    """Any listing, locked, for a moderator to decide on."""
    listing = await service.get_visible(session, listing_id, actor)
    versions.check(listing.version)
    return listing


async def get_read_listing(
    session: SessionDep, actor: Moderator, listing_id: UUID, versions: RequiredIfMatch
) -> Listing:
    """Any listing, locked, for a moderator to decide on what its owner may have changed meanwhile."""
    return await get_judged_listing(session, actor, listing_id, versions)


OwnedListing = Annotated[Listing, Depends(get_owned_listing)]
JudgedListing = Annotated[Listing, Depends(get_judged_listing)]
ReadListing = Annotated[Listing, Depends(get_read_listing)]
