"""What a notification of each kind says, read when it is told and again when it is sent; None: it is not true any more.

Events come late and mail waits for its provider: what they say is what is stored now, not what was then.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from src.auth.models import AuthSession
from src.core import clock
from src.core.config import settings
from src.core.events import EventRecord
from src.listings.life import Action
from src.listings.models import Listing, ListingDecision
from src.listings.models import ListingStatus as S
from src.users.models import User

LONGEST_DEVICE = 120
# Whoever warned may be ahead of whoever tells.
CLOCKS_DIFFER = timedelta(minutes=1)

Context = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Occasion:
    """Whom something happened to, by which event, and its ids and numbers."""

    user: User
    event_id: UUID
    data: dict[str, Any]


Content = Callable[[AsyncSession, Occasion], Awaitable[Context | None]]


async def name_alone(session: AsyncSession, occasion: Occasion) -> Context | None:  # noqa: ARG001
    """Nothing but what every mail says."""
    return {}


async def verification(session: AsyncSession, occasion: Occasion) -> Context | None:  # noqa: ARG001
    """An address that is verified need not be again."""
    return {} if occasion.user.email_verified_at is None else None


async def moment(session: AsyncSession, occasion: Occasion) -> Context | None:
    """When it happened."""
    return {"at": (await session.get_one(EventRecord, occasion.event_id)).occurred_at}


async def sign_in(session: AsyncSession, occasion: Occasion) -> Context | None:
    """When, from where and with what somebody signed in."""
    opened = await session.get(AuthSession, UUID(occasion.data["session_id"]))
    if opened is None:
        return None
    device = opened.user_agent and opened.user_agent[:LONGEST_DEVICE]
    return {"at": opened.created_at, "ip": opened.ip, "device": device}


async def approval(session: AsyncSession, occasion: Occasion) -> Context | None:
    """The listing is on the market, and until when."""
    listing = await _listing(session, occasion, S.PUBLISHED, S.RESERVED)
    return {**_reference(listing), "expires_at": listing.expires_at} if listing else None


async def request_for_changes(session: AsyncSession, occasion: Occasion) -> Context | None:
    """What the moderator wants changed."""
    listing = await _listing(session, occasion, S.CHANGES_REQUESTED)
    return await _with_reason(session, listing, Action.REQUEST_CHANGES) if listing else None


async def rejection(session: AsyncSession, occasion: Occasion) -> Context | None:
    """Why the moderator turned it down."""
    listing = await _listing(session, occasion, S.REJECTED)
    return await _with_reason(session, listing, Action.REJECT) if listing else None


async def warning(session: AsyncSession, occasion: Occasion) -> Context | None:
    """The listing will expire within so many days, unless it was renewed since."""
    listing = await _listing(session, occasion, S.PUBLISHED, S.ON_HOLD)
    if listing is None or listing.expires_at is None:
        return None
    days, now = occasion.data["days"], clock.now()
    is_near = now < listing.expires_at <= now + timedelta(days=days) + CLOCKS_DIFFER
    return {**_reference(listing), "days": days, "expires_at": listing.expires_at} if is_near else None


async def expiry(session: AsyncSession, occasion: Occasion) -> Context | None:
    """The listing has expired, and when."""
    listing = await _listing(session, occasion, S.EXPIRED)
    return {**_reference(listing), "expired_at": listing.expires_at} if listing else None


async def _listing(session: AsyncSession, occasion: Occasion, *statuses: S) -> Listing | None:
    listing = await session.get(Listing, UUID(occasion.data["listing_id"]))
    if listing is None or listing.owner_id != occasion.user.id or listing.status not in statuses:
        return None
    return listing


def _reference(listing: Listing) -> Context:
    return {"title": listing.title, "link": f"{settings().app_url}/listings/{listing.id}"}


async def _with_reason(session: AsyncSession, listing: Listing, action: Action) -> Context:
    reason = await session.scalar(
        select(ListingDecision.reason)
        .where(ListingDecision.listing_id == listing.id, ListingDecision.action == action)
        .order_by(ListingDecision.id.desc())
        .limit(1)
    )
    return {**_reference(listing), "reason": reason}
