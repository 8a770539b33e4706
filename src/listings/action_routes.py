"""`POST /listings/{id}/…`: one route for each action that owners and moderators take."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Response
from sqlalchemy.ext.asyncio import AsyncSession

from src.core.dependencies import AccountSuspended, CurrentActor, EmailNotVerified, SessionDep
from src.core.errors import Forbidden, PreconditionFailed, ProblemError, Unauthorized, raises
from src.core.security import Actor
from src.core.strict import Router
from src.listings import actions, answers
from src.listings.dependencies import JudgedListing, OwnedListing
from src.listings.errors import (
    ListingIncomplete,
    ListingNotEdited,
    ListingNotFound,
    ListingWrongState,
    NotYourListing,
    OwnListing,
    SameModerator,
)
from src.listings.life import Action
from src.listings.models import Listing
from src.listings.schemas import CloseRequest, Decision

_ALWAYS = (Unauthorized, AccountSuspended, ListingNotFound, ListingWrongState, PreconditionFailed)
_OWNER = (*_ALWAYS, EmailNotVerified, NotYourListing)
_MODERATOR = (*_ALWAYS, Forbidden, OwnListing)

OwnerUseCase = Callable[[AsyncSession, Listing], Awaitable[None]]
Judgement = Callable[[AsyncSession, Listing, Actor, str], Awaitable[None]]

# Action, use case, summary, what else it may raise.
OWNER_ACTIONS: tuple[tuple[Action, OwnerUseCase, str, tuple[type[ProblemError], ...]], ...] = (
    (Action.SUBMIT, actions.submit, "Submit a listing for publication", (ListingIncomplete, ListingNotEdited)),
    (Action.PAUSE, actions.pause, "Pause a listing", ()),
    (Action.RESUME, actions.resume, "Resume a paused listing", ()),
    (Action.RESERVE, actions.reserve, "Reserve a listing for somebody", ()),
    (Action.RELEASE, actions.release, "Release a reserved listing", ()),
    (Action.WITHDRAW, actions.withdraw, "Withdraw a listing", ()),
    (Action.RENEW, actions.renew, "Renew a listing's time", (ListingIncomplete,)),
    (Action.RELIST, actions.relist, "Make a rented listing a draft again", ()),
)
JUDGEMENTS: tuple[tuple[Action, Judgement, str, tuple[type[ProblemError], ...]], ...] = (
    (Action.REQUEST_CHANGES, actions.request_changes, "Ask the owner for changes", ()),
    (Action.REJECT, actions.reject, "Reject a listing", ()),
    (Action.SUSPEND, actions.suspend, "Suspend a live listing", ()),
    (Action.RESTORE, actions.restore, "Uphold an appeal", (SameModerator,)),
)


def make_router(whole: Any) -> Router:
    """The routes; each answers the whole listing as it is afterwards, whose model is `whole`."""
    router = Router(prefix="/listings/{listing_id}")

    def add(action: Action, endpoint: Callable[..., Any], summary: str, errors: tuple[type[ProblemError], ...]) -> None:
        name = f"{action.replace('-', '_')}_listing"
        endpoint.__name__ = name
        router.add_api_route(
            f"/{action}",
            endpoint,
            methods=["POST"],
            name=name,
            summary=summary,
            response_model=whole,
            responses=raises(*errors),
        )

    for action, use_case, summary, more in OWNER_ACTIONS:
        add(action, _owner_endpoint(use_case), summary, (*_OWNER, *more))
    for action, judgement, summary, more in JUDGEMENTS:
        add(action, _judgement_endpoint(judgement), summary, (*_MODERATOR, *more))
    add(Action.APPROVE, approve, "Approve a listing", (*_MODERATOR, ListingIncomplete))
    add(Action.CLOSE, close, "Close a listing as sold or rented", _OWNER)
    return router


def _owner_endpoint(use_case: OwnerUseCase) -> Callable[..., Any]:
    async def endpoint(session: SessionDep, actor: CurrentActor, listing: OwnedListing) -> Response:
        await use_case(session, listing)
        return await answers.written(session, listing.id, actor)

    endpoint.__doc__ = _first_line(use_case)
    return endpoint


def _judgement_endpoint(judgement: Judgement) -> Callable[..., Any]:
    async def endpoint(
        session: SessionDep, actor: CurrentActor, listing: JudgedListing, decision: Decision
    ) -> Response:
        await judgement(session, listing, actor, decision.reason)
        return await answers.written(session, listing.id, actor)

    endpoint.__doc__ = _first_line(judgement)
    return endpoint


def _first_line(use_case: Callable[..., Any]) -> str:
    return (use_case.__doc__ or "").splitlines()[0]


async def approve(session: SessionDep, actor: CurrentActor, listing: JudgedListing) -> Response:
    """Publish what waited for review."""
    await actions.approve(session, listing, actor)
    return await answers.written(session, listing.id, actor)


async def close(
    session: SessionDep, actor: CurrentActor, listing: OwnedListing, request: CloseRequest | None = None
) -> Response:
    """Sold or rented, by purpose; for what, if the owner says."""
    await actions.close(session, listing, request.price if request else None)
    return await answers.written(session, listing.id, actor)
