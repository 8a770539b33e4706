"""Lands the rows of a sheet as listings of one owner, batch by batch."""

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from src.auth import service as auth
from src.core.database import transaction
from src.core.security import Standing
from src.imports.errors import ImportRefusedError, Problem
from src.imports.sheet import FORMS, ROW, Draft, Form, Refusal, Sheet
from src.listings import actions, kinds
from src.listings import service as listings
from src.listings.models import Listing, ListingPrice
from src.users import service as users
from src.users.models import User, UserStatus

BATCH = 500
# The SQLSTATE classes that a row can be to blame for: values and constraints.
_BY_A_ROW = ("22", "23")


class Outcome(StrEnum):
    """What became of a row."""

    PUBLISHED = "published"
    PENDING_REVIEW = "pending_review"
    DRAFT = "draft"
    UNCHANGED = "unchanged"
    FAILED = "failed"

    @property
    def is_landed(self) -> bool:
        """Whether there is a new listing."""
        return self not in (Outcome.UNCHANGED, Outcome.FAILED)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the row that starts on `line`; of a failure or an unwanted draft, also why."""

    line: int
    outcome: Outcome
    problems: tuple[Problem, ...] = ()


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
        refused = [Verdict(row.line, Outcome.FAILED, row.problems) for row in batch if isinstance(row, Refusal)]
        drafts = [row for row in batch if isinstance(row, Draft)]
        verdicts = await _land(drafts, owner_id, is_draft) if drafts else []
        landed += sum(verdict.outcome.is_landed for verdict in verdicts)
        yield sorted([*refused, *verdicts], key=lambda verdict: verdict.line)
    if landed >= BATCH:
        await _analyse()


async def _land(drafts: Sequence[Draft], owner_id: UUID, is_draft: bool) -> list[Verdict]:
    """Together; or, where the database refuses one of them, one by one."""
    try:
        async with transaction() as session:
            return await _save(session, drafts, owner_id, is_draft)
    except DBAPIError as refused:
        state = str(getattr(refused.orig, "sqlstate", None) or "")
        if not state.startswith(_BY_A_ROW):
            raise
        if len(drafts) == 1:
            return [Verdict(drafts[0].line, Outcome.FAILED, (Problem(ROW, f"cannot be stored (SQLSTATE {state})"),))]
    return [verdict for draft in drafts for verdict in await _land([draft], owner_id, is_draft)]


async def _save(session: AsyncSession, drafts: Sequence[Draft], owner_id: UUID, is_draft: bool) -> list[Verdict]:
    owner = await _hold(session, owner_id)
    verdicts = {draft.line: Verdict(draft.line, Outcome.UNCHANGED) for draft in drafts}
    fresh = await _fresh(session, drafts, owner_id)
    for form in FORMS.values():
        for verdict in await _create(session, owner, form, [draft for draft in fresh if draft.form is form], is_draft):
            verdicts[verdict.line] = verdict
    return list(verdicts.values())


async def _hold(session: AsyncSession, owner_id: UUID) -> User:
    """The owner, whose other imports wait until this batch is in; so no two of them land the same row."""
    owner = await session.scalar(select(User).where(User.id == owner_id).with_for_update(key_share=True))
    return _fit(owner)


async def _fresh(session: AsyncSession, drafts: Sequence[Draft], owner_id: UUID) -> list[Draft]:
    """The first draft of each external id that the owner has not used yet."""
    first = {draft.external_id: draft for draft in reversed(drafts)}
    known = await session.scalars(
        select(Listing.external_id).where(Listing.owner_id == owner_id, Listing.external_id.in_(first))
    )
    for external_id in known:
        del first[external_id or ""]
    return sorted(first.values(), key=lambda draft: draft.line)


async def _create(
    session: AsyncSession, owner: User, form: Form, drafts: Sequence[Draft], is_draft: bool
) -> list[Verdict]:
    """New listings of one kind; what the owner could publish is published."""
    fields = [(draft.fields, draft.details) for draft in drafts]
    if is_draft or auth.standing_of(owner) is not Standing.GOOD:
        await listings.create(session, owner.id, form.kind, fields)
        why = () if is_draft else (Problem(ROW, "cannot be published before the owner's address is verified"),)
        return [Verdict(draft.line, Outcome.DRAFT, why) for draft in drafts]
    made = await actions.create_submitted(session, owner.id, form.kind, fields)
    return [
        Verdict(draft.line, Outcome(listing.status), tuple(_lacking(pointer) for pointer in pointers))
        for draft, (listing, pointers) in zip(drafts, made, strict=True)
    ]


def _lacking(pointer: str) -> Problem:
    return Problem(pointer.rpartition("/")[2], "is needed to publish")


async def _analyse() -> None:
    """So that the planner knows of what it has not seen; if it cannot be done now, autovacuum will do it."""
    tables = [Listing, ListingPrice, *(kind.table for kind in kinds.every())]
    with suppress(DBAPIError):
        async with transaction() as session:
            await session.execute(text("ANALYZE " + ", ".join(table.__tablename__ for table in tables)))
