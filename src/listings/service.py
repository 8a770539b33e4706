"""Use cases of writing listings; with `actions.py`, the only writer of their tables."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from src.core import clock
from src.core.conditional import Versions
from src.core.config import settings
from src.core.database import new_id
from src.core.errors import FieldError, Invalid
from src.core.events import Event, emit
from src.core.security import Actor
from src.core.text import FOLDING, Weight, name_key, search_vector
from src.geo import service as geo
from src.listings import kinds, life, market, pending
from src.listings.completeness import require_complete
from src.listings.errors import ListingNotFound, NotYourListing
from src.listings.events import ListingCreated, ListingDeleted, ListingEdited, ListingPriceChanged
from src.listings.kinds import Details, Kind
from src.listings.life import Action
from src.listings.models import Listing, ListingKind, ListingPrice, ListingStatus, Purpose
from src.listings.queries import is_visible_to
from src.listings.schemas import ListingFields
from src.users import service as users

# Two decimals are about a kilometre: the neighbourhood, not the door.
STAGED_DECIMALS = 2

Drafts = Sequence[tuple[ListingFields, Mapping[str, Any]]]
Built = list[tuple[Listing, Details]]

_OWN_FIELDS = set(ListingFields.model_fields)
_OPTIONAL = ("description", "price_amount", "country", "city", "subdivision", "latitude", "language", "features")


async def create(session: AsyncSession, owner_id: UUID, kind: Kind, drafts: Drafts) -> list[Listing]:
    """Save drafts, each given as its fields and those of its details.

    Raises:
        ExternalIdTaken: the owner has a listing with one of the external ids (from the database, on flush).
    """
    built = await build(session, owner_id, kind, drafts)
    await add(session, built)
    return [listing for listing, _ in built]


async def build(session: AsyncSession, owner_id: UUID, kind: Kind, drafts: Drafts) -> Built:
    """Make drafts, and leave it to `add` to save them."""
    now = clock.now()
    built: Built = []
    for fields, extra in drafts:
        listing = Listing(
            id=new_id(),
            kind=kind.name,
            owner_id=owner_id,
            status=ListingStatus.DRAFT,
            created_at=now,
            updated_at=now,
            moved_at=now,
            features=[],
            hold_reasons=[],
            version=1,
        )
        _assign(listing, kind, _columns(fields.model_dump(include=_OWN_FIELDS)))
        built.append((listing, kind.build(listing.id, extra)))
    await find_cities(session, [listing for listing, _ in built])
    for listing, details in built:
        derive(listing, kind, details)
    return built


async def add(session: AsyncSession, built: Built) -> None:
    """Save what `build` made.

    Raises:
        ExternalIdTaken: as `create` does.
    """
    listings = [listing for listing, _ in built]
    session.add_all(listings)
    await session.flush()
    session.add_all(details for _, details in built)
    session.add_all(_price_of(row, row.created_at) for row in listings if row.price_amount is not None)
    await session.flush()
    facts = [ListingCreated(listing_id=row.id, owner_id=row.owner_id, kind=row.kind) for row in listings]
    await emit(session, *facts)


def _columns(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A client's nested fields as columns."""
    columns = {name: value for name, value in fields.items() if name not in ("price", "location")}
    columns |= fields.get("location") or {}
    if "price" in fields:
        price = fields["price"] or {"amount": None, "currency": None}
        columns |= {"price_amount": price["amount"], "currency": price["currency"]}
    return columns


def _assign(listing: Listing, kind: Kind, columns: Mapping[str, Any]) -> set[str]:
    """Set columns; the names of those that really changed."""
    changed = {name for name, value in columns.items() if getattr(listing, name) != value}
    for name in changed:
        setattr(listing, name, columns[name])
    if changed & {"latitude", "longitude"}:
        decimals = STAGED_DECIMALS if kind.is_address_staged else None
        listing.public_latitude = _rounded(listing.latitude, decimals)
        listing.public_longitude = _rounded(listing.longitude, decimals)
    return changed


