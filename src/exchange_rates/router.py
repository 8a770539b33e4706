"""`/exchange-rates`."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Response

from src.core.dependencies import AccountSuspended, SessionDep, permitted
from src.core.errors import Forbidden, Unauthorized, raises
from src.core.security import Actor, Permission
from src.core.strict import Router
from src.exchange_rates import service
from src.exchange_rates.errors import BaseIsNotOne, ExchangeRatesNotFound, RatesOfTheFuture
from src.exchange_rates.models import RateSet
from src.exchange_rates.schemas import RateSetCreate, RateSetRead

router = Router(prefix="/exchange-rates", tags=["exchange rates"])

Administrator = Annotated[Actor, Depends(permitted(Permission.ADMINISTER))]


def representation(rate_set: RateSet) -> RateSetRead:
    """The set with its rates by currency."""
    fields = {name: getattr(rate_set, name) for name in RateSetRead.model_fields if name != "rates"}
    return RateSetRead(**fields, rates={rate.currency: rate.rate for rate in rate_set.rates})


@router.get("", summary="Read the current exchange rates", responses=raises(ExchangeRatesNotFound))
async def read_current_exchange_rates(session: SessionDep) -> RateSetRead:
    """The rates of the latest day; `source` says whose figures they are."""
    return representation(await service.current(session))


@router.get("/{set_id}", summary="Read exchange rates by id", responses=raises(ExchangeRatesNotFound))
async def read_exchange_rates(session: SessionDep, set_id: UUID) -> RateSetRead:
    """A set of rates, current or former: none is ever changed or deleted."""
    return representation(await service.get(session, set_id))


@router.post(
    "",
    status_code=201,
    summary="Add exchange rates",
    responses=raises(Unauthorized, Forbidden, AccountSuspended, RatesOfTheFuture, BaseIsNotOne),
)
async def add_exchange_rates(
    session: SessionDep, actor: Administrator, data: RateSetCreate, response: Response
) -> RateSetRead:
    """Administrators only. The new set is current from now on, unless there is one of a later day."""
    rate_set = await service.create(session, data, created_by=actor.id)
    response.headers["Location"] = f"/api/v1/exchange-rates/{rate_set.id}"
    return representation(rate_set)
