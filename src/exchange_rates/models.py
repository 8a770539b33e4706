"""Sets of exchange rates; a new set replaces the current one, and the old ones stay as they are."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Numeric
from sqlalchemy.orm import Mapped, mapped_column, relationship

from src.core.database import Base, new_id

# Twelve digits on either side of the point; `conversion.PRECISION` relies on there being no more.
RATE = Numeric(24, 12)


class RateSet(Base):
    """Rates of one day from one source; a trigger refuses to change or delete it."""

    __tablename__ = "exchange_rate_sets"
    __table_args__ = (
        CheckConstraint("char_length(source) BETWEEN 1 AND 200", name="source"),
        Index("ix_exchange_rate_sets_as_of_id", "as_of", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    as_of: Mapped[date]
    source: Mapped[str]
    base: Mapped[str]
    created_at: Mapped[datetime]
    created_by: Mapped[UUID | None]

    rates: Mapped[list["Rate"]] = relationship(lazy="raise", order_by="Rate.currency")


class Rate(Base):
    """How many units of `currency` one unit of the set's base is; append-only like its set."""

    __tablename__ = "exchange_rates"
    # PostgreSQL holds NaN to be greater than any number, so BETWEEN refuses it.
    __table_args__ = (CheckConstraint("rate BETWEEN 0.000000000001 AND 999999999999.999999999999", name="rate"),)

    rate_set_id: Mapped[UUID] = mapped_column(ForeignKey("exchange_rate_sets.id"), primary_key=True)
    currency: Mapped[str] = mapped_column(primary_key=True)
    rate: Mapped[Decimal] = mapped_column(RATE)
