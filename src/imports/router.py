"""`/imports`."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Response

from src.core.dependencies import AccountSuspended, CurrentActor, Drafter, SessionDep
from src.core.errors import TooManyRequests, Unauthorized, raises
from src.core.idempotency import Idempotent
from src.core.pagination import BadCursor, Page, PageQuery
from src.core.spooling import BodyCutOff, BodyTooSlow
from src.core.strict import Router
from src.imports import service
from src.imports.dependencies import MEDIA_TYPE, SentCsv
from src.imports.errors import ImportNotFound, SheetRefused, TooManyImports, UnknownDefault
from src.imports.models import Import, Outcome
from src.imports.schemas import ImportCounts, ImportDetail, ImportRead, RowVerdict, VerdictQuery
from src.imports.sheet import COLUMNS

MOST_UNKNOWN = 100

router = Router(prefix="/imports", tags=["imports"])

_FILE: dict[str, Any] = {
    "required": True,
    "content": {
        MEDIA_TYPE: {
            "schema": {"type": "string", "format": "binary"},
            "example": "external_id,kind,purpose,title,price,currency,country,city,make,model_year,mileage\n"
            "vitz-7,vehicle,sale,Toyota Vitz 2012,1850000,ETB,ET,Addis Ababa,Toyota,2012,98000\n",
        }
    },
}


def representation(found: Import) -> dict[str, Any]:
    """What `ImportRead` says of an import."""
    derived = {
        "counts": ImportCounts(**{outcome: found.counts.get(outcome, 0) for outcome in Outcome}),
        "unknown_columns": [name for name in found.columns if name not in COLUMNS][:MOST_UNKNOWN],
    }
    return {name: getattr(found, name) for name in ImportRead.model_fields.keys() - derived.keys()} | derived


@router.post(
    "",
    status_code=201,
    summary="Import listings",
    openapi_extra={"requestBody": _FILE},
    responses=raises(
        Unauthorized,
        AccountSuspended,
        SheetRefused,
        UnknownDefault,
        TooManyImports,
        TooManyRequests,
        BodyCutOff,
        BodyTooSlow,
    ),
)
async def create_import(
    session: SessionDep, actor: Drafter, sent: SentCsv, response: Response, _: Idempotent
) -> ImportRead:
    """A CSV file in UTF-8 of at most 100,000 rows, one listing a row, that lands in the background.

    The columns are the API's field names, flat (`city`, not `location.city`; `features` separated by `;`); `price` is
    in major units. `external_id`, `kind`, `title`, `purpose`, `price` and `currency` are needed, in each row or as a
    `default`. A row whose `external_id` the caller has used stays as it is: importing again adds only what is missing.
    """
    created = await service.request(session, actor, sent.file, sent.options.defaults, is_draft=sent.options.draft)
    response.headers["Location"] = f"/api/v1/imports/{created.id}"
    return ImportRead(**representation(created))


@router.get("", summary="List my imports", responses=raises(Unauthorized, BadCursor))
async def list_my_imports(
    session: SessionDep, actor: CurrentActor, query: Annotated[PageQuery, Query()]
) -> Page[ImportRead]:
    """The caller's imports of the last 90 days, newest first."""
    found, following = await service.own_page(session, actor, query.limit, query.cursor)
    return Page(items=[ImportRead(**representation(row)) for row in found], next_cursor=following)


@router.get(
    "/{import_id}", summary="Read an import and its verdicts", responses=raises(Unauthorized, ImportNotFound, BadCursor)
)
async def read_import(
    session: SessionDep, actor: CurrentActor, import_id: UUID, query: Annotated[VerdictQuery, Query()]
) -> ImportDetail:
    """How far the caller's import has got, and what became of its rows, by line."""
    found = await service.get(session, import_id, actor)
    rows, following = await service.verdicts_page(session, import_id, query.outcome, query.limit, query.cursor)
    verdicts = [RowVerdict.model_validate(row) for row in rows]
    return ImportDetail(**representation(found), verdicts=verdicts, next_cursor=following)
