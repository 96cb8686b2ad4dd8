"""Every environment variable that the bot reads: its meaning, its default, and what a good value looks like."""

import ipaddress
import re
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from bot.errors import ConfigurationError

_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,64}")

Section = TypeVar("Section", bound="SettingsSection")


def _token(*prefixes: str) -> AfterValidator:
    def check(value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if not text.isascii() or not text.isprintable() or " " in text:
            raise ValueError("has a space or a character that no token has; copy it once more")
        if text in prefixes:
            raise ValueError("is only the beginning of a token; copy all of it")
        if prefixes and not text.startswith(prefixes):
            raise ValueError(f"does not start with {' or '.join(prefixes)}; another kind of token was pasted")
        return value

    return AfterValidator(check)


def _http_url(value: str) -> str:
    if not _is_base_url(value):
        raise ValueError("is not an http:// or https:// address such as https://api.example.com/v4")
    if urlsplit(value).scheme == "http" and not _is_loopback(urlsplit(value).hostname or ""):
        raise ValueError("must be https:// (a secret goes there); http:// is for this machine only")
    return value


def _is_base_url(value: str) -> bool:
    """Whether paths can be appended to it, and nobody's password is in it."""
    if not value.isascii() or not value.isprintable() or any(c in ' ?#@\\"<>' for c in value):
        return False
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _proxy(value: SecretStr) -> SecretStr:
    """Name and password may be in it, as in http://name:password@proxy.example.com:3128."""
    address = re.sub(r"//[^/@\s]*@", "//", value.get_secret_value(), count=1)
    if not _is_base_url(address):
        raise ValueError("is not the address of a proxy (http://proxy.example.com:3128)")
    return value


def _identifier(value: str) -> str:
    if not _IDENTIFIER.fullmatch(value):
        raise ValueError("is not an ID as Cloudflare shows it (letters, digits and hyphens)")
    return value


Url = Annotated[str, AfterValidator(_http_url)]
Identifier = Annotated[str, AfterValidator(_identifier)]


class SettingsSection(BaseSettings):
    """Settings that belong together, read from the environment and then from `.env`."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        str_strip_whitespace=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _blank_is_unset(cls, values: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in values.items() if not (isinstance(value, str) and not value.strip())}

    def secrets(self) -> list[str]:
        """Every value that must never be printed."""
        values = (getattr(self, name) for name in type(self).model_fields)
        return [value.get_secret_value() for value in values if isinstance(value, SecretStr)]


class NetworkSettings(SettingsSection):
    """The way out."""

    https_proxy: Annotated[SecretStr, AfterValidator(_proxy)] | None = Field(
        None, description="Proxy for all requests to Slack and Cloudflare (http://proxy.example.com:3128)"
    )

    @property
    def proxy(self) -> str | None:
        """The proxy's address with what is secret in it."""
        return self.https_proxy.get_secret_value() if self.https_proxy else None


class SlackSettings(NetworkSettings):
    """How the bot is connected to one Slack workspace."""

    slack_bot_token: Annotated[SecretStr, _token("xoxb-")] = Field(description="Bot token of the workspace (xoxb-...)")
    slack_app_token: Annotated[SecretStr, _token("xapp-")] | None = Field(
        None, description="App-level token (xapp-...). Set: Socket Mode"
    )
    slack_signing_secret: Annotated[SecretStr, _token()] | None = Field(
        None, validate_default=True, description="Signing secret. Set: requests at /slack/events are accepted"
    )
    slack_api_url: Url = Field("https://slack.com/api/", description="Base of Slack's Web API")

    @field_validator("slack_signing_secret")
    @classmethod
    def _some_way_in(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        app_token_is_unset = info.data.get("slack_app_token", "malformed") is None
        if value is None and app_token_is_unset:
            raise ValueError("or SLACK_APP_TOKEN must be set: the first for HTTP, the second for Socket Mode")
        return value


class CloudflareSettings(NetworkSettings):
    """Which RealtimeKit app the bot asks, and as whom."""

    cloudflare_api_token: Annotated[SecretStr, _token()] = Field(description="API token with the permission Realtime")
    cloudflare_account_id: Identifier = Field(description="The account that the app belongs to")
    realtimekit_app_id: Identifier = Field(description="The RealtimeKit app")
    cloudflare_base_url: Url = Field("https://api.cloudflare.com/client/v4", description="Base of Cloudflare's API")


class ServerSettings(SettingsSection):
    """Where the bot's own HTTP server listens."""

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 in a container")
    port: int = Field(3000, ge=1, le=65535, description="Port to listen on")


class StoreSettings(SettingsSection):
    """Where the bot remembers what is followed."""

    database_url: SecretStr = Field(
        SecretStr("sqlite+aiosqlite:///livestream-bot.db"),
        description="SQLite file (sqlite+aiosqlite:///...) or PostgreSQL database (postgresql+asyncpg://...)",
    )

    def secrets(self) -> list[str]:
        """Return of the database's address only the passwords: a file's name would be missing everywhere."""
        # It needs SQLAlchemy, and `lookup` does not.
        from bot.store.address import secrets_in  # noqa: PLC0415

        address = self.database_url.get_secret_value()
        return [*(secret for secret in super().secrets() if secret != address), *secrets_in(address)]


class FollowSettings(SettingsSection):
    """How meetings are followed."""

    follow_grace_seconds: int = Field(
        60, ge=0, le=3600, description="How long a livestream may be off the air before that is its end, in seconds"
    )
    realtimekit_webhook_key_url: Url = Field(
        "https://api.realtime.cloudflare.com/.well-known/webhooks.json",
        description="Where the public key of RealtimeKit's webhooks is",
    )


class LogSettings(SettingsSection):
    """What the bot writes to standard error."""

    log_format: Literal["console", "json"] | None = Field(
        None, description="console or json; by default console on a terminal and json elsewhere"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")

    @field_validator("log_format", "log_level", mode="before")
    @classmethod
    def _any_case(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, str):
            return value
        return value.strip().upper() if info.field_name == "log_level" else value.strip().lower()


class Settings(LogSettings, ServerSettings, FollowSettings, StoreSettings, CloudflareSettings, SlackSettings):
    """All that `run` needs."""


class LookupSettings(CloudflareSettings, LogSettings):
    """All that `lookup` needs."""


def load(section: type[Section], **overrides: Any) -> Section:
    """Read a section from the environment and `.env`.

    Raises ConfigurationError with one sentence for each mistake, all of them at once.
    """
    try:
        return section(**overrides)
    except ValidationError as error:
        mistakes = [_sentence(section, mistake["loc"], mistake["type"], mistake["msg"]) for mistake in error.errors()]
        raise ConfigurationError(mistakes) from None
    except (UnicodeDecodeError, OSError) as error:
        raise ConfigurationError([f"The file .env cannot be read: {type(error).__name__}."]) from None


def _sentence(section: type[SettingsSection], loc: tuple[int | str, ...], kind: str, message: str) -> str:
    name = str(loc[0]) if loc else ""
    variable = name.upper()
    description = section.model_fields[name].description or ""
    if kind == "missing":
        return f"{variable} is not set. {description}."
    if kind == "value_error":
        return f"{variable} {message.removeprefix('Value error, ')}."
    return f"{variable} is not right: {message[0].lower()}{message[1:]}."
