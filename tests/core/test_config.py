"""Start-up refuses what must not reach users, and says which variable, never what it holds."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from src.core.config import Environment, InsecureSettingsError, Settings, UnreadableSettingsError, settings
from src.main import create_app

GUARDED = (Environment.STAGING, Environment.PRODUCTION)
KEY = "9f1c4be07a52d86e31bb07c2f4d98a65"
SOUND: dict[str, Any] = {
    "auth": {"secret_key": KEY, "bcrypt_rounds": 12},
    "database": {"url": "postgresql://k2k:pw@db/k2k"},
    "redis": {"url": "redis://cache:6379"},
    "amqp": {"url": "amqp://k2k:pw@broker"},
    "smtp": {"host": "smtp.key2key.example", "username": "k2k", "password": "pw"},
    "public_url": "https://api.key2key.example",
    "app_url": "https://key2key.example",
    "cors": {"origins": ["https://key2key.example"]},
    "docs": {"enabled": None},
}
SOUND_VARIABLES = {
    "AUTH_SECRET_KEY": KEY,
    "DATABASE_URL": "postgresql://k2k:pw@127.0.0.1:1/k2k",
    "REDIS_URL": "redis://127.0.0.1:1",
    "AMQP_URL": "amqp://k2k:pw@127.0.0.1:1",
    "SMTP_HOST": "127.0.0.1",
    "PUBLIC_URL": "https://key2key.example",
}
FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("AUTH_SECRET_KEY", {"auth": {"secret_key": None}}),
    ("AUTH_SECRET_KEY", {"auth": {"secret_key": ""}}),
    ("AUTH_SECRET_KEY", {"auth": {"secret_key": KEY[:31]}}),
    ("AUTH_SECRET_KEY", {"auth": {"secret_key": "a" * 64}}),
    ("AUTH_SECRET_KEY", {"auth": {"secret_key": "ChangeMe-" + KEY}}),
    ("AUTH_SECRET_KEY", {"auth": {"secret_key": "my-secret-" + KEY}}),
    ("AUTH_SECRET_KEY", {"auth": {"secret_key": "CHASECK_TEST-" + KEY}}),
    ("AUTH_BCRYPT_ROUNDS", {"auth": {"bcrypt_rounds": 9}}),
    ("DATABASE_URL", {"database": {"url": None}}),
    ("DATABASE_URL", {"database": {"url": ""}}),
    ("REDIS_URL", {"redis": {"url": None}}),
    ("AMQP_URL", {"amqp": {"url": None}}),
    ("AMQP_URL", {"amqp": {"url": "amqp://guest:guest@broker"}}),
    ("SMTP_HOST", {"smtp": {"host": None}}),
    ("PUBLIC_URL", {"public_url": "http://api.key2key.example"}),
    ("PUBLIC_URL", {"public_url": ""}),
    ("APP_URL", {"app_url": "http://key2key.example"}),
    ("DEBUG", {"debug": True}),
    ("DOCS_ENABLED", {"docs": {"enabled": True}}),
    ("CORS_ORIGINS", {"cors": {"origins": ["*"]}}),
    ("CORS_ORIGINS", {"cors": {"origins": ["https://*.key2key.example"]}}),
    ("CORS_ORIGINS", {"cors": {"origins": ["http://key2key.example"]}}),
    ("CORS_ORIGINS", {"cors": {"origins": ["https://key2key.example", "null"]}}),
    ("METRICS_TOKEN", {"metrics": {"token": KEY[:31]}}),
    ("SEED_PASSWORD", {"seed": {"password": "swordfish-77"}}),
]


def made(environment: Environment, **overrides: Any) -> Settings:
    """Sound settings but for the overrides, which are merged into their group."""
    groups = {**SOUND}
    for name, value in overrides.items():
        groups[name] = {**groups.get(name, {}), **value} if isinstance(value, dict) else value
    return Settings(environment=environment, **groups)


def values(overrides: Any) -> list[str]:
    if isinstance(overrides, dict):
        return [leaf for member in overrides.values() for leaf in values(member)]
    if isinstance(overrides, list):
        return [leaf for member in overrides for leaf in values(member)]
    return [overrides] if isinstance(overrides, str) and len(overrides) > 4 else []


def complaint(settings: Settings) -> str:
    """What start-up has against these settings."""
    try:
        settings.refuse_insecure()
    except InsecureSettingsError as refused:
        return str(refused)
    return ""


@pytest.mark.parametrize("environment", GUARDED)
def test_O07_sound_settings_start(environment: Environment) -> None:
    assert complaint(made(environment)) == ""


@pytest.mark.parametrize("environment", GUARDED)
@pytest.mark.parametrize(("variable", "overrides"), FAULTS)
def test_O07_start_up_names_the_variable_and_not_its_value(
    environment: Environment, variable: str, overrides: dict[str, Any]
) -> None:
    with pytest.raises(InsecureSettingsError) as refused:
        create_app(made(environment, **overrides))
    message = str(refused.value)
    assert message.startswith(f"{environment} refuses to start: {variable} ")
    assert not [value for value in values(overrides) if value in message]


def test_O07_every_fault_is_named_at_once() -> None:
    said = complaint(Settings(environment=Environment.PRODUCTION, auth={"secret_key": "x"}, debug=True))
    for variable in (
        "AUTH_SECRET_KEY",
        "DATABASE_URL",
        "REDIS_URL",
        "AMQP_URL",
        "SMTP_HOST",
        "PUBLIC_URL",
        "APP_URL",
        "DEBUG",
    ):
        assert variable in said


@pytest.mark.parametrize(
    "overrides", [overrides for variable, overrides in FAULTS if "secret_key" not in overrides.get("auth", {})]
)
def test_O07_development_starts_all_the_same(overrides: dict[str, Any]) -> None:
    assert complaint(made(Environment.DEVELOPMENT, **overrides)) == ""


def serve(tmp_path: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    """`key2key serve` with these variables alone."""
    environment = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path), **variables}
    command = [str(Path(sys.executable).with_name("key2key")), "serve"]
    return subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )


def test_O07_the_command_refuses_with_the_names_and_not_the_values(tmp_path: Path) -> None:
    faulty = {"AUTH_SECRET_KEY": "hunter2-too-short", "SEED_PASSWORD": "swordfish-77"}
    ended = serve(tmp_path, **SOUND_VARIABLES | {"ENVIRONMENT": "production"} | faulty)
    assert ended.returncode == 1
    for variable, value in faulty.items():
        assert variable in ended.stderr
        assert value not in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("variable", "value", "named"),
    [
        ("PORT", "hunter2", "PORT"),
        ("DATABASE_POOL_SIZE", "hunter2", "DATABASE_POOL_SIZE"),
        ("AUTH", '{"secret_key": ["hunter2"]}', "AUTH_SECRET_KEY"),
        ("AUTH", '{"secret_key": "hunter2', "auth"),
        ("AUTH_LOGIN_LIMIT", "hunter2", "AUTH_LOGIN_LIMIT"),
        ("ENVIRONMENT", "hunter2", "ENVIRONMENT"),
        ("SMTP", '{"security": "none", "username": "k2k", "password": "hunter2"}', "SMTP: .*unencrypted"),
        ("SMTP_SENDER", "hunter2", "SMTP_SENDER"),
        ("PUBLIC_URL", "hunter2", "PUBLIC_URL"),
        ("APP_URL", "https://key2key.example/?next=hunter2", "APP_URL"),
    ],
)
def test_a_variable_that_cannot_be_read_is_named_without_its_value(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, named: str
) -> None:
    monkeypatch.delenv("AUTH_SECRET_KEY")
    monkeypatch.setenv(variable, value)
    with pytest.raises(UnreadableSettingsError, match=named) as refused:
        settings.__wrapped__()
    assert "hunter2" not in str(refused.value)


def test_the_command_refuses_an_unreadable_variable_in_a_sentence(tmp_path: Path) -> None:
    ended = serve(tmp_path, AUTH='{"secret_key": ["hunter2"]}')
    assert (ended.returncode, ended.stderr.strip()) == (1, "AUTH_SECRET_KEY: Input should be a valid string")


def test_defaults_follow_the_environment() -> None:
    development, production = Settings(), made(Environment.PRODUCTION)
    assert (development.auth.require_verified, production.auth.require_verified) == (False, True)
    assert (development.listings.review, production.listings.review) == ("auto", "manual")
    assert (development.docs.enabled, production.docs.enabled) == (True, False)
    assert production.auth.login_limit == "10/minute"
    mails = (production.auth.mail_pace_limit, production.auth.mail_limit, production.auth.mail_daily_limit)
    assert mails == ("1/minute", "5/hour", "10/day")


def test_addresses_of_ours_follow_the_port_and_each_other() -> None:
    assert Settings(port=8001).public_url == "http://127.0.0.1:8001"
    assert Settings(port=8001).app_url == "http://127.0.0.1:8001"
    assert Settings(public_url="https://api.key2key.example").app_url == "https://api.key2key.example"


def test_origins_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORS_ORIGINS", "https://a.example, https://b.example,")
    assert Settings().cors.origins == ["https://a.example", "https://b.example"]


def test_in_development_a_secret_is_made_once_and_kept_to_its_owner(tmp_path: Path) -> None:
    unset: Any = {"secret_key": None}
    first = Settings(auth=unset, data_dir=tmp_path).secret()
    assert len(first) >= 32
    assert Settings(auth=unset, data_dir=tmp_path).secret() == first
    assert (tmp_path / "secret-key").stat().st_mode & 0o777 == 0o600


def test_secrets_are_not_shown() -> None:
    shown = repr(made(Environment.DEVELOPMENT, seed={"password": "swordfish-77"}))
    assert KEY not in shown
    assert "swordfish-77" not in shown


def test_secrets_may_be_files_and_variables_outrank_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AUTH_SECRET_KEY")
    for name, value in {
        "auth_secret_key": KEY,
        "database_url": "postgresql://file",
        "redis_url": "redis://file",
    }.items():
        (tmp_path / name).write_text(f"{value}\n")
    monkeypatch.setenv("REDIS_URL", "redis://variable")
    monkeypatch.setenv("AUTH_ISSUER", "somebody")
    made = Settings(_secrets_dir=tmp_path)
    assert (made.secret().decode(), made.auth.issuer) == (KEY, "somebody")
    assert (made.database.url, made.redis.url) == ("postgresql://file", "redis://variable")


def test_a_secret_file_that_cannot_be_read_as_what_it_should_be_is_named_without_its_value(tmp_path: Path) -> None:
    (tmp_path / "database_pool_size").write_text("hunter2")
    ended = serve(tmp_path, SECRETS_DIR=str(tmp_path))
    assert ended.returncode == 1
    assert ended.stderr.startswith("DATABASE_POOL_SIZE: ")
    assert "hunter2" not in ended.stderr
