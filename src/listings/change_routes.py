"""`/listings/{id}/pending-change`: what a moderator and the owner do about it."""

from typing import Any

from fastapi import Response

from src.core.dependencies import AccountSuspended, CurrentActor, EmailNotVerified, SessionDep
from src.core.errors import Forbidden, PreconditionFailed, PreconditionRequired, Unauthorized, raises
from src.core.strict import Router
from src.listings import answers, change_reviews
from src.listings.dependencies import JudgedListing, OwnedListing, ReadListing
from src.listings.errors import (
    ListingIncomplete,
    ListingNotFound,
    ListingWrongState,
    NoPendingChange,
    NotYourListing,
    OwnListing,
)
from src.listings.schemas import Decision

_ALWAYS = (Unauthorized, AccountSuspended, ListingNotFound, ListingWrongState, NoPendingChange, PreconditionFailed)
_MODERATOR = (*_ALWAYS, Forbidden, OwnListing)


def make_router(whole: Any) -> Router:
    """The routes; `whole` is the model of a whole listing."""
    router = Router(prefix="/listings/{listing_id}/pending-change")
    router.add_api_route(
        "/approve",
        approve_pending_change,
        methods=["POST"],
        summary="Approve a listing's pending change",
        response_model=whole,
        responses=raises(*_MODERATOR, PreconditionRequired, ListingIncomplete),
    )
    router.add_api_route(
        "/reject",
        reject_pending_change,
        methods=["POST"],
        summary="Reject a listing's pending change",
        response_model=whole,
        responses=raises(*_MODERATOR),
    )
    router.add_api_route(
        "",
        drop_pending_change,
        methods=["DELETE"],
        status_code=204,
        summary="Take a pending change back",
        responses=raises(*_ALWAYS, EmailNotVerified, NotYourListing),
    )
    return router


async def approve_pending_change(session: SessionDep, actor: CurrentActor, listing: ReadListing) -> Response:
    """Let it go live. `If-Match` is needed, so that nothing is approved that the moderator has not read."""
    await change_reviews.approve_change(session, listing, actor)
    return await answers.written(session, listing.id, actor)


async def reject_pending_change(
    session: SessionDep, actor: CurrentActor, listing: JudgedListing, decision: Decision
) -> Response:
    """Turn it down; the listing stays as it is, and the owner reads why."""
    await change_reviews.reject_change(session, listing, actor, decision.reason)
    return await answers.written(session, listing.id, actor)


async def drop_pending_change(session: SessionDep, listing: OwnedListing) -> None:
    """What was submitted is forgotten; the listing stays as it is."""
    await change_reviews.drop_change(session, listing)
