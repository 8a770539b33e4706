"""Who makes each of Schemathesis's calls, and on which listing.

FUZZ_CAST (JSON) holds the people's tokens by name and the ids of a few listings of theirs.
"""

import json
import os
from itertools import cycle
from typing import Any
from uuid import UUID

import schemathesis

CAST = json.loads(os.environ["FUZZ_CAST"])
ENDS_SESSIONS = {"log_out", "end_all_sessions", "end_session"}
# Mostly people who may do something; now and then a stranger with a forged token, or nobody.
_callers = cycle(["seller", "moderator", "seller", "admin", "buyer", "seller", "moderator", "suspended", None])
_listings = cycle(CAST["listings"])


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
    """Sign the call, and aim a well-formed listing id at a listing that exists."""
    operation_id = case.operation.definition.raw["operationId"]
    caller = "leaver" if operation_id in ENDS_SESSIONS else next(_callers)
    if caller is not None and case.headers is not None:
        case.headers["Authorization"] = f"Bearer {CAST['tokens'][caller]}"
    path = case.path_parameters or {}
    if _is_id(path.get("listing_id")):
        path["listing_id"] = next(_listings)


def _is_id(value: Any) -> bool:
    try:
        return str(UUID(value)) == value
    except (ValueError, TypeError, AttributeError):
        return False
