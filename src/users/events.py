"""What happens to profiles."""

from uuid import UUID

from src.core.events import Event


class UserRegistered(Event, name="user.registered"):
    """Somebody opened an account."""

    user_id: UUID


class UserEdited(Event, name="user.edited"):
    """Somebody changed their profile; `fields` are the names of what changed."""

    user_id: UUID
    fields: list[str]
