"""Makes people and listings, through the API where a client could."""

from dataclasses import dataclass
from itertools import count
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import update

from src.core import database
from src.core.security import Role
from src.users.models import User, UserStatus

PASSWORD = "brown-hyena-41-tej"

_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Person:
    """A signed-in user."""

    id: UUID
    email: str
    password: str
    headers: dict[str, str]
    refresh_token: str


def vehicle_data(**overrides: Any) -> dict[str, Any]:
    """A vehicle complete enough to publish."""
    return {
        "title": "Toyota Vitz 2012",
        "purpose": "sale",
        "price": {"amount": 185000000, "currency": "ETB"},
        "location": {"country": "ET", "city": "Addis Ababa", "latitude": 8.991234, "longitude": 38.791234},
        "vehicle": {"make": "Toyota", "model": "Vitz", "model_year": 2012, "mileage": 98000, "mileage_unit": "km"},
    } | overrides


def property_data(**overrides: Any) -> dict[str, Any]:
    """A property complete enough to publish."""
    return {
        "title": "Two bedrooms in Bole",
        "purpose": "rent",
        "rent_period": "month",
        "price": {"amount": 3500000, "currency": "ETB"},
        "location": {"country": "ET", "city": "Addis Ababa", "latitude": 8.991234, "longitude": 38.791234},
        "property": {"property_type": "residential", "living_area_m2": 85.5, "bedrooms_total": 2},
    } | overrides


class World:
    """People and listings for a test."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def person(self, role: Role = Role.USER, status: UserStatus = UserStatus.ACTIVE, **overrides: Any) -> Person:
        """Register, take on a role and status, and sign in."""
        data = {"full_name": "Hana Tesfaye", "email": f"person{next(_numbers)}@example.com", "password": PASSWORD}
        data |= overrides
        registered = await self.client.post("/api/v1/auth/register", json=data)
        assert registered.status_code == 201, registered.text
        user_id = UUID(registered.json()["id"])
        async with database.transaction() as session:
            await session.execute(update(User).where(User.id == user_id).values(role=role, status=status))
        return await self.sign_in(user_id, data["email"], data["password"])

    async def sign_in(self, user_id: UUID, email: str, password: str = PASSWORD) -> Person:
        """Another session of the same person."""
        answer = await self.client.post("/api/v1/auth/login", data={"username": email, "password": password})
        assert answer.status_code == 200, answer.text
        tokens = answer.json()
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        return Person(user_id, email, password, headers, tokens["refresh_token"])

    async def draft(self, owner: Person, data: dict[str, Any] | None = None) -> dict[str, Any]:
        """Save a draft: a vehicle, or what `data` describes."""
        data = data or vehicle_data()
        path = "properties" if "property" in data else "vehicles"
        answer = await self.client.post(f"/api/v1/{path}", json=data, headers=owner.headers)
        assert answer.status_code == 201, answer.text
        listing: dict[str, Any] = answer.json()
        return listing

    async def published(self, owner: Person, data: dict[str, Any] | None = None) -> dict[str, Any]:
        """A draft, submitted (and in tests published unseen)."""
        listing = await self.draft(owner, data)
        return await self.act(owner, listing, "submit")

    async def act(self, person: Person, listing: dict[str, Any], action: str, **body: Any) -> dict[str, Any]:
        """Take an action that must succeed; the listing afterwards."""
        answer = await self.client.post(
            f"/api/v1/listings/{listing['id']}/{action}", json=body or None, headers=person.headers
        )
        assert answer.status_code == 200, answer.text
        moved: dict[str, Any] = answer.json()
        return moved
