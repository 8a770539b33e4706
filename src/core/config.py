"""Settings: one object, read once from the environment (and `.env`), grouped by what they configure.

`DATABASE_URL` is `settings().database.url`, `AUTH_SECRET_KEY` is `settings().auth.secret_key`, and so on.
"""

import os
import secrets
from contextlib import suppress
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

SHORTEST_SECRET = 32
PLACEHOLDERS = ("change", "default", "example", "secret", "password", "test")

CommaSeparated = Annotated[list[str], NoDecode]
RateLimit = Annotated[str, Field(pattern=r"^([1-9][0-9]*/(second|minute|hour|day))?$")]


class Environment(StrEnum):
    """Where this process runs; everything but development is guarded at start-up."""

    DEVELOPMENT = "development"
    STAGING = "staging"
    PRODUCTION = "production"


class InsecureSettingsError(Exception):
    """Start-up is refused; the message names each variable and never its value."""


class UnreadableSettingsError(InsecureSettingsError):
    """A variable does not hold what it should."""


class DatabaseSettings(BaseModel):
    """PostgreSQL; without a URL, development runs an embedded server."""

    url: str | None = None
    read_url: str | None = Field(None, description="A replica for anonymous reads of listings; else `DATABASE_URL`.")
    pool_size: int = Field(10, ge=2, le=200)
    read_pool_size: int = Field(10, ge=2, le=200, description="Connections for hot reads, per server.")
    pool_timeout: float = Field(5, gt=0, description="Seconds to wait for a free connection before answering 503.")
    statement_timeout_ms: int = Field(15_000, ge=1)
    lock_timeout_ms: int = Field(5_000, ge=1)
    idle_transaction_timeout_ms: int = Field(60_000, ge=1)
    pgbouncer: bool = Field(False, description="Behind PgBouncer in transaction mode: no prepared statements.")


class RedisSettings(BaseModel):
    """Redis; without a URL, development uses an in-process stand-in."""

    url: str | None = None


class AmqpSettings(BaseModel):
    """RabbitMQ; without a URL, the relay runs the handlers in this process."""

    url: str | None = None


class AuthSettings(BaseModel):
    """Tokens, sessions and passwords."""

    secret_key: SecretStr | None = None
    issuer: str = "key2key"
    audience: str = "key2key-api"
    access_token_minutes: int = Field(30, ge=1)
    refresh_token_days: int = Field(7, ge=1, description="A session unused for so long has ended.")
    session_days: int = Field(90, ge=1, description="A session ends so long after its login, used or not.")
    refresh_grace_seconds: int = Field(30, ge=0, description="How long a lost refresh answer may be asked for again.")
    require_verified: bool | None = Field(None, description="Off in development unless set.")
    bcrypt_rounds: int = Field(12, ge=4, le=16)
    register_limit: RateLimit = Field("", description="Registrations per client address, e.g. `20/hour`.")
    login_limit: RateLimit = Field("", description="Logins per account and client address, e.g. `10/minute`.")
    login_address_limit: RateLimit = Field("", description="Logins per client address, whatever the account.")


class ListingSettings(BaseModel):
    """The life of a listing."""

    review: Literal["auto", "manual"] | None = Field(None, description="auto in development, manual otherwise.")
    lifetime_days: int = Field(60, ge=1)


class VehicleSettings(BaseModel):
    """What only vehicles have."""

    vin_limit: RateLimit = Field("60/minute", min_length=1, description="VIN verdicts per user.")


