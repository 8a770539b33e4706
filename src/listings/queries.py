"""Reads of listings. The representation is made by PostgreSQL as JSON, once, for every endpoint (ADR 0006)."""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Select,
    Text,
    Uuid,
    any_,
    bindparam,
    case,
    cast,
    false,
    func,
    literal_column,
    null,
    or_,
    select,
    true,
)

from src.core.reads import Reader, Row, Statement, compiled
from src.core.security import Actor
from src.listings import kinds
from src.listings.kinds import Kind, object_of
from src.listings.models import Listing, ListingDecision, ListingKind, PendingChange
from src.users.models import User


def is_private_to(viewer: Actor | None) -> ColumnElement[bool]:
    """Where the viewer may see what is not public: their own listings, or all of them as a moderator."""
    if viewer is None:
        return false()
    return true() if viewer.is_moderator else Listing.owner_id == viewer.id


def is_visible_to(viewer: Actor | None) -> ColumnElement[bool]:
    """Where the viewer may know that the listing exists."""
    return or_(Listing.is_public, is_private_to(viewer))


def _money(amount: Any, currency: Any) -> ColumnElement[Any]:
    return case((amount.is_not(None), object_of(amount=amount, currency=currency)), else_=null())


def only_if(condition: ColumnElement[bool], value: Any) -> ColumnElement[Any]:
    """The value where the viewer may see it, else null."""
    return case((condition, value), else_=null())


def _whole(wanted: list[Kind], is_private: ColumnElement[bool]) -> ColumnElement[Any]:
    return object_of(
        # Under the name of the kind.
        Listing.kind,
        _details(wanted, is_private),
        id=Listing.id,
        kind=Listing.kind,
        status=Listing.status,
        purpose=Listing.purpose,
        title=Listing.title,
        description=Listing.description,
        price=_money(Listing.price_amount, Listing.currency),
        negotiable=Listing.negotiable,
        rent_period=Listing.rent_period,
        location=_location(is_private),
        language=Listing.language,
        features=func.to_json(Listing.features),
        owner=object_of(id=User.id, full_name=User.full_name, role=User.role, member_since=User.created_at),
        photos=literal_column("'[]'::json"),
        completeness=Listing.completeness,
        created_at=Listing.created_at,
        updated_at=Listing.updated_at,
        published_at=Listing.published_at,
        expires_at=Listing.expires_at,
        price_changed_at=Listing.price_changed_at,
        closed_at=Listing.closed_at,
        external_id=only_if(is_private, Listing.external_id),
        hold_reasons=only_if(is_private, func.to_json(Listing.hold_reasons)),
        decision=only_if(is_private, _last_decision()),
        close_price=only_if(is_private, _money(Listing.close_price_amount, Listing.close_price_currency)),
        pending_change=only_if(is_private, _pending_change()),
    )


def _location(is_private: ColumnElement[bool]) -> ColumnElement[Any]:
    names = ("country", "region", "city", "subdivision", "woreda", "landmark", "postal_code")
    return object_of(
        **{name: getattr(Listing, name) for name in names},
        latitude=case((is_private, Listing.latitude), else_=Listing.public_latitude),
        longitude=case((is_private, Listing.longitude), else_=Listing.public_longitude),
    )


def _last_decision() -> ColumnElement[Any]:
    decision = object_of(
        action=ListingDecision.action, reason=ListingDecision.reason, decided_at=ListingDecision.decided_at
    )
    return (
        select(decision)
        .where(ListingDecision.listing_id == Listing.id)
        .order_by(ListingDecision.id.desc())
        .limit(1)
        .correlate(Listing)
        .scalar_subquery()
    )


def _pending_change() -> ColumnElement[Any]:
    change = object_of(
        fields=func.json_build_object(Listing.kind, PendingChange.shown), submitted_at=PendingChange.submitted_at
    )
    return select(change).where(PendingChange.listing_id == Listing.id).correlate(Listing).scalar_subquery()


def representations(is_private: ColumnElement[bool], only: ListingKind | None = None) -> Select[Any]:
    """Whole listings as JSON text, `document`, and their `version`; add conditions and order.

    `is_private` is where what is not public may be seen. With `only`, listings of that kind alone (its table is joined
    from the inside, so that its columns can filter).
    """
    wanted = [kind for kind in kinds.every() if only in (None, kind.name)]
    found: Any = select(
        Listing.version,
        cast(_whole(wanted, is_private), Text).label("document"),
    ).join(User, User.id == Listing.owner_id)
    return join_details(found, wanted, is_outer=only is None)


def join_details(found: Select[Any], wanted: Iterable[Kind], *, is_outer: bool) -> Select[Any]:
    """Join the kinds' tables; from the inside where there is but one."""
    for kind in wanted:
        found = found.join(kind.table, kind.table.listing_id == Listing.id, isouter=is_outer)
        if not is_outer:
            found = found.where(is_of(kind.name))
    return found


def is_of(kind: ListingKind) -> ColumnElement[bool]:
    """Where the listing is of this kind; a constant, for the planner to know."""
    return Listing.kind == literal_column(f"'{kind}'")


def _details(wanted: list[Kind], is_private: ColumnElement[bool]) -> ColumnElement[Any]:
    return case(*((is_of(kind.name), kind.representation(is_private)) for kind in wanted))


class Sight(StrEnum):
    """What somebody sees beyond what is public."""

    NOTHING = "nothing"
    THEIR_OWN = "their own"
    EVERYTHING = "everything"


def sight_of(viewer: Actor | None) -> Sight:
    """What this viewer sees."""
    if viewer is None:
        return Sight.NOTHING
    return Sight.EVERYTHING if viewer.is_moderator else Sight.THEIR_OWN


def is_private_in(sight: Sight) -> ColumnElement[bool]:
    """As `is_private_to`, for the viewer called `viewer_id`."""
    return {
        Sight.NOTHING: false(),
        Sight.THEIR_OWN: Listing.owner_id == bindparam("viewer_id", type_=Uuid),
        Sight.EVERYTHING: true(),
    }[sight]


@cache
def _one(only: ListingKind | None, sight: Sight) -> Statement:
    is_private = is_private_in(sight)
    found = representations(is_private, only)
    return compiled(found.where(Listing.id == bindparam("listing_id", type_=Uuid), or_(Listing.is_public, is_private)))


async def find(reader: Reader, listing_id: UUID, viewer: Actor | None, only: ListingKind | None = None) -> Row | None:
    """A listing as far as the viewer may see it."""
    named = {"listing_id": listing_id, "viewer_id": viewer.id if viewer else None}
    rows = await reader.fetch(_one(only, sight_of(viewer)), named)
    return rows[0] if rows else None


@cache
def _several(only: ListingKind | None) -> Statement:
    found = representations(false(), only).add_columns(Listing.id)
    return compiled(found.where(Listing.id == any_(bindparam("ids", type_=ARRAY(Uuid))), Listing.is_public))


async def documents(reader: Reader, ids: Sequence[UUID], only: ListingKind | None = None) -> list[bytes]:
    """These listings as everybody sees them, in this order; those that are public no more are left out."""
    if not ids:
        return []
    found = {row["id"]: row for row in await reader.fetch(_several(only), {"ids": ids})}
    return [document(found[listing_id]) for listing_id in ids if listing_id in found]


def document(row: Row) -> bytes:
    """The whole listing as JSON."""
    return str(row["document"]).encode()
