"""What can be wrong with a listing."""

from src.core.errors import Conflict, Forbidden, Invalid, NotFound


class ListingNotFound(NotFound):
    """No such listing, or none that the caller may see."""

    code, title = "listing_not_found", "There is no such listing"


class NotYourListing(Forbidden):
    """The caller sees it and does not own it."""

    code, title = "not_your_listing", "Only the owner of a listing may do this"


class ListingWrongState(Conflict):
    """The action does not start from the state the listing is in."""

    code, title = "listing_wrong_state", "The listing is not in a state that allows this"


class ListingIncomplete(Invalid):
    """Something that publishing needs is missing."""

    code, title = "listing_incomplete", "Something that publishing needs is missing"


class ListingNotEdited(Conflict):
    """A rejected listing is looked at again after an edit."""

    code, title = "listing_not_edited", "Change what was rejected before you submit it again"


class NoPendingChange(Conflict):
    """Nothing waits: it never did, or somebody has decided on it."""

    code, title = "no_pending_change", "The listing has no pending change"


class ExternalIdTaken(Conflict):
    """The owner has another listing with this id of theirs."""

    code, title = "external_id_taken", "You have another listing with this external_id"


class OwnListing(Forbidden):
    """Moderators do not decide on what is theirs."""

    code, title = "own_listing", "Another moderator has to decide on your own listing"


class SameModerator(Forbidden):
    """An appeal is heard by somebody else than who decided."""

    code, title = "same_moderator", "Another moderator than the one who decided has to restore it"
