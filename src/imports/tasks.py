"""How imports go on, and how they end."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from src.core.broker import Queue
from src.core.events import on
from src.core.schedule import every
from src.imports import landing, service
from src.imports.events import ImportContinued, ImportFinished, ImportRequested


@on(ImportRequested, queue=Queue.SLOW)
async def start(session: AsyncSession, event: ImportRequested) -> None:
    """Land the first part."""
    await service.land_part(session, event.import_id, 1)


@on(ImportContinued, queue=Queue.SLOW)
async def proceed(session: AsyncSession, event: ImportContinued) -> None:
    """Land the next part."""
    await service.land_part(session, event.import_id, event.part)


@on(ImportFinished, queue=Queue.SLOW)
async def renew_statistics(session: AsyncSession, event: ImportFinished) -> None:
    """After many new listings, so that searches are planned for them."""
    if event.landed >= landing.BATCH:
        await landing.analyse(session)


@every(timedelta(hours=1))
async def clear_imports(session: AsyncSession) -> bool:
    """Those that do not get on end after a day; all are forgotten, verdicts and all, 90 days after their end."""
    return await service.give_up_one(session) or await service.forget_some(session)
