"""Listings like one: of its kind and for the same purpose, ranked by points.

A kind gives points for what it knows (`Kind.similarity`), and up to PRICE_POINTS are for the price. Looked at are
listings that the kind finds by its indexes (`Kind.look_alikes`), and those with the nearest prices, dearer and cheaper:
a few hundred, whatever there is.
"""

from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Uuid, and_, bindparam, or_, select, true, union, union_all
from sqlalchemy.orm import aliased
from sqlalchemy.types import Integer

from src.core.reads import Reader, Statement, compiled
from src.core.security import Actor
from src.listings import kinds, queries
from src.listings.errors import ListingNotFound
from src.listings.kinds import Kind, nearness
from src.listings.models import Listing
from src.listings.queries import Sight, sight_of

PRICE_POINTS = 2
# Of those with the nearest prices, either way.
_NEAREST = 50


async def find(reader: Reader, listing_id: UUID, viewer: Actor | None, limit: int) -> list[bytes]:
    """The JSON of public listings like this one, the most alike first.

    Raises:
        ListingNotFound: there is none, or none that they may see.
    """
    named = {"listing_id": listing_id, "viewer_id": viewer.id if viewer else None, "limit": limit}
    rows = await reader.fetch(_statement(sight_of(viewer)), named)
    if not rows:
        raise ListingNotFound
    return await queries.documents(reader, [row["id"] for row in rows if row["id"]])


@cache
def _statement(sight: Sight) -> Statement:
    """One row at least if the viewer may see the listing."""
    is_seen = or_(Listing.is_public, queries.is_private_in(sight))
    seen = select(Listing).where(Listing.id == bindparam("listing_id", type_=Uuid), is_seen).cte("seen")
    found = union_all(*(_alike(kind, aliased(Listing, seen)) for kind in kinds.every())).subquery("found")
    first = (found.c.points.desc(), found.c.published_at.desc(), found.c.id.desc())
    most = select(found).order_by(*first).limit(bindparam("limit", type_=Integer)).subquery("most")
    both = select(most.c.id).select_from(seen.outerjoin(most, true()))
    return compiled(both.order_by(most.c.points.desc(), most.c.published_at.desc(), most.c.id.desc()))


def _alike(kind: Kind, origin: Any) -> Select[Any]:
    """Those of the kind that `origin` is of, with their points; none if it is of another."""
    its = aliased(kind.table)
    looked_at = union(*kind.look_alikes(origin, its), *_of_like_price(kind, origin)).lateral("looked_at")
    points = kind.similarity(origin, its) + PRICE_POINTS * _price_nearness(origin)
    return (
        select(Listing.id, Listing.published_at, points.label("points"))
        .select_from(origin)
        .join(its, its.listing_id == origin.id)
        .join(looked_at, true())
        .join(Listing, Listing.id == looked_at.c.id)
        .join(kind.table, kind.table.listing_id == Listing.id)
        .where(origin.kind == kind.name, _is_eligible(kind, origin))
    )


def _is_eligible(kind: Kind, origin: Any) -> ColumnElement[bool]:
    is_other = Listing.id != origin.id
    return and_(Listing.is_public, queries.is_of(kind.name), Listing.purpose == origin.purpose, is_other)


def _of_like_price(kind: Kind, origin: Any) -> list[Select[Any]]:
    price = Listing.price_amount
    near = select(Listing.id).where(_is_eligible(kind, origin), Listing.currency == origin.currency)
    dearer = near.where(price >= origin.price_amount).order_by(price)
    cheaper = near.where(price < origin.price_amount).order_by(price.desc())
    return [select(part.limit(_NEAREST).correlate(origin).subquery()) for part in (dearer, cheaper)]


def _price_nearness(origin: Any) -> ColumnElement[float]:
    is_comparable = Listing.currency == origin.currency
    return queries.only_if(is_comparable, nearness(Listing.price_amount, origin.price_amount))