class CorsSettings(BaseModel):
    """Browser origins that may call the API."""

    origins: CommaSeparated = []

    @field_validator("origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


class LogSettings(BaseModel):
    """Where the log goes, and how much of it."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    format: Literal["human", "json"] | None = Field(
        None, description="On the console: human in development, else json."
    )
    file: Path | None = Field(None, description="Also written to this rotating file.")
    file_megabytes: int = Field(20, ge=1)
    file_count: int = Field(5, ge=1)


class DocsSettings(BaseModel):
    """`/docs`, `/redoc` and `/openapi.json`."""

    enabled: bool | None = Field(None, description="On in development only.")


class HttpSettings(BaseModel):
    """What the server accepts."""

    body_limit_bytes: int = Field(1_048_576, ge=1024)
    trusted_proxies: str = Field("127.0.0.1", description="Peers whose X-Forwarded-For is believed, comma-separated.")
    cache_seconds: int = Field(10, ge=0, le=3600, description="After so long no cache shows what was taken down.")
    reference_cache_seconds: int = Field(3600, ge=0, le=2_592_000, description="The same of places and makes.")
    idempotency_hours: int = Field(24, ge=1, le=720, description="How long an Idempotency-Key is remembered.")


class SeedSettings(BaseModel):
    """The demo data of a first run in development."""

    password: SecretStr | None = None
    enabled: bool = True


class Settings(BaseSettings):
    """Everything that can be configured; the README's table is made from it."""

    model_config = SettingsConfigDict(
        env_file=".env",
        extra="ignore",
        env_nested_delimiter="_",
        env_nested_max_split=1,
        env_ignore_empty=True,
        hide_input_in_errors=True,
    )

    environment: Environment = Environment.DEVELOPMENT
    debug: bool = False
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    data_dir: Path = Path(".data")
    database: DatabaseSettings = DatabaseSettings()
    redis: RedisSettings = RedisSettings()
    amqp: AmqpSettings = AmqpSettings()
    auth: AuthSettings = AuthSettings()
    listings: ListingSettings = ListingSettings()
    vehicles: VehicleSettings = VehicleSettings()
    cors: CorsSettings = CorsSettings()
    log: LogSettings = LogSettings()
    docs: DocsSettings = DocsSettings()
    http: HttpSettings = HttpSettings()
    seed: SeedSettings = SeedSettings()

    @property
    def is_development(self) -> bool:
        """Whether embedded defaults, demo data and open docs are allowed."""
        return self.environment is Environment.DEVELOPMENT

    @model_validator(mode="after")
    def _fill_defaults(self) -> Self:
        development = self.is_development
        auth, listings = self.auth, self.listings
        if auth.require_verified is None:
            auth.require_verified = not development
        auth.register_limit = auth.register_limit or ("600/minute" if development else "20/hour")
        auth.login_limit = auth.login_limit or ("60/minute" if development else "10/minute")
        auth.login_address_limit = auth.login_address_limit or ("600/minute" if development else "100/minute")
        listings.review = listings.review or ("auto" if development else "manual")
        if self.docs.enabled is None:
            self.docs.enabled = development
        return self

    def secret(self) -> bytes:
        """The signing key; in development one is made on first use and kept under the data directory."""
        if self.auth.secret_key is not None:
            return self.auth.secret_key.get_secret_value().encode()
        return _kept_secret(self.data_dir / "secret-key")

    def refuse_insecure(self) -> None:
        """Outside development, refuse to start on settings that must not reach users.

        Raises:
            InsecureSettingsError: naming every offending variable, never a value.
        """
        if self.is_development:
            return
        faults = [f"{variable} {fault}" for variable, fault in self._faults()]
        if faults:
            raise InsecureSettingsError(f"{self.environment} refuses to start: " + "; ".join(faults))

    def _faults(self) -> list[tuple[str, str]]:
        key = self.auth.secret_key.get_secret_value() if self.auth.secret_key else ""
        amqp = urlsplit(self.amqp.url or "")
        checks = [
            ("AUTH_SECRET_KEY", "is not set", not key),
            ("AUTH_SECRET_KEY", f"is shorter than {SHORTEST_SECRET} characters", 0 < len(key) < SHORTEST_SECRET),
            ("AUTH_SECRET_KEY", "looks like a placeholder", bool(key) and _is_placeholder(key)),
            ("AUTH_BCRYPT_ROUNDS", "is below 10", self.auth.bcrypt_rounds < 10),
            ("DATABASE_URL", "is not set", not self.database.url),
            ("REDIS_URL", "is not set", not self.redis.url),
            ("AMQP_URL", "is not set", not self.amqp.url),
            ("AMQP_URL", "uses the guest account", (amqp.username, amqp.password) == ("guest", "guest")),
            ("DEBUG", "is on", self.debug),
            ("DOCS_ENABLED", "is on", bool(self.docs.enabled)),
            ("CORS_ORIGINS", "allows any origin", any("*" in origin for origin in self.cors.origins)),
            ("CORS_ORIGINS", "allows an origin without https", any(_is_plain(o) for o in self.cors.origins)),
            ("SEED_PASSWORD", "belongs to development", self.seed.password is not None),
        ]
        return [(variable, fault) for variable, fault, is_wrong in checks if is_wrong]


def _is_placeholder(key: str) -> bool:
    lowered = key.lower()
    return len(set(key)) < 10 or any(word in lowered for word in PLACEHOLDERS)


def _is_plain(origin: str) -> bool:
    return "*" not in origin and not origin.startswith("https://")


@lru_cache
def _kept_secret(path: Path) -> bytes:
    """The secret in the file, made whole or not at all, so that two first starts agree on one."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile("w", dir=path.parent) as file:
            file.write(secrets.token_urlsafe(48))
            file.flush()
            with suppress(FileExistsError):
                os.link(file.name, path)
    return path.read_bytes()


@lru_cache
def settings() -> Settings:
    """The settings of this process, read once.

    Raises:
        UnreadableSettingsError: naming the variables that do not hold what they should.
    """
    try:
        return Settings()
    except ValidationError as exc:
        faults = [f"{'_'.join(map(str, fault['loc'])).upper()}: {fault['msg']}" for fault in exc.errors()]
        raise UnreadableSettingsError("; ".join(faults)) from None
    except SettingsError as exc:
        raise UnreadableSettingsError(str(exc)) from None
