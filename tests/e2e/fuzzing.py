"""Schemathesis against the running server: `make fuzz`. Not named test_…, since it is no part of `make test`."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import orjson
import pytest

from src.auth.one_time_tokens import Purpose
from src.core import config
from src.core.security import Role
from src.users.models import UserStatus
from tests.auth.mailed import mint
from tests.contract import Contract
from tests.e2e.server import serving
from tests.factories import PASSWORD, Person, World, property_data, vehicle_data

ROOT = Path(__file__).resolve().parents[2]
SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")


async def cast(world: World) -> dict[str, list[Person]]:
    """People in every part; each of those who leave does so once."""
    return {
        "seller": [await world.person()],
        "buyer": [await world.person()],
        "leaver": [await world.person() for _ in range(12)],
        "moderator": [await world.person(role=Role.MODERATOR)],
        "admin": [await world.person(role=Role.ADMIN)],
        "suspended": [await world.person(status=UserStatus.SUSPENDED)],
        "changer": [await world.person() for _ in range(3)],
        "forgetful": [await world.person() for _ in range(5)],
    }


async def stock(world: World, seller: Person) -> dict[str, list[str]]:
    """A few listings of the seller in several states, by the path of their kind."""
    stocked: dict[str, list[str]] = defaultdict(list)
    for path, data in (("vehicles", vehicle_data()), ("properties", property_data())):
        for action in ("pause", "reserve", "withdraw", None, None, None):
            listing = await world.published(seller, data)
            if action:
                await world.act(seller, listing, action)
            stocked[path].append(listing["id"])
        stocked[path] += [(await world.draft(seller, data))["id"] for _ in range(6)]
    return stocked


async def change(world: World, seller: Person, listings: list[str]) -> None:
    """Make other things of published vehicles, which waits for a moderator."""
    for listing in listings:
        body = {"vehicle": {"make": "Suzuki"}}
        headers = seller.headers | {"If-Match": "*"}
        answer = await world.client.patch(f"/api/v1/vehicles/{listing}", json=body, headers=headers)
        assert answer.status_code == 200, answer.text


def attack(address: str, told: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """Run Schemathesis with everything in schemathesis.toml."""
    options = ["--config-file", "tests/e2e/schemathesis.toml", "--no-color"]
    return subprocess.run(
        [SCHEMATHESIS, *options, "run", "openapi.json", "--url", address],
        cwd=ROOT,
        env=os.environ | {"FUZZ_CAST": json.dumps(told)},
        capture_output=True,
        text=True,
        check=False,
    )


def never_done(log: list[str]) -> set[str]:
    """The operations that only ever refused."""
    document = orjson.loads((ROOT / "openapi.json").read_bytes())
    operations = Contract(document)
    done = set()
    for line in log:
        if found := re.search(r"method=(\w+) .*path=(\S+) .*status=2", line):
            operation = operations.find(found[1], found[2])
            done.add(operation and operation[1]["operationId"])
    return {operation["operationId"] for path in document["paths"].values() for operation in path.values()} - done


async def test_I19_the_server_keeps_its_contract_whatever_it_is_sent(
    committed: None, world: World, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = await cast(world)
    tokens = {part: [person.access_token for person in persons] for part, persons in people.items()}
    seller = people["seller"][0]
    listings = await stock(world, seller)
    listings["changed"] = [(await world.published(seller))["id"] for _ in range(6)]
    # From here on a moderator sees things first.
    monkeypatch.setattr(config.settings().listings, "review", "manual")
    monkeypatch.setenv("LISTINGS_REVIEW", "manual")
    listings["pending"] = [(await world.published(seller))["id"] for _ in range(6)]
    await change(world, seller, listings["changed"])
    mailed = {purpose: [await mint(person.id, purpose) for person in people["forgetful"]] for purpose in Purpose}
    told = {"tokens": tokens, "listings": listings, "mailed": mailed, "password": PASSWORD}
    with serving(database_url, tmp_path) as server:
        ran = await asyncio.to_thread(attack, server.address, told)
        server.leave(signal.SIGTERM)
    # Some of what it sends is very long.
    assert ran.returncode == 0, re.sub(r"(\S{500})\S+", r"\1…", ran.stdout)[-20_000:] + ran.stderr
    assert "Traceback" not in "".join(server.log)
    # A few need a state that single calls do not bring about; were it many, they would stop at the door.
    assert len(never_done(server.log)) < 8, never_done(server.log)
