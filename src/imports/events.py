"""What happens to imports."""

from uuid import UUID

from src.core.events import Event


class ImportRequested(Event, name="import.requested"):
    """Somebody sent a file; its first part is next."""

    import_id: UUID
    owner_id: UUID


class ImportContinued(Event, name="import.continued"):
    """A part has landed, and this one is next."""

    import_id: UUID
    part: int


class ImportFinished(Event, name="import.finished"):
    """Every row has its verdict; so many became listings."""

    import_id: UUID
    owner_id: UUID
    landed: int


class ImportFailed(Event, name="import.failed"):
    """It cannot go on, most likely since the owner may list nothing any more; what has landed stays."""

    import_id: UUID
    owner_id: UUID
