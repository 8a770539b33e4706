"""What happens to listings."""

from uuid import UUID

from src.core.events import Event


class ListingCreated(Event, name="listing.created"):
    """A draft was saved."""

    listing_id: UUID
    owner_id: UUID
    kind: str


class ListingEdited(Event, name="listing.edited"):
    """The owner changed `fields` (names, details prefixed by their kind)."""

    listing_id: UUID
    fields: list[str]


class ListingPriceChanged(Event, name="listing.price_changed"):
    """The asking price changed; amounts in minor units."""

    listing_id: UUID
    old_amount: int | None
    old_currency: str | None
    new_amount: int | None
    new_currency: str | None


class ListingDeleted(Event, name="listing.deleted"):
    """A draft, or what a moderator sent back, is gone."""

    listing_id: UUID
    owner_id: UUID


class ListingChangeSubmitted(Event, name="listing.change_submitted"):
    """What a live listing offers is to change; all `fields` that wait for a moderator now."""

    listing_id: UUID
    owner_id: UUID
    fields: list[str]


class ListingChangeApproved(Event, name="listing.change_approved"):
    """A moderator let the pending change of `fields` go live."""

    listing_id: UUID
    owner_id: UUID
    fields: list[str]


class ListingChangeRejected(Event, name="listing.change_rejected"):
    """A moderator turned the pending change of `fields` down."""

    listing_id: UUID
    owner_id: UUID
    fields: list[str]


class ListingChangeDropped(Event, name="listing.change_dropped"):
    """Nothing waits for a moderator any more: the owner took it back, or the listing left the market."""

    listing_id: UUID
    owner_id: UUID
    fields: list[str]


class AssetListedTwice(Event, name="listing.asset_listed_twice"):
    """It became public as an asset that is public elsewhere too, or that another owner sold lately; some of those."""

    listing_id: UUID
    owner_id: UUID
    public_elsewhere: list[UUID]
    sold_lately: list[UUID]


class AssetSoldTwice(Event, name="listing.asset_sold_twice"):
    """It was sold, and so was the same asset lately by another owner."""

    listing_id: UUID
    owner_id: UUID
    sold_lately: list[UUID]


class ListingMoved(Event):
    """A listing went from one state to another; each way of doing so is a fact of its own."""

    listing_id: UUID
    owner_id: UUID
    old_status: str
    new_status: str


class ListingSubmitted(ListingMoved, name="listing.submitted"):
    """It waits for review."""


class ListingPublished(ListingMoved, name="listing.published"):
    """It became public."""


class ListingChangesRequested(ListingMoved, name="listing.changes_requested"):
    """A moderator wants something changed."""


class ListingRejected(ListingMoved, name="listing.rejected"):
    """A moderator turned it down."""


class ListingHeld(ListingMoved, name="listing.held"):
    """It is hidden for one more reason."""


class ListingResumed(ListingMoved, name="listing.resumed"):
    """One reason to hide it went."""


class ListingReserved(ListingMoved, name="listing.reserved"):
    """Somebody has the first claim."""


class ListingReleased(ListingMoved, name="listing.released"):
    """The claim was given up."""


class ListingClosed(ListingMoved, name="listing.closed"):
    """Sold or rented."""


class ListingWithdrawn(ListingMoved, name="listing.withdrawn"):
    """The owner took it down."""


class ListingExpired(ListingMoved, name="listing.expired"):
    """Its time ran out."""


class ListingRenewed(ListingMoved, name="listing.renewed"):
    """Its time was extended."""


class ListingRelisted(ListingMoved, name="listing.relisted"):
    """A rented thing becomes a draft again."""


class ListingSuspended(ListingMoved, name="listing.suspended"):
    """A moderator hid it."""


class ListingRestored(ListingMoved, name="listing.restored"):
    """An appeal was upheld."""


class ListingExpiring(Event, name="listing.expiring"):
    """It expires in `days` days (7, later 1); in fewer, or already, where this comes late."""

    listing_id: UUID
    owner_id: UUID
    days: int


class ListingArchived(ListingMoved, name="listing.archived"):
    """It is kept for its transactions alone."""
