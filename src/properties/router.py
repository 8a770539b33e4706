"""`/properties`."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Response

from src.core.conditional import OptionalIfMatch, RequiredIfMatch, cached
from src.core.dependencies import AccountSuspended, Drafter, ReaderDep, SessionDep, Viewer
from src.core.errors import PreconditionFailed, PreconditionRequired, Unauthorized, raises
from src.core.idempotency import Idempotent
from src.core.pagination import BadCursor, SearchPage
from src.core.strict import Router
from src.listings import answers, search
from src.listings import service as listings
from src.listings.errors import (
    ExternalIdTaken,
    ListingIncomplete,
    ListingNotFound,
    ListingWrongState,
    NotYourListing,
)
from src.listings.models import ListingKind
from src.properties import service
from src.properties.schemas import PropertyCreate, PropertyListing, PropertySearch, PropertyUpdate

router = Router(prefix="/properties", tags=["properties"])

_WRITE = (Unauthorized, AccountSuspended)
_OWN = (*_WRITE, ListingNotFound, NotYourListing, ListingWrongState, PreconditionFailed)


@router.post(
    "",
    status_code=201,
    summary="Save a property listing as a draft",
    response_model=PropertyListing,
    responses=raises(*_WRITE, ExternalIdTaken),
)
async def create_property(session: SessionDep, actor: Drafter, data: PropertyCreate, _: Idempotent) -> Response:
    """A draft needs a title and a purpose; submitting it needs more (`POST /listings/{id}/submit`)."""
    [listing] = await listings.create(session, actor.id, service.kind, [service.draft(data)])
    return await answers.written(session, listing.id, actor, status=201)


@router.get("", summary="Search properties", response_model=SearchPage[PropertyListing], responses=raises(BadCursor))
@cached("cache_seconds")
async def search_properties(reader: ReaderDep, query: Annotated[PropertySearch, Query()]) -> Response:
    """Public properties by words, filters, place and price. A filter given twice means either."""
    return answers.json_answer(await search.page(reader, query, service.CATALOGUE))


@router.get(
    "/{listing_id}",
    summary="Read a property listing",
    response_model=PropertyListing,
    responses=raises(ListingNotFound),
)
@cached("cache_seconds")
async def read_property(reader: ReaderDep, viewer: Viewer, listing_id: UUID) -> Response:
    """The whole listing, as `GET /listings/{id}` gives it."""
    return await answers.whole(reader, listing_id, viewer, only=ListingKind.PROPERTY)


@router.patch(
    "/{listing_id}",
    summary="Change a property listing",
    response_model=PropertyListing,
    responses=raises(*_OWN, PreconditionRequired, ExternalIdTaken, ListingIncomplete),
)
async def edit_property(
    session: SessionDep, actor: Drafter, listing_id: UUID, versions: RequiredIfMatch, changes: PropertyUpdate
) -> Response:
    """Change any part of it; send the ETag you read as `If-Match`, so that nobody's change is lost.

    Where listings are reviewed, what makes a live listing another thing becomes its `pending_change`.
    """
    listing = await listings.get_owned(session, listing_id, actor, ListingKind.PROPERTY)
    await listings.edit(session, listing, versions, changes.changes())
    return await answers.written(session, listing_id, actor)


@router.delete(
    "/{listing_id}", status_code=204, summary="Delete a draft of a property listing", responses=raises(*_OWN)
)
async def delete_property(session: SessionDep, actor: Drafter, listing_id: UUID, versions: OptionalIfMatch) -> None:
    """Drafts, and what a moderator sent back, can be deleted; anything else is withdrawn."""
    listing = await listings.get_owned(session, listing_id, actor, ListingKind.PROPERTY)
    await listings.delete(session, listing, versions)
