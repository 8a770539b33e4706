"""Takes a listing through its life as its owner, a moderator or the system would."""

from dataclasses import dataclass
from itertools import count, cycle
from typing import Any
from uuid import UUID

from httpx import AsyncClient

from src.core import database
from src.core.errors import ProblemError
from src.core.security import Role
from src.listings import actions
from src.listings.models import HoldReason, Listing
from tests.factories import Person, World, property_data, vehicle_data

OWNER = ("submit", "pause", "resume", "reserve", "release", "close", "withdraw", "renew", "relist")
MODERATOR = ("approve", "request-changes", "reject", "suspend", "restore")
SYSTEM = ("hold", "lift", "expire", "archive")
ACTIONS = (*OWNER, *MODERATOR, *SYSTEM, "delete", "edit")
# To say of a vehicle what makes it another one, and what becomes of that where listings are reviewed.
PROPOSE = "propose"
PENDING = ("approve-change", "reject-change", "drop-change")

# Where listings are reviewed: what leads to each state.
ROUTES: dict[str, tuple[str, ...]] = {
    "draft": (),
    "pending_review": ("submit",),
    "changes_requested": ("submit", "request-changes"),
    "rejected": ("submit", "reject", "edit"),
    "published": ("submit", "approve"),
    "reserved": ("submit", "approve", "reserve"),
    "on_hold": ("submit", "approve", "pause", "hold"),
    "sold": ("submit", "approve", "close"),
    "rented": ("submit", "approve", "close"),
    "withdrawn": ("submit", "approve", "withdraw"),
    "expired": ("submit", "approve", "expire"),
    "suspended": ("submit", "approve", "suspend"),
    "archived": ("submit", "approve", "withdraw", "archive"),
}
PUBLIC = ("published", "reserved")

_titles = count(1)
# Never the year that the factory gives.
_years = cycle(range(2013, 2101))


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an action ended: the HTTP status, and the problem's code and detail."""

    status: int
    code: str | None = None
    detail: str = ""

    @property
    def is_done(self) -> bool:
        return self.status < 300


@dataclass
class Journey:
    """The people around a listing; `first` moderates, `second` hears appeals."""

    client: AsyncClient
    owner: Person
    first: Person
    second: Person

    async def start(self, state: str, data: dict[str, Any] | None = None) -> str:
        """A new listing brought to `state` where listings are reviewed; its id."""
        data = data or (property_data() if state == "rented" else vehicle_data())
        path = "properties" if "property" in data else "vehicles"
        saved = await self.client.post(f"/api/v1/{path}", json=data, headers=self.owner.headers)
        listing_id: str = saved.json()["id"]
        for action in ROUTES[state]:
            assert (await self.take(action, listing_id)).is_done
        return listing_id

    async def take(
        self, action: str, listing_id: str, by: Person | None = None, reason: HoldReason = HoldReason.LICENCE
    ) -> Outcome:
        """Try the action, as whoever may take it unless `by` says otherwise."""
        if action in SYSTEM:
            return await _as_system(action, listing_id, reason)
        if action in MODERATOR:
            judge = by or (self.second if action == "restore" else self.first)
            return await self._send("POST", f"/listings/{listing_id}/{action}", judge, {"reason": "As agreed."})
        if action in PENDING:
            return await self._pending(action, f"/listings/{listing_id}/pending-change", by or self.first)
        if action in OWNER:
            return await self._send("POST", f"/listings/{listing_id}/{action}", self.owner)
        return await self._of_kind(action, listing_id)

    async def _of_kind(self, action: str, listing_id: str) -> Outcome:
        path = await self._path(listing_id)
        if action == "delete":
            return await self._send("DELETE", path, self.owner)
        title, year = {"title": f"Another title {next(_titles)}"}, {"vehicle": {"model_year": next(_years)}}
        return await self._send("PATCH", path, self.owner, year if action == PROPOSE else title)

    async def _pending(self, action: str, path: str, judge: Person) -> Outcome:
        if action == "drop-change":
            return await self._send("DELETE", path, self.owner)
        return await self._send("POST", f"{path}/{action.removesuffix('-change')}", judge, {"reason": "As agreed."})

    async def seen(self, listing_id: str) -> dict[str, Any]:
        """The listing as its owner reads it."""
        answer = await self.client.get(f"/api/v1/listings/{listing_id}", headers=self.owner.headers)
        assert answer.status_code == 200
        listing: dict[str, Any] = answer.json()
        return listing

    async def _path(self, listing_id: str) -> str:
        kind = (await self.seen(listing_id))["kind"]
        return f"/{'vehicles' if kind == 'vehicle' else 'properties'}/{listing_id}"

    async def _send(self, method: str, path: str, by: Person, body: dict[str, Any] | None = None) -> Outcome:
        if path.endswith("/approve"):
            body = None
        needs_version = method == "PATCH" or path.endswith("/pending-change/approve")
        headers = by.headers | ({"If-Match": "*"} if needs_version else {})
        answer = await self.client.request(method, "/api/v1" + path, json=body, headers=headers)
        if answer.is_success:
            return Outcome(answer.status_code)
        problem = answer.json()
        return Outcome(answer.status_code, problem["code"], problem["detail"])


async def _as_system(action: str, listing_id: str, reason: HoldReason) -> Outcome:
    use_case: Any = getattr(actions, action)
    extra = (reason,) if action in ("hold", "lift") else ()
    try:
        async with database.transaction() as session:
            listing = await session.get_one(Listing, UUID(listing_id), with_for_update=True)
            await use_case(session, listing, *extra)
    except ProblemError as problem:
        return Outcome(problem.status, problem.code, problem.detail or problem.title)
    return Outcome(200)


async def journey(client: AsyncClient, world: World) -> Journey:
    """An owner and two moderators."""
    owner, first, second = [await world.person(role) for role in (Role.USER, Role.MODERATOR, Role.MODERATOR)]
    return Journey(client, owner, first, second)
