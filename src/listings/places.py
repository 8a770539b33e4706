"""Places as searches are given them: a point, a box, a drawn area."""

import polyline
from geojson_pydantic import Polygon
from pydantic import ValidationError

# An area drawn by hand has a few dozen corners.
MOST_CORNERS = 100

Ring = list[tuple[float, float]]


def numbers(text: str, count: int) -> list[float]:
    """Comma-separated finite numbers. Raises ValueError for anything else."""
    parts = text.split(",")
    if len(parts) != count:
        raise ValueError(f"must be {count} numbers, separated by commas")
    values = [float(part) for part in parts if len(part) <= 24 and "_" not in part and part.isascii()]
    if len(values) != count or not all(abs(value) <= 180 for value in values):
        raise ValueError("must be degrees")
    return values


def point(text: str) -> str:
    """`latitude,longitude`. Raises ValueError for anything else."""
    latitude, _ = numbers(text, 2)
    if abs(latitude) > 90:
        raise ValueError("a latitude is between -90 and 90")
    return text


def box(text: str) -> str:
    """`west,south,east,north`. Raises ValueError for anything else."""
    _, south, _, north = numbers(text, 4)
    if not -90 <= south <= north <= 90:
        raise ValueError("must be west,south,east,north with south below north")
    return text


def area(text: str) -> str:
    """A ring as `ring` reads it. Raises ValueError for anything else."""
    ring(text)
    return text


def ring(text: str) -> Ring:
    """The corners, as (longitude, latitude), of a GeoJSON Polygon (RFC 7946) or an encoded polyline of five digits.

    Raises:
        ValueError: it is neither, has holes, too few corners or too many, or corners that are nowhere on earth.
    """
    corners = _of_geojson(text) if text.lstrip().startswith("{") else _of_polyline(text)
    if not 3 <= len(set(corners)) <= len(corners) <= MOST_CORNERS + 1:
        raise ValueError(f"must have 3 to {MOST_CORNERS} corners")
    if not all(abs(longitude) <= 180 and abs(latitude) <= 90 for longitude, latitude in corners):
        raise ValueError("must have longitudes up to 180 and latitudes up to 90 degrees")
    return corners


def _of_geojson(text: str) -> Ring:
    try:
        drawn = Polygon.model_validate_json(text)
    except ValidationError:
        raise ValueError("is no GeoJSON Polygon") from None
    [outer, *holes] = drawn.coordinates
    if holes:
        raise ValueError("must be one ring, without holes")
    return [(corner[0], corner[1]) for corner in outer]


def _of_polyline(text: str) -> Ring:
    try:
        return [(float(longitude), float(latitude)) for longitude, latitude in polyline.decode(text, geojson=True)]
    except (ValueError, IndexError, OverflowError):
        raise ValueError("is neither a GeoJSON Polygon nor an encoded polyline") from None