def _rounded(degrees: float | None, decimals: int | None) -> float | None:
    return degrees if degrees is None or decimals is None else round(degrees, decimals)


async def find_cities(session: AsyncSession, listings: Iterable[Listing]) -> None:
    """Link each listing to the city that its country and city name mean, in whatever language it was written."""
    places = {(row.country, row.city) for row in listings if row.country and row.city}
    cities = await geo.resolve(session, places)
    for row in listings:
        row.city_key = name_key(row.city) if row.city else None
        row.city_id = cities.get((row.country, row.city)) if row.country and row.city else None


def derive(listing: Listing, kind: Kind, details: Any) -> None:
    """What follows from the other columns: the search vector and the completeness."""
    listing.search = search_vector([*_search_text(listing), *kind.search_text(details)])
    listing.folding = FOLDING
    filled, possible = kind.completeness(details)
    filled += sum(bool(getattr(listing, name)) for name in _OPTIONAL)
    listing.completeness = round(100 * filled / (possible + len(_OPTIONAL)))


def _search_text(listing: Listing) -> list[tuple[Weight, str]]:
    places = (listing.city, listing.subdivision, listing.region, listing.woreda, listing.landmark)
    return [
        ("A", listing.title),
        ("B", " ".join(filter(None, places))),
        ("C", " ".join(listing.features)),
        ("D", listing.description or ""),
    ]


def _price_of(listing: Listing, since: datetime) -> ListingPrice:
    return ListingPrice(listing_id=listing.id, since=since, amount=listing.price_amount, currency=listing.currency)


async def get_owned(session: AsyncSession, listing_id: UUID, actor: Actor, only: ListingKind | None = None) -> Listing:
    """The caller's listing, locked until the transaction ends.

    Raises:
        ListingNotFound: there is none, or none that they may see.
        NotYourListing: it is somebody else's.
    """
    listing = await get_visible(session, listing_id, actor, only)
    if listing.owner_id != actor.id:
        raise NotYourListing
    return listing


async def get_visible(
    session: AsyncSession, listing_id: UUID, actor: Actor | None, only: ListingKind | None = None
) -> Listing:
    """A listing that the caller may see, locked until the transaction ends.

    Raises:
        ListingNotFound: there is none, or none that they may see.
    """
    found = select(Listing).where(Listing.id == listing_id, is_visible_to(actor))
    if only is not None:
        found = found.where(Listing.kind == only)
    listing = await session.scalar(
        found.with_for_update(of=Listing, key_share=True).execution_options(populate_existing=True)
    )
    if listing is None:
        raise ListingNotFound
    return listing


async def details_of(session: AsyncSession, listing: Listing) -> Any:
    """The listing's row in its kind's table."""
    return await session.get_one(kinds.get(listing.kind).table, listing.id)


async def details_by_id(session: AsyncSession, listings: Iterable[Listing]) -> dict[UUID, Details]:
    """The rows of several listings in their kinds' tables, a statement for each kind."""
    ids: dict[str, list[UUID]] = {}
    for listing in listings:
        ids.setdefault(listing.kind, []).append(listing.id)
    tables = [(kinds.get(name).table, some) for name, some in ids.items()]
    found = [await session.scalars(select(table).where(table.listing_id.in_(some))) for table, some in tables]
    return {row.listing_id: row for rows in found for row in rows}


async def edit(session: AsyncSession, listing: Listing, versions: Versions, changes: dict[str, Any]) -> None:
    """Change any part of a listing the caller owns and holds locked.

    What makes a live listing another thing waits for a moderator where listings are reviewed (`pending`); the rest
    goes live at once.

    Raises:
        PreconditionFailed: it changed since the caller read it.
        ListingWrongState: it is not in a state in which owners edit.
        ListingIncomplete: a published listing would lack something that publishing needs.
    """
    versions.check(listing.version)
    life.require(listing, Action.EDIT)
    kind, details = kinds.get(listing.kind), await details_of(session, listing)
    before = market.face_of(listing, details)
    given = changes.get(listing.kind) or {}
    risky = await _risky(session, listing, kind, given)
    changed = _assign(listing, kind, _columns({k: v for k, v in changes.items() if k != listing.kind}))
    changed |= {
        f"{kind.name}.{name}" for name in kind.apply(details, {k: v for k, v in given.items() if k not in risky})
    }
    _check_consistency(listing)
    if listing.status in life.REVIEWED:
        require_complete(listing, details)
        if await _postpone(session, listing, details, given, risky) and not changed:
            # Nobody but owner and moderators sees a difference, so the listing is not said to be updated.
            listing.version += 1
    if changed:
        await _go_live(session, listing, details, before, changed)


