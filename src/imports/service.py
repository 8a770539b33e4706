"""Use cases of imports through the API; the only writer of their tables."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any, BinaryIO
from uuid import UUID

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from src.core import clock
from src.core.errors import FieldError
from src.core.events import emit
from src.core.pagination import read_page
from src.core.security import Actor
from src.imports import landing
from src.imports.errors import (
    DefaultRefusedError,
    ImportNotFound,
    ImportRefusedError,
    SheetRefused,
    TooManyImports,
    UnknownDefault,
)
from src.imports.events import ImportContinued, ImportFailed, ImportFinished, ImportRequested
from src.imports.landing import Verdict
from src.imports.models import Import, ImportPart, ImportVerdict, Outcome
from src.imports.parts import cut, require_utf8, unpack
from src.imports.sheet import Cells, Columns, Draft, Refusal, Sheet
from src.users.models import User

MOST_ROWS = 100_000
MOST_UNFINISHED = 3
# Of a row.
MOST_PROBLEMS = 100
KEPT = timedelta(days=90)
# A part takes seconds, or waits for an outage to end; what hinders one for longer does not go away by itself.
LONGEST_STILL = timedelta(days=1)
# At a time, of one import.
MOST_FORGOTTEN = 5000


async def request(session: AsyncSession, owner: Actor, file: BinaryIO, defaults: Cells, *, is_draft: bool) -> Import:
    """Keep a file to be landed part by part.

    Raises:
        UnknownDefault, SheetRefused: nothing of it can be imported, or it has too many rows.
        TooManyImports: the owner has others under way.
    """
    try:
        sheet = await asyncio.to_thread(_opened, file, defaults)
        requested = await _keep(session, owner.id, sheet, is_draft=is_draft)
    except DefaultRefusedError as refused:
        detail = str(refused)
        raise UnknownDefault(detail, errors=[FieldError("query", "/default", UnknownDefault.code, detail)]) from None
    except ImportRefusedError as refused:
        detail = str(refused)
        raise SheetRefused(detail, errors=[FieldError("body", "", SheetRefused.code, detail)]) from None
    await _require_room(session, owner.id)
    await emit(session, ImportRequested(import_id=requested.id, owner_id=owner.id))
    return requested


def _opened(file: BinaryIO, defaults: Cells) -> Sheet:
    require_utf8(file)
    return Sheet(file, defaults)


async def _keep(session: AsyncSession, owner_id: UUID, sheet: Sheet, *, is_draft: bool) -> Import:
    """Store the rows, in parts."""
    kept = Import(
        owner_id=owner_id,
        columns=sheet.columns.names,
        defaults=sheet.columns.defaults,
        is_draft=is_draft,
        rows_total=0,
        counts={},
        created_at=clock.now(),
    )
    session.add(kept)
    await session.flush()
    number, rows, parts = 0, 0, cut(sheet.records)
    # Parsing a large file takes seconds, in which others are served.
    while part := await asyncio.to_thread(next, parts, None):
        number, rows = number + 1, rows + part.rows
        if rows > MOST_ROWS:
            raise ImportRefusedError(f"The file has more than {MOST_ROWS:,} rows")
        await session.execute(insert(ImportPart).values(import_id=kept.id, number=number, content=part.content))
    if not rows:
        raise ImportRefusedError("The file has a header and no rows")
    kept.rows_total = rows
    await session.flush()
    return kept


async def require_room(session: AsyncSession, owner: Actor) -> None:
    """For one more, as far as can be told before its file is read; `request` counts again.

    Raises:
        TooManyImports: the owner has others under way.
    """
    if await _count_unfinished(session, owner.id) >= MOST_UNFINISHED:
        raise TooManyImports


async def _require_room(session: AsyncSession, owner_id: UUID) -> None:
    """The row of the owner is locked, so that of two requests at once one counts the other."""
    await session.execute(select(User.id).where(User.id == owner_id).with_for_update(key_share=True))
    if await _count_unfinished(session, owner_id) > MOST_UNFINISHED:
        raise TooManyImports


async def _count_unfinished(session: AsyncSession, owner_id: UUID) -> int:
    unfinished = select(func.count()).where(Import.owner_id == owner_id, Import.finished_at.is_(None))
    return await session.scalar(unfinished) or 0


async def land_part(session: AsyncSession, import_id: UUID, number: int) -> None:
    """Land a part, unless it has landed, with its verdicts, and ask for the next one."""
    found = await session.get(Import, import_id, with_for_update=True)
    part = await session.get(ImportPart, (import_id, number))
    if found is None or part is None:
        return
    found.started_at = found.started_at or clock.now()
    try:
        rows = await asyncio.to_thread(_rows, part.content, found.columns, found.defaults)
        verdicts = await landing.land_batch(session, rows, found.owner_id, is_draft=found.is_draft)
    except ImportRefusedError as refused:
        await _fail(session, found, str(refused))
        return
    await session.delete(part)
    await session.execute(insert(ImportVerdict), [_row(import_id, verdict) for verdict in verdicts])
    found.progressed_at = clock.now()
    found.counts = dict(Counter(found.counts) + Counter(str(verdict.outcome) for verdict in verdicts))
    await _go_on(session, found, number)


def _rows(content: bytes, names: Sequence[str], defaults: Cells) -> list[Draft | Refusal]:
    columns = Columns(names, defaults)
    return [columns.read(record) for record in unpack(content)]


def _row(import_id: UUID, verdict: Verdict) -> dict[str, Any]:
    return {
        "import_id": import_id,
        "line": verdict.line,
        "outcome": verdict.outcome,
        "listing_id": verdict.listing_id,
        "problems": [asdict(problem) for problem in verdict.problems[:MOST_PROBLEMS]],
    }


async def _go_on(session: AsyncSession, found: Import, number: int) -> None:
    if found.rows_done < found.rows_total:
        await emit(session, ImportContinued(import_id=found.id, part=number + 1))
        return
    found.finished_at = clock.now()
    landed = sum(count for outcome, count in found.counts.items() if Outcome(outcome).is_landed)
    await emit(session, ImportFinished(import_id=found.id, owner_id=found.owner_id, landed=landed))


async def _fail(session: AsyncSession, found: Import, reason: str) -> None:
    found.finished_at, found.failure = clock.now(), reason
    await session.execute(delete(ImportPart).where(ImportPart.import_id == found.id))
    await emit(session, ImportFailed(import_id=found.id, owner_id=found.owner_id))


async def get(session: AsyncSession, import_id: UUID, owner: Actor) -> Import:
    """The caller's import.

    Raises:
        ImportNotFound: also where it is somebody else's.
    """
    found = await session.scalar(select(Import).where(Import.id == import_id, Import.owner_id == owner.id))
    if found is None:
        raise ImportNotFound
    return found


async def own_page(
    session: AsyncSession, owner: Actor, limit: int, cursor: str | None
) -> tuple[list[Import], str | None]:
    """The caller's imports, newest first, and the cursor of the next page.

    Raises:
        BadCursor.
    """
    own = select(Import).where(Import.owner_id == owner.id)
    return await read_page(session, own, Import.id, f"imports:{owner.id}", limit=limit, cursor=cursor, descending=True)


async def verdicts_page(
    session: AsyncSession, import_id: UUID, outcomes: Sequence[Outcome], limit: int, cursor: str | None
) -> tuple[list[ImportVerdict], str | None]:
    """The verdicts on rows that came out so, or on all, by line, and the cursor of the next page.

    Raises:
        BadCursor.
    """
    found = select(ImportVerdict).where(ImportVerdict.import_id == import_id)
    if outcomes:
        found = found.where(ImportVerdict.outcome.in_(outcomes))
    scope = f"import:{import_id}:{sorted(outcomes)}"
    return await read_page(session, found, ImportVerdict.line, scope, limit=limit, cursor=cursor, descending=False)


async def give_up_one(session: AsyncSession) -> bool:
    """End an import that has not got on for long, so that its owner may start others; whether there was any."""
    last = func.coalesce(Import.progressed_at, Import.created_at)
    stuck = await session.scalar(
        select(Import)
        .where(Import.finished_at.is_(None), last <= clock.now() - LONGEST_STILL)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    if stuck is None:
        return False
    await _fail(session, stuck, "It could not go on")
    return True


async def forget_some(session: AsyncSession) -> bool:
    """Delete something of an import that finished long ago; whether there was any."""
    old = await session.scalar(
        select(Import.id)
        .where(Import.finished_at <= clock.now() - KEPT)
        .order_by(Import.finished_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    if old is None:
        return False
    lines = select(ImportVerdict.line).where(ImportVerdict.import_id == old).order_by(ImportVerdict.line)
    forgotten = await session.scalars(
        delete(ImportVerdict)
        .where(ImportVerdict.import_id == old, ImportVerdict.line.in_(lines.limit(MOST_FORGOTTEN)))
        .returning(ImportVerdict.line)
        .execution_options(synchronize_session=False)
    )
    if len(forgotten.all()) < MOST_FORGOTTEN:
        await session.execute(delete(Import).where(Import.id == old))
    return True
