"""Lands rows as listings of one owner, batch by batch; the one way in for the command and the API."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from src.auth import service as auth
from src.core.database import sqlstate, transaction
from src.core.events import bulk
from src.core.security import Standing
from src.imports.errors import ImportRefusedError, Problem
from src.imports.models import Outcome
from src.imports.sheet import FORMS, ROW, Draft, Form, Refusal, Sheet
from src.listings import actions, kinds
from src.listings import service as listings
from src.listings.models import Listing, ListingPrice
from src.users import service as users
from src.users.models import User, UserStatus

BATCH = 500
# The SQLSTATE classes that a row can be to blame for: values and constraints.
_BY_A_ROW = ("22", "23")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the row that starts on `line`, and its listing; of a failure or an unwanted draft, also why."""

    line: int
    outcome: Outcome
    problems: tuple[Problem, ...] = ()
    listing_id: UUID | None = None


async def find_owner(session: AsyncSession, email: str) -> User:
    """The account whose listings the rows are to be.

    Raises:
        ImportRefusedError: there is none, or it may not list anything.
    """
    return _fit(await users.find_by_email(session, email))


def _fit(owner: User | None) -> User:
    if owner is None or owner.status == UserStatus.DELETED:
        raise ImportRefusedError("There is no account with this address")
    if auth.standing_of(owner) is Standing.SUSPENDED:
        raise ImportRefusedError("The account is suspended")
    return owner


async def land(sheet: Sheet, owner_id: UUID, *, is_draft: bool = False) -> AsyncIterator[list[Verdict]]:
    """Land every row that is in order, and publish it if it is complete; the verdicts on each committed batch.

    A row whose `external_id` the owner has used is left as it is, be it from an earlier import or higher up in the
    same sheet.

    Raises:
        ImportRefusedError: the owner has gone.
        DBAPIError, OSError: the database is not to be had; what was reported stays.
    """
    rows, landed = iter(sheet), 0
    while batch := list(islice(rows, BATCH)):
        async with transaction() as session:
            verdicts = await land_batch(session, batch, owner_id, is_draft=is_draft)
        landed += sum(verdict.outcome.is_landed for verdict in verdicts)
        yield verdicts
    if landed >= BATCH:
        with suppress(DBAPIError):  # autovacuum will do it
            async with transaction() as session:
                await analyse(session)


async def land_batch(
    session: AsyncSession, rows: Sequence[Draft | Refusal], owner_id: UUID, *, is_draft: bool
) -> list[Verdict]:
    """Land these rows in the caller's transaction; the verdicts in the order of their lines.

    Raises:
        ImportRefusedError: the owner has gone; nothing has landed.
    """
    refused = [Verdict(row.line, Outcome.FAILED, row.problems) for row in rows if isinstance(row, Refusal)]
    owner = await _hold(session, owner_id)
    with bulk():
        landed = await _land(session, [row for row in rows if isinstance(row, Draft)], owner, is_draft)
    return sorted([*refused, *landed], key=lambda verdict: verdict.line)


async def _land(session: AsyncSession, drafts: Sequence[Draft], owner: User, is_draft: bool) -> list[Verdict]:
    """Together; or, where the database refuses one of them, half by half until it stands alone."""
    if not drafts:
        return []
    try:
        async with session.begin_nested():
            return await _save(session, drafts, owner, is_draft)
    except DBAPIError as refused:
        state = sqlstate(refused)
        if not state.startswith(_BY_A_ROW):
            raise
        if len(drafts) == 1:
            return [Verdict(drafts[0].line, Outcome.FAILED, (Problem(ROW, f"cannot be stored (SQLSTATE {state})"),))]
    middle = len(drafts) // 2
    first = await _land(session, drafts[:middle], owner, is_draft)
    return [*first, *await _land(session, drafts[middle:], owner, is_draft)]


async def _save(session: AsyncSession, drafts: Sequence[Draft], owner: User, is_draft: bool) -> list[Verdict]:
    first = {draft.external_id: draft for draft in reversed(drafts)}
    known = await _known(session, owner.id, first)
    fresh = [draft for draft in drafts if first[draft.external_id] is draft and draft.external_id not in known]
    verdicts: dict[int, Verdict] = {}
    for form in FORMS.values():
        for verdict in await _create(session, owner, form, [draft for draft in fresh if draft.form is form], is_draft):
            verdicts[verdict.line] = verdict
    ids = known | {draft.external_id: verdicts[draft.line].listing_id for draft in fresh}
    unchanged = [draft for draft in drafts if draft.line not in verdicts]
    return [
        *verdicts.values(),
        *(Verdict(draft.line, Outcome.UNCHANGED, listing_id=ids[draft.external_id]) for draft in unchanged),
    ]


async def _hold(session: AsyncSession, owner_id: UUID) -> User:
    """The owner, whose other imports wait until this batch is in; so no two of them land the same row.

    Not by a lock on the row of the owner, for whom it would be in the way.
    """
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"imports:{owner_id}", 0))))
    return _fit(await session.get(User, owner_id))


async def _known(session: AsyncSession, owner_id: UUID, external_ids: Iterable[str]) -> dict[str, UUID | None]:
    """Those of the external ids that the owner has used, each with its listing."""
    found = await session.execute(
        select(Listing.external_id, Listing.id).where(
            Listing.owner_id == owner_id, Listing.external_id.in_(external_ids)
        )
    )
    return {external_id or "": listing_id for external_id, listing_id in found}


async def _create(
    session: AsyncSession, owner: User, form: Form, drafts: Sequence[Draft], is_draft: bool
) -> list[Verdict]:
    """New listings of one kind; what the owner could publish is published."""
    fields = [(draft.fields, draft.details) for draft in drafts]
    if is_draft or auth.standing_of(owner) is not Standing.GOOD:
        created = await listings.create(session, owner.id, form.kind, fields)
        why = () if is_draft else (Problem(ROW, "cannot be published before the owner's address is verified"),)
        return [
            Verdict(draft.line, Outcome.DRAFT, why, listing.id) for draft, listing in zip(drafts, created, strict=True)
        ]
    made = await actions.create_submitted(session, owner.id, form.kind, fields)
    return [
        Verdict(draft.line, Outcome(listing.status), tuple(_lacking(pointer) for pointer in pointers), listing.id)
        for draft, (listing, pointers) in zip(drafts, made, strict=True)
    ]


def _lacking(pointer: str) -> Problem:
    return Problem(pointer.rpartition("/")[2], "is needed to publish")


async def analyse(session: AsyncSession) -> None:
    """So that the planner knows of what it has not seen."""
    tables = [Listing, ListingPrice, *(kind.table for kind in kinds.every())]
    await session.execute(text("ANALYZE " + ", ".join(table.__tablename__ for table in tables)))
