"""Schemathesis against the running server: `make fuzz`. Not named test_…, since it is no part of `make test`."""

import json
import os
import subprocess
import sys
from pathlib import Path

from src.core.security import Role
from src.users.models import UserStatus
from tests.e2e.server import serving
from tests.factories import Person, World, property_data, vehicle_data

ROOT = Path(__file__).resolve().parents[2]
SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")


async def cast(world: World) -> dict[str, Person]:
    """People in every role."""
    return {
        "seller": await world.person(),
        "buyer": await world.person(),
        "leaver": await world.person(),
        "moderator": await world.person(role=Role.MODERATOR),
        "admin": await world.person(role=Role.ADMIN),
        "suspended": await world.person(status=UserStatus.SUSPENDED),
    }


async def stock(world: World, seller: Person) -> list[str]:
    """A few listings of the seller, of both kinds and in several states."""
    made = [await world.published(seller, data) for data in (vehicle_data(), property_data()) * 4]
    for listing, action in zip(made[4:], ("pause", "reserve", "withdraw", "close"), strict=True):
        await world.act(seller, listing, action)
    drafts = [await world.draft(seller, data) for data in (vehicle_data(), property_data())]
    return [listing["id"] for listing in made + drafts]


async def test_I19_the_server_keeps_its_contract_whatever_it_is_sent(
    committed: None, world: World, database_url: str, tmp_path: Path
) -> None:
    people = await cast(world)
    tokens = {name: person.headers["Authorization"].removeprefix("Bearer ") for name, person in people.items()}
    told = json.dumps({"tokens": tokens, "listings": await stock(world, people["seller"])})
    with serving(database_url, tmp_path) as server:
        ran = subprocess.run(
            [SCHEMATHESIS, "--config-file", "tests/e2e/schemathesis.toml", "run", "openapi.json"]
            + ["--url", server.address, "--no-color"],
            cwd=ROOT,
            env=os.environ | {"FUZZ_CAST": told},
            capture_output=True,
            text=True,
            check=False,
        )
    Path("/tmp/tooling/fuzz.log").write_text(ran.stdout + ran.stderr)
    assert ran.returncode == 0, ran.stdout[-20_000:] + ran.stderr
