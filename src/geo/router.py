"""`/geo`: countries and cities."""

from typing import Annotated

from fastapi import Query

from src.core.conditional import cached
from src.core.dependencies import SessionDep
from src.core.strict import Router
from src.geo import service
from src.geo.schemas import CityList, CityRead, CitySearch, CountryList, CountryRead

router = Router(prefix="/geo", tags=["geo"])


@router.get("/countries", summary="List countries")
@cached("reference_cache_seconds")
async def list_countries(session: SessionDep) -> CountryList:
    """Every country with its currency and telephone prefix, by name."""
    found = await service.list_countries(session)
    return CountryList(items=[CountryRead.model_validate(country) for country in found])


@router.get("/cities", summary="Find cities by how their name begins")
@cached("reference_cache_seconds")
async def list_cities(session: SessionDep, search: Annotated[CitySearch, Query()]) -> CityList:
    """Cities of a country, the largest first; `q` matches the beginning of any name, in Latin or Ethiopic script."""
    found = await service.search_cities(session, country=search.country, q=search.q, limit=search.limit)
    return CityList(items=[CityRead.model_validate(city) for city in found])
