"""What happens to exchange rates."""

from uuid import UUID

from src.core.events import Event


class ExchangeRatesUpdated(Event, name="exchange_rates.updated"):
    """A set of rates was added; it is the current one unless there is one of a later day."""

    rate_set_id: UUID
