"""Settings: one object, read once from the environment (and `.env`), grouped by what they configure.

`DATABASE_URL` is `settings().database.url`, `AUTH_SECRET_KEY` is `settings().auth.secret_key`, and so on. What is in
neither is looked for in a file of that name, `/run/secrets/database_url`, which is where Compose mounts secrets.
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

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
    validate_email,
)
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

SHORTEST_SECRET = 32
PLACEHOLDERS = ("change", "default", "example", "secret", "password", "test")


def _with_address(sender: str) -> str:
    validate_email(sender)
    return sender


CommaSeparated = Annotated[list[str], NoDecode]
RateLimit = Annotated[str, Field(pattern=r"^([1-9][0-9]*/(second|minute|hour|day))?$")]
Sender = Annotated[str, AfterValidator(_with_address)]
WebAddress = Annotated[str, Field(pattern=r"^(https?://[^\s/?#@]+(/[^\s/?#]+)*)?$")]


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
    read_pool_size: int = Field(20, ge=2, le=200, description="Connections for hot reads, per server.")
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
    heartbeat: int = Field(20, ge=1, le=600, description="Seconds; who is silent for twice as long is given up.")


class SmtpSettings(BaseModel):
    """The mail server; without a host, mail is written to files under the data directory."""

    host: str | None = None
    port: int = Field(587, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str | None = None
    password: SecretStr | None = None
    sender: Sender = Field("Key2Key <no-reply@key2key.example>", description="The From of every mail.")
    timeout: float = Field(10, gt=0, description="Seconds that the server may take to answer.")
    data_timeout: float = Field(100, gt=0, le=110, description="The same once it has the mail, which it may scan.")

    @model_validator(mode="after")
    def _keep_password_secret(self) -> Self:
        if self.security == "none" and (self.username or self.password):
            raise ValueError("SMTP_SECURITY=none would send the password unencrypted")
        return self


class WorkerSettings(BaseModel):
    """What `key2key worker` takes."""

    concurrency: int = Field(4, ge=1, le=64, description="Worker processes, each with connections of its own.")
    retries: int = Field(8, ge=0, description="How often a handler that fails is tried again before it is given up.")


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
    verification_hours: int = Field(24, ge=1, le=720, description="Life of a mailed token that verifies an address.")
    reset_minutes: int = Field(30, ge=1, le=1440, description="Life of a mailed token that resets a password.")
    mail_limit: RateLimit = Field("", description="Mails of a kind that may be asked for per e-mail address.")
    mail_pace_limit: RateLimit = Field("", description="The same, over a short while.")
    mail_daily_limit: RateLimit = Field("", description="The same, over a day: whoever asks from many addresses.")
    mail_client_limit: RateLimit = Field("", description="Such requests per client address.")


class ListingSettings(BaseModel):
    """The life of a listing."""

    review: Literal["auto", "manual"] | None = Field(None, description="auto in development, manual otherwise.")
    lifetime_days: int = Field(60, ge=1)


class VehicleSettings(BaseModel):
    """What only vehicles have."""

    vin_limit: RateLimit = Field("60/minute", min_length=1, description="VIN verdicts per user.")


class ImportSettings(BaseModel):
    """Files of listings sent to the API."""

    body_limit_bytes: int = Field(67_108_864, ge=1024)
    limit: RateLimit = Field("60/hour", min_length=1, description="Files per user.")


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


class MetricsSettings(BaseModel):
    """`/metrics`, for Prometheus."""

    token: SecretStr | None = Field(None, description="The bearer token to send; without one, in development only.")
    port: int | None = Field(None, ge=1, le=65535, description="Where worker, relay and beat answer Prometheus.")


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
    drain_seconds: float = Field(0, ge=0, le=60, description="Served on after a SIGTERM, with readiness off already.")


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
        secrets_dir=os.environ.get("SECRETS_DIR", "/run/secrets"),
        secrets_dir_missing="ok",
    )

    environment: Environment = Environment.DEVELOPMENT
    debug: bool = False
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    data_dir: Path = Path(".data")
    public_url: WebAddress = Field("", description="Where the API is reached from outside, without a slash at the end.")
    app_url: WebAddress = Field("", description="The client app that links in mails open; else `PUBLIC_URL`.")
    database: DatabaseSettings = DatabaseSettings()
    redis: RedisSettings = RedisSettings()
    amqp: AmqpSettings = AmqpSettings()
    smtp: SmtpSettings = SmtpSettings()
    worker: WorkerSettings = WorkerSettings()
    auth: AuthSettings = AuthSettings()
    listings: ListingSettings = ListingSettings()
    vehicles: VehicleSettings = VehicleSettings()
    imports: ImportSettings = ImportSettings()
    cors: CorsSettings = CorsSettings()
    log: LogSettings = LogSettings()
    metrics: MetricsSettings = MetricsSettings()
    docs: DocsSettings = DocsSettings()
    http: HttpSettings = HttpSettings()
    seed: SeedSettings = SeedSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Secrets by file take the names of nested variables, too; the first source that has a value wins."""
        return init_settings, env_settings, dotenv_settings, NestedSecretsSettingsSource(file_secret_settings)

    @property
    def is_development(self) -> bool:
        """Whether embedded defaults, demo data and open docs are allowed."""
        return self.environment is Environment.DEVELOPMENT

    @property
    def files_dir(self) -> Path:
        """Files that belong to rows, and are backed up with them."""
        return self.data_dir / "files"

    @property
    def uploads_dir(self) -> Path:
        """Where large bodies wait while their requests last: on a disk, as `/tmp` may be memory."""
        return self.data_dir / "uploads"

    @model_validator(mode="after")
    def _fill_defaults(self) -> Self:
        development = self.is_development
        auth, listings = self.auth, self.listings
        if auth.require_verified is None:
            auth.require_verified = not development
        auth.register_limit = auth.register_limit or ("600/minute" if development else "20/hour")
        auth.login_limit = auth.login_limit or ("60/minute" if development else "10/minute")
        auth.login_address_limit = auth.login_address_limit or ("600/minute" if development else "100/minute")
        auth.mail_limit = auth.mail_limit or ("600/hour" if development else "5/hour")
        auth.mail_pace_limit = auth.mail_pace_limit or ("60/minute" if development else "1/minute")
        auth.mail_daily_limit = auth.mail_daily_limit or ("6000/day" if development else "10/day")
        auth.mail_client_limit = auth.mail_client_limit or ("600/minute" if development else "60/hour")
        listings.review = listings.review or ("auto" if development else "manual")
        if self.docs.enabled is None:
            self.docs.enabled = development
        self.public_url = self.public_url or f"http://127.0.0.1:{self.port}"
        self.app_url = self.app_url or self.public_url
        return self

    def secret(self) -> bytes:
        """The signing key; in development one is made on first use and kept under the data directory."""
        if self.auth.secret_key is not None:
            return self.auth.secret_key.get_secret_value().encode()
        return _kept_secret(self.data_dir)

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
        metrics = self.metrics.token.get_secret_value() if self.metrics.token else ""
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
            ("SMTP_HOST", "is not set", not self.smtp.host),
            ("PUBLIC_URL", "is not an https address", _is_plain(self.public_url)),
            ("APP_URL", "is not an https address", _is_plain(self.app_url)),
            ("METRICS_TOKEN", f"is shorter than {SHORTEST_SECRET} characters", 0 < len(metrics) < SHORTEST_SECRET),
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
def _kept_secret(folder: Path) -> bytes:
    """The secret in the folder's file, made whole or not at all, so that two first starts agree on one."""
    path = folder / "secret-key"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile("w", dir=folder) as file:
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
