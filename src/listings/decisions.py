"""What moderators decide, kept for the owner to read and for the audit log."""

from sqlalchemy.ext.asyncio import AsyncSession

from src.core import audit, clock
from src.core.security import Actor
from src.listings.errors import OwnListing
from src.listings.life import Action
from src.listings.models import Listing, ListingDecision


def decide(session: AsyncSession, listing: Listing, moderator: Actor, action: Action, reason: str | None) -> None:
    """Keep that the moderator takes the action, and why.

    Raises:
        OwnListing: it is the moderator's own.
    """
    if listing.owner_id == moderator.id:
        raise OwnListing
    session.add(
        ListingDecision(
            listing_id=listing.id, moderator_id=moderator.id, action=action, reason=reason, decided_at=clock.now()
        )
    )
    audit.record(session, f"listing.{action}", actor_id=moderator.id, subject_id=listing.id)
