"""HTTP answers made of the JSON that PostgreSQL made."""

from uuid import UUID

from fastapi import Response
from sqlalchemy.ext.asyncio import AsyncSession

from src.core.conditional import etag
from src.core.reads import Reader, SessionReader
from src.core.security import Actor
from src.listings import queries
from src.listings.errors import ListingNotFound
from src.listings.models import ListingKind


async def whole(
    reader: Reader, listing_id: UUID, viewer: Actor | None, *, only: ListingKind | None = None, status: int = 200
) -> Response:
    """A whole listing as the viewer may see it, with its ETag.

    Raises:
        ListingNotFound: there is none, or none that they may see.
    """
    row = await queries.find(reader, listing_id, viewer, only)
    if row is None:
        raise ListingNotFound
    body = queries.document(row)
    headers = {"ETag": etag(row["version"], body), "Vary": "Authorization"}
    if status == 201:
        headers["Location"] = f"/api/v1/listings/{listing_id}"
    return json_answer(body, status, headers)


async def written(session: AsyncSession, listing_id: UUID, viewer: Actor, *, status: int = 200) -> Response:
    """A whole listing as the request has just written it."""
    return await whole(SessionReader(session), listing_id, viewer, status=status)


def json_answer(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """JSON bytes as they are."""
    return Response(body, status, headers, "application/json")
