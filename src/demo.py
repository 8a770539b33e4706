"""The demo of a first run in development: five accounts, exchange rates, and listings through the importer."""

import hashlib
import os
import secrets
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from src.auth import service as auth
from src.auth.models import Credential
from src.core import datasets
from src.core.config import Settings
from src.core.database import transaction
from src.core.security import Role, keyed_hash
from src.exchange_rates import files as rate_files
from src.exchange_rates import service as exchange_rates
from src.imports import landing
from src.imports.errors import ImportRefusedError
from src.imports.sheet import Sheet
from src.users import service as users
from src.users.models import User

log = structlog.get_logger(__name__)

_ACCOUNTS, _LISTINGS, _RATES = "demo-accounts", "demo", "demo-exchange-rates"
FOLDER = Path(__file__).resolve().parents[1] / "demo"


@dataclass(frozen=True, slots=True)
class Accounts:
    """The demo accounts and their password."""

    password: str
    emails: list[str]


@dataclass(frozen=True, slots=True)
class _Person:
    email: str
    full_name: str
    role: Role = Role.USER
    is_trusted: bool = False


@dataclass(frozen=True, slots=True)
class _File:
    name: str
    owner: str
    defaults: Mapping[str, str] = field(default_factory=dict)


_SELLER, _BROKER = "seller@key2key.example", "broker@key2key.example"
_PEOPLE = (
    _Person("admin@key2key.example", "Almaz Bekele", Role.ADMIN),
    _Person("moderator@key2key.example", "Meron Haile", Role.MODERATOR),
    _Person(_BROKER, "Biruk Tadesse", Role.BROKER, is_trusted=True),
    _Person(_SELLER, "Selam Girma"),
    _Person("buyer@key2key.example", "Yonas Alemu"),
)
# In this order, so that the Ethiopian listings are the newest.
_FILES = (
    _File("properties_ames.csv", _SELLER),
    # The file says only which country its cars are in; the demo puts them in the town of the other American data.
    _File("vehicles_gm_2005.csv", _SELLER, {"city": "Ames", "region": "Iowa"}),
    _File("properties_ethiopia.csv", _BROKER),
    _File("vehicles_ethiopia.csv", _BROKER),
)

_RATES_FILE = "exchange_rates.json"


async def prepare(settings: Settings, folder: Path = FOLDER) -> Accounts:
    """Make sure of accounts and, once for each database, listings; a crash half-way is made good by the next call."""
    async with transaction() as session:
        await datasets.lock(session, _ACCOUNTS)
        password = _password(settings)
        await _make_sure_of_accounts(session, password)
    await _make_sure_of_rates(folder)
    await _make_sure_of_listings(folder)
    return Accounts(password, [person.email for person in _PEOPLE])


def _password(settings: Settings) -> str:
    """The configured one; or one made up at the first start and kept."""
    if settings.seed.password is not None:
        return settings.seed.password.get_secret_value()
    path = settings.data_dir / "demo-password"
    kept = path.read_text() if path.exists() else ""
    return kept or _keep(path, secrets.token_urlsafe(12))


def _keep(path: Path, password: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(password)
    return password


async def _make_sure_of_accounts(session: AsyncSession, password: str) -> None:
    if await datasets.loaded_version(session, _ACCOUNTS) == await _fingerprint(session, password):
        return
    for person in _PEOPLE:
        user = await users.find_by_email(session, person.email) or await _open_account(session, person)
        await auth.set_password(session, user.id, password)
    await datasets.mark_loaded(session, _ACCOUNTS, await _fingerprint(session, password))


async def _open_account(session: AsyncSession, person: _Person) -> User:
    user = await users.create(
        session, full_name=person.full_name, email=person.email, role=person.role, is_verified=True
    )
    if person.is_trusted:
        await users.trust(session, user)
    return user


async def _fingerprint(session: AsyncSession, password: str) -> str:
    """Tells, without the seconds that hashing takes, whether all accounts still have this password."""
    stored = await session.execute(
        select(User.email_key, Credential.password_hash)
        .join(Credential, Credential.user_id == User.id)
        .where(User.email_key.in_(users.email_key(person.email) for person in _PEOPLE))
        .order_by(User.email_key)
    )
    return keyed_hash(_ACCOUNTS, repr([password, *map(tuple, stored)]))


async def _make_sure_of_rates(folder: Path) -> None:
    """Figures to try out with; rates that somebody adds are of a later day, and so come before them."""
    version = _version(folder, _RATES_FILE)
    async with transaction() as session:
        await datasets.lock(session, _RATES)
        if version is None or await datasets.loaded_version(session, _RATES) == version:
            return
        with (folder / _RATES_FILE).open("rb") as file:
            await exchange_rates.create(session, rate_files.read(file), created_by=None)
        await datasets.mark_loaded(session, _RATES, version)


async def _make_sure_of_listings(folder: Path) -> None:
    version = _version(folder, *(file.name for file in _FILES))
    async with transaction() as session:
        if version is None or await datasets.loaded_version(session, _LISTINGS) == version:
            return
    for file in _FILES:
        await _import(folder / file.name, file)
    async with transaction() as session:
        await datasets.mark_loaded(session, _LISTINGS, version)


def _version(folder: Path, *names: str) -> str | None:
    """What the files hold, as a hash; None where only the package is installed."""
    if not folder.is_dir():
        return None
    return hashlib.sha256(b"".join((folder / name).read_bytes() for name in names)).hexdigest()


async def _import(path: Path, file: _File) -> None:
    try:
        async with transaction() as session:
            owner = await landing.find_owner(session, file.owner)
    except ImportRefusedError as refused:  # somebody tried out what becomes of a suspended seller
        log.warning("demo_not_imported", file=file.name, reason=str(refused))
        return
    figures: Counter[str] = Counter()
    with path.open("rb") as opened:
        async for batch in landing.land(Sheet(opened, file.defaults), owner.id):
            figures.update(verdict.outcome for verdict in batch)
    log.info("demo_imported", file=file.name, **figures)
