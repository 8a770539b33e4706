"""Opens an account, offers two cars, and finds them: the generated Python client at work.

`make clients` generates the client, checks the types of this file and runs it against a server of its own.
"""

import sys
from collections.abc import Iterator
from typing import TypeVar
from uuid import uuid4

from key2key_client import AuthenticatedClient, Client
from key2key_client.api.auth import log_in, register_user
from key2key_client.api.listings import submit_listing
from key2key_client.api.vehicles import create_vehicle, search_vehicles
from key2key_client.models import (
    Location,
    LoginForm,
    MileageUnit,
    Money,
    Problem,
    Purpose,
    SearchVehiclesSortType0,
    TokenPair,
    UserCreate,
    VehicleCreate,
    VehicleFields,
    VehicleListing,
    VehicleListingSearchPage,
)

T = TypeVar("T")

PASSWORD = "brown-hyena-41-tej"


class RefusedError(Exception):
    """The server answered with a problem document (RFC 9457)."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.status} {problem.code}: {problem.detail}")
        self.problem = problem


def done(answer: T | Problem | None) -> T:
    """The answer itself; a problem is raised."""
    if isinstance(answer, Problem):
        raise RefusedError(answer)
    if answer is None:
        raise RuntimeError("the server answered something that openapi.json does not know")
    return answer


def sign_in(address: str) -> AuthenticatedClient:
    """A client in the name of a new account."""
    email = f"{uuid4()}@example.com"
    with Client(base_url=address) as client:
        account = UserCreate(full_name="Hana Tesfaye", email=email, password=PASSWORD)
        done(register_user.sync(client=client, body=account))
        tokens: TokenPair = done(log_in.sync(client=client, body=LoginForm(username=email, password=PASSWORD)))
    return AuthenticatedClient(base_url=address, token=tokens.access_token)


def car(word: str, price: int) -> VehicleCreate:
    """A car that is complete enough to publish; `price` is in cents."""
    return VehicleCreate(
        title=f"Toyota Vitz {word}",
        purpose=Purpose.SALE,
        price=Money(amount=price, currency="ETB"),
        location=Location(country="ET", city="Addis Ababa", latitude=8.99, longitude=38.79),
        vehicle=VehicleFields(make="Toyota", model="Vitz", model_year=2012, mileage=98000, mileage_unit=MileageUnit.KM),
    )


def found(client: AuthenticatedClient, word: str) -> Iterator[VehicleListing]:
    """Every car with this word, dearest first, page by page."""
    cursor: str | None = None
    while True:
        page: VehicleListingSearchPage = done(
            search_vehicles.sync(
                client=client, q=word, currency="ETB", sort=SearchVehiclesSortType0.PRICE_DESC, limit=1, cursor=cursor
            )
        )
        yield from page.items
        cursor = page.next_cursor
        if cursor is None:
            return


def main(address: str) -> None:
    word = f"w{uuid4().hex[:10]}"
    with sign_in(address) as client:
        for price in (185_000_000, 179_000_000):
            draft: VehicleListing = done(create_vehicle.sync(client=client, body=car(word, price)))
            done(submit_listing.sync(draft.id, client=client))
        prices = [listing.price.amount for listing in found(client, word) if isinstance(listing.price, Money)]
        print("found", prices)
        try:
            done(create_vehicle.sync(client=client, body=car(word, price=-1)))
        except RefusedError as refused:
            print("refused", refused.problem.code, [field.pointer for field in refused.problem.errors])


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000")
