"""What can be wrong with exchange rates."""

from src.core.errors import Invalid, NotFound


class ExchangeRatesNotFound(NotFound):
    """No such set; or none at all yet, where the current one was asked for."""

    code, title = "exchange_rates_not_found", "There are no such exchange rates"


class RatesOfTheFuture(Invalid):
    """`as_of` is later than today in UTC."""

    code, title = "rates_of_the_future", "The rates are of a day that is yet to come"


class BaseIsNotOne(Invalid):
    """The base stands among the rates with another rate than 1, or alone."""

    code, title = "base_is_not_one", "One unit of the base is one unit of the base, and other currencies are wanted"


class RatesFileRefused(Exception):
    """The file cannot be read as exchange rates; the message is one sentence for whoever runs the command."""
