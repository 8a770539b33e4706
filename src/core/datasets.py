"""Which bundled data sets (reference data, the demo) this database holds, so that each is loaded once."""

from datetime import datetime

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from src.core import clock
from src.core.database import Base


class Dataset(Base):
    """A data set, at the version loaded last."""

    __tablename__ = "datasets"

    name: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[str]
    loaded_at: Mapped[datetime]


async def lock(session: AsyncSession, name: str) -> None:
    """Wait for whoever else is loading the data set, and keep others off it until the transaction ends."""
    await session.execute(text("SET LOCAL lock_timeout = 0"))
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))


async def loaded_version(session: AsyncSession, name: str) -> str | None:
    """The version of the data set this database holds."""
    return await session.scalar(select(Dataset.version).where(Dataset.name == name))


async def mark_loaded(session: AsyncSession, name: str, version: str) -> None:
    """Remember that the data set is there, in the transaction that loaded it."""
    row = insert(Dataset).values(name=name, version=version, loaded_at=clock.now())
    await session.execute(
        row.on_conflict_do_update(
            index_elements=["name"], set_={"version": version, "loaded_at": row.excluded.loaded_at}
        )
    )
