"""`/listings`: search over both kinds, the whole of one, favourites and one's own.

A function makes the router, because the answers are a union of the kinds' models: every kind has to be registered.
"""

from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Depends, Query, Response
from pydantic import Field

from src.core.conditional import cached
from src.core.dependencies import AccountSuspended, CurrentActor, ReaderDep, SessionDep, Viewer, permitted
from src.core.errors import Unauthorized, raises
from src.core.pagination import BadCursor, Page, PageQuery, SearchPage
from src.core.security import Actor, Permission
from src.core.strict import Router
from src.listings import action_routes, answers, change_routes, favourites, history, kinds, search, similar, suggestions
from src.listings.errors import ListingNotFound
from src.listings.filters import FACETS, ListingSearch
from src.listings.models import ListingKind, ListingStatus
from src.listings.schemas import (
    ListingHistory,
    SimilarListings,
    SimilarQuery,
    Suggestion,
    SuggestionList,
    SuggestionQuery,
)

FavouriteKeeper = Annotated[Actor, Depends(permitted(Permission.SAVE_FAVOURITES))]


class MixedSearch(ListingSearch):
    """Search over both kinds."""

    kind: tuple[ListingKind, ...] = Field((), max_length=2)
    sort: Literal["newest", "price_asc", "price_desc", "nearest", "relevance"] | None = None
    facets: tuple[Literal["kind", "purpose", "city", "price"], ...] = FACETS


class OwnListings(PageQuery):
    """Which of one's own listings to list."""

    kind: list[ListingKind] = Field([], max_length=2)
    status: list[ListingStatus] = Field([], max_length=20)


suggesting = Router()


@suggesting.get("/listings/suggest", summary="Complete a search that is being typed")
async def suggest_searches(session: SessionDep, query: Annotated[SuggestionQuery, Query()]) -> SuggestionList:
    """Makes, models, places, types and title words of public listings, in either script, one typo allowed for."""
    found = await suggestions.suggest(session, query.q, query.limit)
    return SuggestionList(items=[Suggestion(**suggestion) for suggestion in found])


def any_listing() -> Any:
    """The union of the kinds' whole listings, told apart by `kind`."""
    return Annotated[reduce(or_, (kind.read_model for kind in kinds.every())), Field(discriminator="kind")]


def make_router() -> Router:
    """All routes of this module."""
    router = Router(tags=["listings"])
    whole = any_listing()
    router.add_api_route(
        "/listings",
        search_listings,
        summary="Search vehicles and properties",
        response_model=SearchPage[whole],  # type: ignore[valid-type]
        responses=raises(BadCursor),
    )
    router.include_router(suggesting)
    router.add_api_route(
        "/listings/{listing_id}",
        read_listing,
        summary="Read a listing of either kind",
        response_model=whole,
        responses=raises(ListingNotFound),
    )
    router.add_api_route(
        "/listings/{listing_id}/similar",
        list_similar_listings,
        summary="List similar listings",
        response_model=SimilarListings[whole],  # type: ignore[valid-type]
        responses=raises(ListingNotFound),
    )
    router.add_api_route(
        "/users/me/listings",
        list_my_listings,
        summary="List my listings",
        response_model=Page[whole],  # type: ignore[valid-type]
        responses=raises(Unauthorized, BadCursor),
    )
    router.add_api_route(
        "/users/me/favourites",
        list_my_favourites,
        summary="List my favourites",
        response_model=Page[whole],  # type: ignore[valid-type]
        responses=raises(Unauthorized, BadCursor),
    )
    router.include_router(shared)
    router.include_router(action_routes.make_router(whole))
    router.include_router(change_routes.make_router(whole))
    return router


@cached("cache_seconds")
async def search_listings(reader: ReaderDep, query: Annotated[MixedSearch, Query()]) -> Response:
    """Public listings by words, filters, place and price; the same for everybody."""
    return answers.json_answer(await search.page(reader, query))


@cached("cache_seconds")
async def read_listing(reader: ReaderDep, viewer: Viewer, listing_id: UUID) -> Response:
    """The whole listing. Owner and moderators see more of it, and see it in every state."""
    return await answers.whole(reader, listing_id, viewer)


@cached("cache_seconds")
async def list_similar_listings(
    reader: ReaderDep, viewer: Viewer, listing_id: UUID, query: Annotated[SimilarQuery, Query()]
) -> Response:
    """Public listings of the same kind and purpose, by points out of ten; listings of any owner, but not itself.

    Vehicles: make 2, model 3, body 1, year up to 2. Properties: type, sub type and bedrooms 1 each, size up to 2, place
    up to 3. Price up to 2, in the same currency.
    """
    items = await similar.find(reader, listing_id, viewer, query.limit)
    return answers.json_answer(b'{"items":[%b]}' % b",".join(items))


async def list_my_listings(
    session: SessionDep, actor: CurrentActor, query: Annotated[OwnListings, Query()]
) -> Response:
    """The caller's own listings in any state, newest first."""
    return answers.json_answer(
        await favourites.own_page(
            session, actor, kinds=query.kind, statuses=query.status, limit=query.limit, cursor=query.cursor
        )
    )


async def list_my_favourites(
    session: SessionDep, actor: CurrentActor, query: Annotated[PageQuery, Query()]
) -> Response:
    """What the caller keeps an eye on and may still see, newest first."""
    return answers.json_answer(await favourites.favourites_page(session, actor, query.limit, query.cursor))


shared = Router()


@shared.get("/listings/{listing_id}/history", summary="Read a listing's history", responses=raises(ListingNotFound))
@cached("cache_seconds")
async def read_listing_history(session: SessionDep, viewer: Viewer, listing_id: UUID) -> ListingHistory:
    """Prices, changes and days on the market, also of earlier listings of the same vehicle or property."""
    return await history.of(session, listing_id, viewer)


@shared.put(
    "/listings/{listing_id}/favourite",
    status_code=204,
    summary="Keep a listing as a favourite",
    responses=raises(Unauthorized, AccountSuspended, ListingNotFound),
)
async def keep_favourite(session: SessionDep, actor: FavouriteKeeper, listing_id: UUID) -> None:
    """Doing it again changes nothing."""
    await favourites.keep(session, listing_id, actor)


@shared.delete(
    "/listings/{listing_id}/favourite",
    status_code=204,
    summary="Drop a favourite",
    responses=raises(Unauthorized, AccountSuspended),
)
async def drop_favourite(session: SessionDep, actor: FavouriteKeeper, listing_id: UUID) -> None:
    """Doing it again changes nothing."""
    await favourites.drop(session, listing_id, actor)
