"""Makes people, as rows since every test needs some, and listings, through the API as their owners would."""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from itertools import count
from typing import Any
from uuid import UUID

import httpx

from src.auth import passwords, refresh_tokens
from src.auth import service as auth
from src.auth.models import AuthSession, Credential
from src.core import clock, config, database
from src.core.security import Role, issue_access_token
from src.users import service as users
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

    @property
    def access_token(self) -> str:
        """What the headers carry."""
        return self.headers["Authorization"].removeprefix("Bearer ")


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


@cache
def _hash() -> str:
    return passwords._hash(PASSWORD, config.settings().auth.bcrypt_rounds)


def _user(**overrides: Any) -> User:
    now = clock.now()
    data = {"full_name": "Hana Tesfaye", "email": f"person{next(_numbers)}@example.com"} | overrides
    return User(**data, email_key=users.email_key(data["email"]), created_at=now, updated_at=now)


def _session(user_id: UUID) -> AuthSession:
    now, salt = clock.now(), secrets.token_bytes(32)
    expiry = now + timedelta(days=config.settings().auth.refresh_token_days)
    return AuthSession(user_id=user_id, salt=salt, created_at=now, refreshed_at=now, expires_at=expiry)


def _bearer(access_token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {access_token}"}


class World:
    """People and listings for a test."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def person(self, role: Role = Role.USER, status: UserStatus = UserStatus.ACTIVE, **overrides: Any) -> Person:
        """An account of this role and status, and a session of it."""
        user = _user(role=role, status=status, **overrides)
        async with database.transaction() as session:
            session.add(user)
            await session.flush()
            opened = _session(user.id)
            session.add_all([Credential(user_id=user.id, password_hash=_hash(), changed_at=clock.now()), opened])
        access_token, _ = issue_access_token(user.id, opened.id, role, auth.standing_of(user))
        return Person(user.id, user.email, PASSWORD, _bearer(access_token), refresh_tokens.issue(opened, 1))

    async def sign_in(self, user_id: UUID, email: str, password: str = PASSWORD) -> Person:
        """Another session of the same person."""
        answer = await self.client.post("/api/v1/auth/login", data={"username": email, "password": password})
        assert answer.status_code == 200, answer.text
        tokens = answer.json()
        return Person(user_id, email, password, _bearer(tokens["access_token"]), tokens["refresh_token"])

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
