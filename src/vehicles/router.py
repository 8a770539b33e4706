"""`/vehicles`."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Request, Response
from pydantic import Field

from src.core import rate_limit
from src.core.conditional import OptionalIfMatch, RequiredIfMatch, cached
from src.core.config import settings
from src.core.dependencies import AccountSuspended, CurrentActor, Drafter, ReaderDep, SessionDep, Viewer
from src.core.errors import PreconditionFailed, PreconditionRequired, TooManyRequests, Unauthorized, raises
from src.core.idempotency import Idempotent
from src.core.pagination import BadCursor, SearchPage
from src.core.schemas import Line
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
from src.vehicles import service, vin
from src.vehicles.schemas import (
    NameCount,
    NameCounts,
    VehicleCreate,
    VehicleListing,
    VehicleSearch,
    VehicleUpdate,
    VinCheck,
)

router = Router(prefix="/vehicles", tags=["vehicles"])

_WRITE = (Unauthorized, AccountSuspended)
_OWN = (*_WRITE, ListingNotFound, NotYourListing, ListingWrongState, PreconditionFailed)


@router.post(
    "",
    status_code=201,
    summary="Save a vehicle listing as a draft",
    response_model=VehicleListing,
    responses=raises(*_WRITE, ExternalIdTaken),
)
async def create_vehicle(session: SessionDep, actor: Drafter, data: VehicleCreate, _: Idempotent) -> Response:
    """A draft needs a title and a purpose; submitting it needs more (`POST /listings/{id}/submit`)."""
    [listing] = await listings.create(session, actor.id, service.kind, [service.draft(data)])
    return await answers.written(session, listing.id, actor, status=201)


@router.get("", summary="Search vehicles", response_model=SearchPage[VehicleListing], responses=raises(BadCursor))
@cached("cache_seconds")
async def search_vehicles(reader: ReaderDep, query: Annotated[VehicleSearch, Query()]) -> Response:
    """Public vehicles by words, filters, place and price. A filter given twice means either."""
    return answers.json_answer(await search.page(reader, query, service.CATALOGUE))


@router.get("/makes", summary="List makes")
@cached("reference_cache_seconds")
async def list_makes(session: SessionDep) -> NameCounts:
    """Makes of public vehicles, the most listed first."""
    return NameCounts(items=[NameCount.model_validate(row) for row in await service.count_makes(session)])


@router.get("/makes/{make}/models", summary="List the models of a make")
@cached("reference_cache_seconds")
async def list_models(session: SessionDep, make: Annotated[Line, Field(min_length=1, max_length=60)]) -> NameCounts:
    """Models of a make among public vehicles, the most listed first; case does not matter."""
    return NameCounts(items=[NameCount.model_validate(row) for row in await service.count_models(session, make)])


async def limited_checks(request: Request, actor: CurrentActor) -> None:
    """Makers and countries by the thousand are to be had elsewhere."""
    await rate_limit.spend(request, settings().vehicles.vin_limit, "vin", str(actor.id))


@router.post(
    "/vin",
    summary="Judge a VIN",
    dependencies=[Depends(limited_checks)],
    responses=raises(Unauthorized, TooManyRequests),
)
async def check_vin(data: VinCheck) -> vin.VinVerdict:
    """What a VIN says of maker, country and year, whether its check digit holds, and where what is said differs.

    Nothing is stored. A doubt is a warning; refused is only what cannot be a VIN at all.
    """
    return vin.judge(data.vin, data.make, data.model_year)


@router.get(
    "/{listing_id}", summary="Read a vehicle listing", response_model=VehicleListing, responses=raises(ListingNotFound)
)
@cached("cache_seconds")
async def read_vehicle(reader: ReaderDep, viewer: Viewer, listing_id: UUID) -> Response:
    """The whole listing, as `GET /listings/{id}` gives it."""
    return await answers.whole(reader, listing_id, viewer, only=ListingKind.VEHICLE)


@router.patch(
    "/{listing_id}",
    summary="Change a vehicle listing",
    response_model=VehicleListing,
    responses=raises(*_OWN, PreconditionRequired, ExternalIdTaken, ListingIncomplete),
)
async def edit_vehicle(
    session: SessionDep, actor: Drafter, listing_id: UUID, versions: RequiredIfMatch, changes: VehicleUpdate
) -> Response:
    """Change any part of it; send the ETag you read as `If-Match`, so that nobody's change is lost.

    Where listings are reviewed, what makes a live listing another thing becomes its `pending_change`.
    """
    listing = await listings.get_owned(session, listing_id, actor, ListingKind.VEHICLE)
    await listings.edit(session, listing, versions, changes.changes())
    return await answers.written(session, listing_id, actor)


@router.delete("/{listing_id}", status_code=204, summary="Delete a draft of a vehicle listing", responses=raises(*_OWN))
async def delete_vehicle(session: SessionDep, actor: Drafter, listing_id: UUID, versions: OptionalIfMatch) -> None:
    """Drafts, and what a moderator sent back, can be deleted; anything else is withdrawn."""
    listing = await listings.get_owned(session, listing_id, actor, ListingKind.VEHICLE)
    await listings.delete(session, listing, versions)