async def _risky(session: AsyncSession, listing: Listing, kind: Kind, given: Mapping[str, Any]) -> dict[str, Any]:
    """The given fields that wait for a moderator."""
    risky = {name: value for name, value in given.items() if name in kind.high_risk}
    if not risky or listing.status not in life.REVIEWED or await is_published_unseen(session, listing):
        return {}
    return risky


async def _postpone(
    session: AsyncSession, listing: Listing, details: Details, given: Mapping[str, Any], risky: Mapping[str, Any]
) -> bool:
    """Let the risky fields wait; whether what waits is another thing now."""
    kind = kinds.get(listing.kind)
    if risky:
        return await pending.submit(session, listing, kind, details, risky)
    if given.keys() & kind.high_risk:
        return await pending.supersede(session, listing, kind, details, given)
    return False


async def _go_live(
    session: AsyncSession, listing: Listing, details: Details, before: market.Face, changed: set[str]
) -> None:
    with session.no_autoflush:
        await find_cities(session, [listing])
    derive(listing, kinds.get(listing.kind), details)
    listing.is_edited_since_review = True
    await record_edit(session, listing, details, before, changed)


async def record_edit(
    session: AsyncSession, listing: Listing, details: Details, before: market.Face, changed: set[str]
) -> None:
    """Make a new version of a listing whose fields `changed` from what had the face `before`, and tell of it."""
    touch(listing)
    facts: list[Event] = [ListingEdited(listing_id=listing.id, fields=sorted(changed))]
    if (listing.price_amount, listing.currency) != before.price:
        facts.insert(0, _repriced(session, listing, *before.price))
    await session.flush()
    await emit(session, *facts)
    await market.follow_edit(session, listing, details, before, changed)


async def is_published_unseen(session: AsyncSession, listing: Listing) -> bool:
    """Whether no moderator looks at it first: nowhere, or not at this owner's."""
    return settings().listings.review == "auto" or (await users.get(session, listing.owner_id)).is_trusted


def touch(listing: Listing) -> None:
    """Every change makes a new version."""
    listing.version += 1
    listing.updated_at = clock.now()


def _check_consistency(listing: Listing) -> None:
    if listing.rent_period is not None and listing.purpose != Purpose.RENT:
        raise Invalid(errors=[FieldError("body", "/rent_period", "value_error", "rent_period goes with purpose rent")])


def _repriced(
    session: AsyncSession, listing: Listing, old_amount: int | None, old_currency: str | None
) -> ListingPriceChanged:
    now = clock.now()
    if listing.published_at is not None:
        listing.price_changed_at = now
    if listing.price_amount is not None:
        session.add(_price_of(listing, now))
    return ListingPriceChanged(
        listing_id=listing.id,
        old_amount=old_amount,
        old_currency=old_currency,
        new_amount=listing.price_amount,
        new_currency=listing.currency,
    )


async def delete(session: AsyncSession, listing: Listing, versions: Versions) -> None:
    """Delete a draft, or what a moderator sent back.

    Raises:
        PreconditionFailed: it changed since the caller read it.
        ListingWrongState: it is, or was, public; withdraw it.
    """
    versions.check(listing.version)
    life.require(listing, Action.DELETE)
    await session.delete(listing)
    await session.flush()
    await emit(session, ListingDeleted(listing_id=listing.id, owner_id=listing.owner_id))
