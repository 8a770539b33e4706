"""What `prod.yml` promises of each of its containers, and that it starts what there is."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from src.core.broker import Queue
from src.core.config import Settings
from src.core.serving import GRACEFUL_SECONDS
from tests.conftest import ROOT

PROD, DEV = (yaml.safe_load((ROOT / name).read_text()) for name in ("prod.yml", "dev.yml"))
SERVICES: dict[str, dict[str, Any]] = PROD["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("key2key:")}


@pytest.mark.parametrize("name", SERVICES)
def test_each_container_may_do_little_and_use_so_much(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory", "pids"}
    assert service["restart"] == ("no" if name == "migrate" else "unless-stopped")


def test_images_are_pinned_and_the_same_in_development() -> None:
    images = {service["image"] for stack in (PROD, DEV) for service in stack["services"].values()}
    assert [image for image in images if not re.search(r":[\w${}:.-]*\d", image) and "key2key" not in image] == []
    assert PROD["services"]["postgres"]["image"] == DEV["services"]["postgres"]["image"]


def test_pg_dump_is_as_new_as_the_server() -> None:
    [major] = re.findall(r"POSTGRES_MAJOR=(\d+)", (ROOT / "Dockerfile").read_text())
    assert SERVICES["postgres"]["image"].startswith(f"postgres:{major}-")


def test_everybody_waits_for_the_migrations() -> None:
    waiting = {name for name, service in OURS.items() if "migrate" in service["depends_on"]}
    assert waiting == OURS.keys() - {"migrate"}


def test_every_secret_is_made_and_is_mounted_by_somebody(tmp_path: Path) -> None:
    subprocess.run(["sh", ROOT / "deploy/make_secrets.sh", tmp_path / "secrets"], check=True)
    made = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    wanted = {Path(secret["file"]).name for secret in PROD["secrets"].values()}
    mounted = {
        secret if isinstance(secret, str) else secret["source"]
        for service in SERVICES.values()
        for secret in service.get("secrets", [])
    }
    assert wanted == mounted == made.keys() - {"rabbitmq_password"}
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    subprocess.run(["sh", ROOT / "deploy/make_secrets.sh", tmp_path / "secrets"], check=True)
    assert {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()} == made


def test_production_starts_on_the_secrets_that_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AUTH_SECRET_KEY")
    monkeypatch.delenv("AUTH_BCRYPT_ROUNDS")
    asked = {"SMTP_HOST": "mail.example", "PUBLIC_URL": "https://api.example", "APP_URL": "https://app.example"}
    for name, value in {"ENVIRONMENT": "production", **asked}.items():
        monkeypatch.setenv(name, value)
    assert all(f"${{{name}:?" in SERVICES["app-1"]["environment"][name] for name in asked), "compose asks for them"
    subprocess.run(["sh", ROOT / "deploy/make_secrets.sh", tmp_path], check=True)
    for name in ("postgres_password", "redis_password", "redis_conf", "rabbitmq_password", "rabbitmq_conf"):
        (tmp_path / name).unlink()
    made = Settings(_secrets_dir=tmp_path)
    made.refuse_insecure()
    assert (made.environment, len(made.secret())) == ("production", 64)


def test_the_connections_of_all_processes_fit_into_the_server() -> None:
    settings, small = Settings().database, OURS["worker"]["environment"]
    # Two apps with two workers each; seven processes of four workers, the relay and beat; and a few for people.
    held = 2 * 2 * (settings.pool_size + settings.read_pool_size + 2)
    held += (7 + 2) * (int(small["DATABASE_POOL_SIZE"]) + int(small["DATABASE_READ_POOL_SIZE"]) + 2)
    [most] = [int(part.split("=")[1]) for part in SERVICES["postgres"]["command"] if "max_connections" in part]
    assert held + 20 <= most


def test_each_queue_has_a_worker_of_its_own() -> None:
    commands = [service["command"] for service in OURS.values() if "worker" in service.get("command", [])]
    assert sorted(commands) == sorted(["key2key", "worker", "--queue", queue] for queue in Queue)


def test_a_container_is_given_longer_to_leave_than_its_processes_take() -> None:
    steps = int(SERVICES["app-1"]["environment"]["HTTP_DRAIN_SECONDS"]) + GRACEFUL_SECONDS + 10
    assert int(SERVICES["app-1"]["stop_grace_period"].rstrip("s")) > steps
