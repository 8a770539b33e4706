"""Use cases of exchange rates, and the tables that searches calculate with."""

import time
from decimal import Decimal
from uuid import UUID

from sqlalchemy import Select, event, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, selectinload

from src.core import audit, clock
from src.core.errors import FieldError
from src.core.events import emit
from src.exchange_rates.conversion import NO_RATES, RateTable
from src.exchange_rates.errors import BaseIsNotOne, ExchangeRatesNotFound, RatesOfTheFuture
from src.exchange_rates.events import ExchangeRatesUpdated
from src.exchange_rates.models import Rate, RateSet
from src.exchange_rates.schemas import RateSetCreate

CACHE_SECONDS = 3.0
# Pages of one search keep to the set they began with; sets never change, so only memory limits how many are kept.
MOST_TABLES = 16

_current: UUID | None = None
_current_until = 0.0
_tables: dict[UUID, RateTable] = {}


async def get(session: AsyncSession, set_id: UUID) -> RateSet:
    """A set with its rates.

    Raises:
        ExchangeRatesNotFound: there is none with this id.
    """
    return _found(await session.scalar(_whole().where(RateSet.id == set_id)))


async def current(session: AsyncSession) -> RateSet:
    """The set of the latest day, and of that day the newest, with its rates.

    Raises:
        ExchangeRatesNotFound: there is none yet.
    """
    return _found(await find_current(session))


async def find_current(session: AsyncSession) -> RateSet | None:
    """What `current` gives, or None."""
    return (await session.scalars(_newest_first(_whole()).limit(1))).first()


def _whole() -> Select[RateSet]:
    return select(RateSet).options(selectinload(RateSet.rates))


def _newest_first(sets: Select[RateSet] | Select[UUID]) -> Select[RateSet]:
    return sets.order_by(RateSet.as_of.desc(), RateSet.id.desc())  # type: ignore[return-value]


def _found(rate_set: RateSet | None) -> RateSet:
    if rate_set is None:
        raise ExchangeRatesNotFound
    return rate_set


async def create(session: AsyncSession, data: RateSetCreate, created_by: UUID | None) -> RateSet:
    """Add a set of rates; nobody (None) is a job.

    Raises:
        RatesOfTheFuture: `as_of` is later than today in UTC.
        BaseIsNotOne: the base has a rate other than 1, or is the only currency.
    """
    if data.as_of > clock.now().date():
        raise RatesOfTheFuture(errors=[_refusal("/as_of", RatesOfTheFuture)])
    rates = _without_base(data)
    common = data.model_dump(exclude={"rates"})
    rate_set = RateSet(**common, created_at=clock.now(), created_by=created_by)
    rate_set.rates = [Rate(currency=currency, rate=rates[currency]) for currency in sorted(rates)]
    session.add(rate_set)
    await session.flush()
    audit.record(session, "exchange_rates.update", actor_id=created_by, subject_id=rate_set.id, currencies=len(rates))
    await emit(session, ExchangeRatesUpdated(rate_set_id=rate_set.id))
    event.listen(session.sync_session, "after_commit", _forget_after_commit)
    return rate_set


async def create_unless_current(session: AsyncSession, data: RateSetCreate) -> RateSet | None:
    """For a job that may bring the same figures twice: None where the current set says just that.

    Raises:
        RatesOfTheFuture, BaseIsNotOne: as `create`.
    """
    known = await find_current(session)
    if known is not None and _says_the_same(known, data):
        return None
    return await create(session, data, created_by=None)


def _says_the_same(known: RateSet, data: RateSetCreate) -> bool:
    if (known.base, known.as_of, known.source) != (data.base, data.as_of, data.source):
        return False
    return {rate.currency: rate.rate for rate in known.rates} == _without_base(data)


def _without_base(data: RateSetCreate) -> dict[str, Decimal]:
    rates = dict(data.rates)
    if rates.pop(data.base, 1) != 1:
        raise BaseIsNotOne(errors=[_refusal(f"/rates/{data.base}", BaseIsNotOne)])
    if not rates:
        raise BaseIsNotOne(errors=[_refusal("/rates", BaseIsNotOne)])
    return rates


def _refusal(pointer: str, error: type[RatesOfTheFuture | BaseIsNotOne]) -> FieldError:
    return FieldError("body", pointer, error.code, error.title)


def known_table(set_id: UUID | None) -> RateTable | None:
    """The rates of this set, or without one the current rates, if this process need not ask the database for them."""
    wanted = set_id or (_current if time.monotonic() < _current_until else None)
    return _tables.get(wanted) if wanted else None


async def current_table(session: AsyncSession) -> RateTable:
    """The current rates to calculate with, at most `CACHE_SECONDS` old; `NO_RATES` where there are none."""
    global _current, _current_until  # noqa: PLW0603 - one cache per process
    if time.monotonic() >= _current_until:
        until = time.monotonic() + CACHE_SECONDS
        _current = await session.scalar(_newest_first(select(RateSet.id)).limit(1))
        _current_until = until
    return NO_RATES if _current is None else await table(session, _current)


async def table(session: AsyncSession, set_id: UUID) -> RateTable:
    """The rates of this set to calculate with, such as the one that a cursor began with.

    Raises:
        ExchangeRatesNotFound: there is none with this id.
    """
    if set_id not in _tables:
        rate_set = await get(session, set_id)
        made = RateTable.of(set_id, rate_set.base, {rate.currency: rate.rate for rate in rate_set.rates})
        while len(_tables) >= MOST_TABLES:
            _tables.pop(next(iter(_tables)))
        _tables[set_id] = made
    return _tables[set_id]


def _forget_after_commit(_: Session) -> None:
    forget()


def forget() -> None:
    """Ask the database, the next time, which set is the current one."""
    global _current_until  # noqa: PLW0603
    _current_until = 0.0
