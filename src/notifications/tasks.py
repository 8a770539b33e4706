"""Who is told what, and when mail goes out."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from src.auth.events import EmailVerified, PasswordChanged, PasswordResetRequested, SessionOpened, VerificationRequested
from src.core.broker import Queue
from src.core.events import on, on_outside
from src.core.schedule import every
from src.core.security import Role
from src.listings.events import (
    ListingChangesRequested,
    ListingExpired,
    ListingExpiring,
    ListingPublished,
    ListingRejected,
)
from src.listings.models import ListingStatus
from src.notifications import deliveries, outgoing, queries, service
from src.notifications.events import MailQueued
from src.notifications.kinds import Kind
from src.notifications.service import tell
from src.users import service as users

FORGOTTEN_AT_ONCE = 1000


@on(VerificationRequested)
async def send_verification(session: AsyncSession, event: VerificationRequested) -> None:
    """A link that shows that the address is theirs."""
    await tell(session, event.user_id, Kind.VERIFY_EMAIL)


@on(PasswordResetRequested)
async def send_password_reset(session: AsyncSession, event: PasswordResetRequested) -> None:
    """A link that opens the account to whoever reads the mail."""
    await tell(session, event.user_id, Kind.PASSWORD_RESET)


@on(PasswordChanged)
async def tell_of_password(session: AsyncSession, event: PasswordChanged) -> None:
    """If it was not they who changed it, they have to know."""
    await tell(session, event.user_id, Kind.PASSWORD_CHANGED)


@on(SessionOpened)
async def tell_of_sign_in(session: AsyncSession, event: SessionOpened) -> None:
    """The same if somebody signs in with what they have not used before."""
    if await session.scalar(queries.is_from_new_device(event.session_id)):
        await tell(session, event.user_id, Kind.NEW_SIGN_IN, session_id=event.session_id)


@on(EmailVerified)
async def welcome(session: AsyncSession, event: EmailVerified) -> None:
    """Now that the address works."""
    user = await users.find(session, event.user_id)
    is_broker = user is not None and user.role == Role.BROKER
    await tell(session, event.user_id, Kind.WELCOME_BROKER if is_broker else Kind.WELCOME)


@on(ListingPublished)
async def tell_of_approval(session: AsyncSession, event: ListingPublished) -> None:
    """Only where a moderator looked; what is published unseen, its owner sees at once."""
    if event.old_status == ListingStatus.PENDING_REVIEW:
        await tell(session, event.owner_id, Kind.LISTING_APPROVED, listing_id=event.listing_id)


@on(ListingChangesRequested)
async def tell_of_request_for_changes(session: AsyncSession, event: ListingChangesRequested) -> None:
    """It waits for its owner now."""
    await tell(session, event.owner_id, Kind.LISTING_CHANGES_REQUESTED, listing_id=event.listing_id)


@on(ListingRejected)
async def tell_of_rejection(session: AsyncSession, event: ListingRejected) -> None:
    """With the moderator's reason."""
    await tell(session, event.owner_id, Kind.LISTING_REJECTED, listing_id=event.listing_id)


@on(ListingExpiring)
async def warn_of_expiry(session: AsyncSession, event: ListingExpiring) -> None:
    """While there is time to renew it."""
    await tell(session, event.owner_id, Kind.LISTING_EXPIRING, listing_id=event.listing_id, days=event.days)


@on(ListingExpired)
async def tell_of_expiry(session: AsyncSession, event: ListingExpired) -> None:
    """It is off the market."""
    await tell(session, event.owner_id, Kind.LISTING_EXPIRED, listing_id=event.listing_id)


@on_outside(MailQueued, queue=Queue.MAIL)
async def send_mail(event: MailQueued) -> None:
    """Whoever comes first takes it."""
    await outgoing.send(event.delivery_id)


@every(timedelta(seconds=10))
async def queue_mail_again(session: AsyncSession) -> bool:
    """What was put off, and what its sender lost."""
    return await deliveries.queue_mail_again(session)


@every(timedelta(days=1))
async def forget_old(session: AsyncSession) -> bool:
    """Mail and entries of the feed; the facts that they were about stay."""
    most = FORGOTTEN_AT_ONCE
    return most in (await deliveries.forget_old(session, most), await service.forget_old(session, most))
