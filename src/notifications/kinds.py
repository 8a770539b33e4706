"""The kinds of notifications, as a table.

A new one is a member and a row, templates of the member's name (`templates/emails/<locale>/`) and a handler in `tasks`.
"""

from dataclasses import dataclass
from enum import StrEnum

from src.auth.one_time_tokens import Purpose
from src.notifications import contents
from src.notifications.contents import Content
from src.notifications.models import Channel


class Category(StrEnum):
    """Why somebody is told; `security` cannot be switched off, and reaches suspended accounts too."""

    SECURITY = "security"
    ACCOUNT = "account"
    LISTING = "listing"


class Kind(StrEnum):
    """What somebody is told."""

    VERIFY_EMAIL = "verify_email"
    PASSWORD_RESET = "password_reset"  # noqa: S105 - no password
    PASSWORD_CHANGED = "password_changed"  # noqa: S105
    NEW_SIGN_IN = "new_sign_in"
    WELCOME = "welcome"
    WELCOME_BROKER = "welcome_broker"
    LISTING_APPROVED = "listing_approved"
    LISTING_CHANGES_REQUESTED = "listing_changes_requested"
    LISTING_REJECTED = "listing_rejected"
    LISTING_EXPIRING = "listing_expiring"
    LISTING_EXPIRED = "listing_expired"


EVERYWHERE = (Channel.IN_APP, Channel.EMAIL)
BY_MAIL = (Channel.EMAIL,)


@dataclass(frozen=True, slots=True)
class Traits:
    """What a kind is. With a `purpose`, its mail carries a link with a token of that purpose."""

    category: Category
    content: Content
    channels: tuple[Channel, ...] = EVERYWHERE
    purpose: Purpose | None = None

    @property
    def is_switchable(self) -> bool:
        """Whether people may do without it."""
        return self.category is not Category.SECURITY


TRAITS: dict[Kind, Traits] = {
    Kind.VERIFY_EMAIL: Traits(Category.SECURITY, contents.verification, BY_MAIL, Purpose.VERIFY_EMAIL),
    Kind.PASSWORD_RESET: Traits(Category.SECURITY, contents.name_alone, BY_MAIL, Purpose.RESET_PASSWORD),
    Kind.PASSWORD_CHANGED: Traits(Category.SECURITY, contents.moment),
    Kind.NEW_SIGN_IN: Traits(Category.SECURITY, contents.sign_in),
    Kind.WELCOME: Traits(Category.ACCOUNT, contents.name_alone),
    Kind.WELCOME_BROKER: Traits(Category.ACCOUNT, contents.name_alone),
    Kind.LISTING_APPROVED: Traits(Category.LISTING, contents.approval),
    Kind.LISTING_CHANGES_REQUESTED: Traits(Category.LISTING, contents.request_for_changes),
    Kind.LISTING_REJECTED: Traits(Category.LISTING, contents.rejection),
    Kind.LISTING_EXPIRING: Traits(Category.LISTING, contents.warning),
    Kind.LISTING_EXPIRED: Traits(Category.LISTING, contents.expiry),
}
