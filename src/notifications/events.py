"""What happens to mail."""

from uuid import UUID

from src.core.events import Event


class MailQueued(Event, name="mail.queued"):
    """A mail waits to be sent."""

    delivery_id: UUID
