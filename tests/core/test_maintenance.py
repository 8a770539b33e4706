"""`maintain` removes what belongs to nobody, and nothing else."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from src.core import clock, database, maintenance, schedule
from src.core.config import Settings
from src.core.database import new_id
from src.core.events import Event, EventRecord, HandledEvent, emit
from src.core.schedule import JobRow, every


class LampSwept(Event, name="test.lamp_swept"):
    """Something happened."""


async def run(engine: AsyncEngine, settings: Settings) -> list[str]:
    return [line async for line in maintenance.maintain(engine, settings)]


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


async def claims() -> set[str]:
    async with database.transaction() as session:
        return set(await session.scalars(select(HandledEvent.handler)))


async def test_claims_on_events_that_are_gone_are_removed(
    committed: None, engine: AsyncEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "BATCH", 2)
    async with database.transaction() as session:
        await emit(session, LampSwept())
        event_id = (await session.scalars(select(EventRecord.id))).one()
        now = clock.now()
        session.add(HandledEvent(handler="kept", event_id=event_id, handled_at=now))
        session.add_all(HandledEvent(handler=f"gone {n}", event_id=new_id(), handled_at=now) for n in range(5))
    lines = await run(engine, Settings(data_dir=tmp_path))
    assert await claims() == {"kept"}
    assert "Removed 5 claims on events that are gone" in lines


async def test_each_job_runs_now_and_rows_of_former_jobs_go(
    committed: None, engine: AsyncEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "_jobs", {})
    ran: list[bool] = []

    @every(timedelta(days=1))
    async def sweep(session: AsyncSession) -> bool:
        ran.append(True)
        return len(ran) == 2

    await schedule.tick()
    async with database.transaction() as session:
        session.add(JobRow(name="long gone", period=timedelta(days=1), due_at=clock.now()))
    lines = await run(engine, Settings(data_dir=tmp_path))
    async with database.transaction() as session:
        rows = (await session.scalars(select(JobRow))).all()
    assert (len(ran), [row.name for row in rows], rows[0].due_at > clock.now()) == (3, [f"{__name__}.sweep"], True)
    assert "Ran periodic jobs, 2 times" in lines
    assert "Removed 0 jobs that no module has any more" not in lines


async def test_old_mail_and_logs_beyond_the_count_go(committed: None, engine: AsyncEngine, tmp_path: Path) -> None:
    old = (clock.now() - timedelta(days=31)).timestamp()
    (tmp_path / "mail").mkdir()
    for name in ("mail/old.eml", "mail/notes.txt", "new.eml"):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (old, old))
    for name in ("mail/new.eml", "app.log", "app.log.1", "app.log.2", "app.log.3", "app.log.10", "app.log.gz"):
        (tmp_path / name).touch()
    await run(engine, Settings(data_dir=tmp_path, log={"file": tmp_path / "app.log", "file_count": 2}))
    assert files(tmp_path) == {
        "mail/new.eml",
        "mail/notes.txt",
        "new.eml",
        "app.log",
        "app.log.1",
        "app.log.2",
        "app.log.gz",
    }


async def test_a_second_run_finds_nothing_to_do(committed: None, engine: AsyncEngine, tmp_path: Path) -> None:
    await run(engine, Settings(data_dir=tmp_path))
    lines = await run(engine, Settings(data_dir=tmp_path))
    assert [line for line in lines if line.startswith("Removed") and not line.startswith("Removed 0 ")] == []
    assert lines[-1].startswith("Vacuumed and analysed")
