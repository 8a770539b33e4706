"""Sends mail: take it and mint its token, commit; write and send it with nothing locked; then mark it.

What a token says stands in the mail and nowhere else.
"""

import asyncio
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from src.auth import one_time_tokens
from src.auth.one_time_tokens import Purpose
from src.core import mail, metrics
from src.core.config import settings
from src.core.database import transaction
from src.core.mail import Mail, MailRefused, MailUnavailable, MailUncertain
from src.notifications import deliveries, service, unsubscribe_tokens
from src.notifications.contents import Context, Occasion
from src.notifications.kinds import TRAITS, Kind
from src.notifications.models import Channel, Delivery, DeliveryState
from src.notifications.rendering import render
from src.users import service as users
from src.users.models import User

log = structlog.get_logger(__name__)

# Well within the lease, however many answers a slow server takes its time for; more than it has for the last of them.
SECONDS = 120
# Where the client app takes a token.
PAGES = {Purpose.VERIFY_EMAIL: "verify-email", Purpose.RESET_PASSWORD: "reset-password"}


@dataclass(frozen=True, slots=True)
class Letter:
    """What is to go to whom."""

    delivery: Delivery
    user: User
    context: Context


async def send(delivery_id: UUID) -> None:
    """Send one, if it is due and nobody else has it; in transactions of its own."""
    async with transaction() as session:
        letter = await _take(session, delivery_id)
    if letter is None:
        return
    try:
        message = _written(letter)
    except Exception:
        log.exception("mail_not_written", kind=letter.delivery.kind)
        await _put_off(letter.delivery, "not_written")
        return
    await _send(message, letter.delivery)


async def _take(session: AsyncSession, delivery_id: UUID) -> Letter | None:
    """The letter, unless it is not to be sent now or, having waited, at all."""
    delivery = await deliveries.take(session, delivery_id)
    if delivery is None:
        return None
    user = await users.find(session, delivery.user_id)
    kind = Kind(delivery.kind)
    if user is not None and Channel.EMAIL in await service.channels_of(session, user, kind):
        context = await TRAITS[kind].content(session, Occasion(user, delivery.event_id, delivery.data))
        if context is not None:
            return Letter(delivery, user, context | await _link(session, user, kind))
    delivery.state = DeliveryState.SKIPPED
    metrics.MAILS.labels("skipped").inc()
    return None


async def _link(session: AsyncSession, user: User, kind: Kind) -> Context:
    purpose = TRAITS[kind].purpose
    if purpose is None:
        return {}
    minted = await one_time_tokens.mint(session, user.id, purpose)
    link = f"{settings().app_url}/{PAGES[purpose]}?token={minted.token}"
    return {"link": link, "expires_at": minted.expires_at}


def _written(letter: Letter) -> Mail:
    kind, user, config = Kind(letter.delivery.kind), letter.user, settings()
    headers, unsubscribe_url = {}, None
    if TRAITS[kind].is_switchable:
        token = unsubscribe_tokens.issue(user.id, kind)
        unsubscribe_url = f"{config.public_url}/api/v1/notifications/unsubscribe?token={token}"
        # RFC 8058: the mail program's own button.
        headers = {
            "List-Unsubscribe": f"<{unsubscribe_url}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        }
    common = {"name": user.full_name, "app_url": config.app_url, "unsubscribe_url": unsubscribe_url}
    rendered = render(kind, user.language, common | letter.context)
    return Mail(
        to=user.email,
        to_name=user.full_name,
        subject=rendered.subject,
        text=rendered.text,
        html=rendered.html,
        message_id=f"<{letter.delivery.id}@{urlsplit(config.public_url).hostname}>",
        headers=headers,
    )


async def _send(message: Mail, delivery: Delivery) -> None:
    try:
        async with asyncio.timeout(SECONDS):
            await mail.send(message)
    except MailRefused as exc:
        metrics.MAILS.labels("refused").inc()
        log.warning("mail_refused", delivery_id=str(delivery.id), reason=str(exc))
        async with transaction() as session:
            await deliveries.give_up(session, delivery, str(exc))
    except MailUnavailable as exc:
        metrics.MAILS.labels("put_off").inc()
        await _put_off(delivery, str(exc))
    except (MailUncertain, TimeoutError) as exc:
        metrics.MAILS.labels("uncertain").inc()
        log.warning("mail_uncertain", delivery_id=str(delivery.id), reason=str(exc) or type(exc).__name__)
        async with transaction() as session:
            await deliveries.mark_uncertain(session, delivery)
    else:
        metrics.MAILS.labels("sent").inc()
        async with transaction() as session:
            await deliveries.mark_sent(session, delivery)


async def _put_off(delivery: Delivery, error: str) -> None:
    async with transaction() as session:
        await deliveries.put_off(session, delivery, error)
