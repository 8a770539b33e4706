"""Who makes each of Schemathesis's calls, and on which listing.

FUZZ_CAST (JSON) holds the tokens of people by their part and their password, what was mailed to them by the operation
that takes it, and the ids of listings: `vehicles`, `properties`, `pending` ones, and those with `changed` details that
wait too.
"""

import json
import os
from itertools import chain, count, cycle
from typing import Any
from uuid import UUID

import schemathesis

CAST: dict[str, Any] = json.loads(os.environ["FUZZ_CAST"])
ENDINGS = ("log_out", "end_all_sessions", "end_session")
JUDGEMENTS = {
    **dict.fromkeys(("approve_listing", "reject_listing", "request_changes_listing"), "pending"),
    **dict.fromkeys(("approve_pending_change", "reject_pending_change"), "changed"),
    **dict.fromkeys(("suspend_listing", "restore_listing"), "vehicles"),
    "add_exchange_rates": "",
}

schemathesis.serializer.alias("text/csv", "application/octet-stream")

# Mostly people who may do it; now and then somebody who may not, or nobody.
_owners = cycle(["seller"] * 6 + ["buyer", "moderator", "admin", "suspended", None])
_judges = cycle(["moderator", "admin"] * 3 + ["seller", "suspended", None])
_tokens = {part: cycle(tokens) for part, tokens in CAST["tokens"].items()}
_ids = {kind: cycle(ids) for kind, ids in CAST["listings"].items()}
_mailed = {operation_id: cycle(tokens) for operation_id, tokens in CAST["mailed"].items()}
_any_ids = cycle(chain(CAST["listings"]["vehicles"], CAST["listings"]["properties"]))
_numbers = count(1)


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case[Any], kwargs: dict[str, Any]) -> None:
    """Sign the call, and let what is well-formed hit something: a listing, its version, an id that is free."""
    operation_id = case.operation.definition.raw["operationId"]
    part = _part(operation_id)
    if part is not None:
        case.headers["Authorization"] = f"Bearer {next(_tokens[part])}"
    if _is_id(case.path_parameters.get("listing_id")):
        pool = JUDGEMENTS.get(operation_id, case.path.split("/")[3])
        case.path_parameters["listing_id"] = next(_ids.get(pool, _any_ids))
    if "If-Match" in case.headers and next(_numbers) % 3:
        case.headers["If-Match"] = "*"
    if isinstance(case.body, dict) and case.body.get("external_id") in ("text", "0", "00"):
        case.body["external_id"] = f"fuzz-{next(_numbers)}"
    if operation_id in _mailed:
        _replace_text(case.body, "token", next(_mailed[operation_id]))
    if operation_id == "change_password":
        _replace_text(case.body, "current_password", CAST["password"])


def _replace_text(body: Any, name: str, by: str) -> None:
    """Where text stands that is none the worse for its form, let the right one stand."""
    text = body.get(name) if isinstance(body, dict) else None
    if isinstance(text, str) and 0 < len(text) <= 200 and text.isprintable():
        body[name] = by


def _part(operation_id: str) -> str | None:
    if operation_id in ENDINGS:
        return "leaver"
    if operation_id == "change_password":
        return "changer"
    return next(_judges if operation_id in JUDGEMENTS else _owners)


def _is_id(value: Any) -> bool:
    try:
        return bool(str(UUID(value)) == value)
    except (ValueError, TypeError, AttributeError):
        return False
