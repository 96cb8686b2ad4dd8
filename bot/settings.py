"""Every environment variable that the bot reads: its meaning, default and valid values."""

import ipaddress
import os
import re
import ssl
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from bot.errors import ConfigurationError
from bot.network import tls_context
from bot.wording import DEFAULT_COMMAND

_INVISIBLE = " \t\r\n\f\v\u00a0\u200b\u200c\u200d\u2060\ufeff"
_QUOTES = {'"': '"', "'": "'", "`": "`", "\u201c": "\u201d", "\u2018": "\u2019"}
_LEVELS = {"WARN": "WARNING", "CRITICAL": "ERROR", "FATAL": "ERROR", "TRACE": "DEBUG"}
"""Other programs' names for log levels, mapped to the bot's."""
_COMMAND = re.compile(r"/[a-z0-9_-]{1,31}")
_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,64}")

SettingsT = TypeVar("SettingsT", bound="SettingsSection")


def _token(*prefixes: str) -> AfterValidator:
    def check(value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if not text.isascii() or not text.isprintable() or any(character in text for character in " \"'`<>"):
            raise ValueError("contains a space or a character that tokens never have; copy it again")
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
    """Return whether it is a URL to which paths can be appended, without a user name or password."""
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
    """Validate a proxy's address; it may contain a name and password (http://name:password@proxy.example.com:3128)."""
    address = re.sub(r"//[^/@\s]*@", "//", value.get_secret_value(), count=1)
    if not _is_base_url(address):
        raise ValueError("is not the address of a proxy (http://proxy.example.com:3128)")
    return value


def _certificate_file(value: str) -> str:
    try:
        tls_context(cert_file=value)
    except FileNotFoundError:
        raise ValueError(f"names a file that does not exist: {value}") from None
    except ssl.SSLError:
        raise ValueError(f"names a file without certificates (PEM): {value}") from None
    except OSError as error:
        raise ValueError(f"names a file that can't be read: {value} ({error.strerror})") from None
    return value


def _certificate_folders(value: str) -> str:
    for folder in value.split(os.pathsep):
        if not os.path.isdir(folder):  # noqa: PTH112 - `Path("")` is the working directory
            raise ValueError(f"names a folder that does not exist: {folder}")
    return value


def _command(value: str) -> str:
    if not _COMMAND.fullmatch(value):
        raise ValueError(
            f"is not a valid slash command: use a slash and up to 31 lower-case letters, as in {DEFAULT_COMMAND}"
        )
    return value


def _identifier(value: str) -> str:
    if not _IDENTIFIER.fullmatch(value):
        raise ValueError("is not an ID as Cloudflare shows it (letters, digits and hyphens)")
    return value


Url = Annotated[str, AfterValidator(_http_url)]
Identifier = Annotated[str, AfterValidator(_identifier)]


class _Environment(EnvSettingsSource):
    def __call__(self) -> dict[str, Any]:
        return _cleaned(super().__call__())


class _DotEnv(DotEnvSettingsSource):
    def __call__(self) -> dict[str, Any]:
        return _cleaned(super().__call__())


def _cleaned(values: dict[str, Any]) -> dict[str, Any]:
    """Strip spaces and quotes around values, which `docker run --env-file` keeps, and drop empty values."""
    cleaned = {name: _bare(value) if isinstance(value, str) else value for name, value in values.items()}
    return {name: value for name, value in cleaned.items() if value != ""}


def _bare(text: str) -> str:
    text = text.strip(_INVISIBLE)
    while len(text) > 1 and _QUOTES.get(text[0]) == text[-1]:
        text = text[1:-1].strip(_INVISIBLE)
    return text


class SettingsSection(BaseSettings):
    """Settings that belong together, read from the environment and then from `.env`."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8-sig",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        str_strip_whitespace=True,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic passes it by name
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic passes it by name
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Clean the values from the environment and `.env`."""
        file = getattr(dotenv_settings, "env_file", None)
        return init_settings, _Environment(settings_cls), _DotEnv(settings_cls, env_file=file)

    @model_validator(mode="before")
    @classmethod
    def _blank_is_unset(cls, values: dict[str, Any]) -> dict[str, Any]:
        return _cleaned(values)

    def secrets(self) -> list[str]:
        """Return the values that must never be printed."""
        values = (getattr(self, name) for name in type(self).model_fields)
        return [value.get_secret_value() for value in values if isinstance(value, SecretStr)]


class NetworkSettings(SettingsSection):
    """The proxy and the trusted certificates for outgoing connections."""

    https_proxy: Annotated[SecretStr, AfterValidator(_proxy)] | None = Field(
        None, description="Proxy for all requests to Slack and Cloudflare (http://proxy.example.com:3128)"
    )

    ssl_cert_file: Annotated[str, AfterValidator(_certificate_file)] | None = Field(
        None, description="File with CA certificates to trust as well (PEM)"
    )
    ssl_cert_dir: Annotated[str, AfterValidator(_certificate_folders)] | None = Field(
        None, description="Folder with CA certificates to trust as well (as `openssl rehash` makes it)"
    )

    @cached_property
    def tls(self) -> ssl.SSLContext:
        """The TLS context for all connections to Slack and Cloudflare."""
        return tls_context(self.ssl_cert_file, self.ssl_cert_dir)

    @property
    def proxy(self) -> str | None:
        """The proxy's address, including any password."""
        return self.https_proxy.get_secret_value() if self.https_proxy else None


class CommandSettings(SettingsSection):
    """The slash command's name."""

    slack_command: Annotated[str, AfterValidator(_command)] = Field(
        DEFAULT_COMMAND, description="Name of the slash command, as in the app's manifest"
    )


class SlackSettings(CommandSettings, NetworkSettings):
    """The connection to one Slack workspace."""

    slack_bot_token: Annotated[SecretStr, _token("xoxb-")] = Field(
        description="Bot token of the workspace (xoxb-...): see OAuth & Permissions on the Slack app's page"
    )
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
    """The RealtimeKit app and the access to it."""

    cloudflare_api_token: Annotated[SecretStr, _token()] = Field(
        description="API token with the permission Realtime: see Manage Account > API Tokens in Cloudflare's dashboard"
    )
    cloudflare_account_id: Identifier = Field(
        description="ID of the account that the app belongs to: see its overview in Cloudflare's dashboard"
    )
    realtimekit_app_id: Identifier = Field(
        description="ID of the RealtimeKit app: see RealtimeKit in Cloudflare's dashboard"
    )
    cloudflare_base_url: Url = Field("https://api.cloudflare.com/client/v4", description="Base of Cloudflare's API")
    cloudflare_rate_limit: int = Field(
        1200,
        ge=300,
        description="Requests that Cloudflare accepts from the token in five minutes, if it has raised your limit",
    )


class ServerSettings(SettingsSection):
    """The address of the bot's own HTTP server."""

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 in a container")
    port: int = Field(3000, ge=1, le=65535, description="Port to listen on")


class StoreSettings(SettingsSection):
    """The database for follows."""

    database_url: SecretStr = Field(
        SecretStr("sqlite+aiosqlite:///livestream-bot.db"),
        description="SQLite file (sqlite+aiosqlite:///...) or PostgreSQL database (postgresql+asyncpg://...)",
    )

    def secrets(self) -> list[str]:
        """Return only the passwords of the database's address: masking a file's name would hide it in all logs."""
        # This needs SQLAlchemy, which `lookup` does not.
        from bot.store.database_url import secrets_in  # noqa: PLC0415

        address = self.database_url.get_secret_value()
        return [*(secret for secret in super().secrets() if secret != address), *secrets_in(address)]


class FollowSettings(SettingsSection):
    """Settings for following meetings."""

    end_grace_period_seconds: int = Field(
        60, ge=0, le=3600, description="How long a livestream may be off air before it counts as ended, in seconds"
    )
    realtimekit_webhook_key_url: Url = Field(
        "https://api.realtime.cloudflare.com/.well-known/webhooks.json",
        description="Where the public key of RealtimeKit's webhooks is",
    )


class LogSettings(SettingsSection):
    """The logs on standard error."""

    log_format: Literal["console", "json"] | None = Field(
        None, description="console or json; by default console on a terminal and json elsewhere"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")

    @field_validator("log_format", "log_level", mode="before")
    @classmethod
    def _any_case(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, str):
            return value
        if info.field_name == "log_format":
            return value.lower()
        return _LEVELS.get(value.upper(), value.upper())


class Settings(LogSettings, ServerSettings, FollowSettings, StoreSettings, CloudflareSettings, SlackSettings):
    """All settings that `run` needs."""


class LookupSettings(CloudflareSettings, LogSettings):
    """All settings that `lookup` needs."""


def load(section: type[SettingsT], **overrides: Any) -> SettingsT:
    """Read a section from the environment and `.env`.

    Raises ConfigurationError with one sentence for each mistake.
    """
    try:
        if "_env_file" not in overrides and Path(".env").is_dir():
            raise ConfigurationError(["The file .env is a folder. Remove it, and put the settings into a file."])
        return section(**overrides)
    except ValidationError as error:
        mistakes = [_sentence(section, mistake) for mistake in error.errors()]
        raise ConfigurationError(mistakes) from None
    except UnicodeDecodeError:
        raise ConfigurationError(["The file .env is not UTF-8 text. Save it as UTF-8."]) from None
    except OSError as error:
        raise ConfigurationError([f"The file .env can't be read: {error.strerror or type(error).__name__}."]) from None


def _sentence(section: type[SettingsSection], mistake: ErrorDetails) -> str:
    name = str(mistake["loc"][0]) if mistake["loc"] else ""
    variable, field, kind = name.upper(), section.model_fields[name], mistake["type"]
    if kind == "missing":
        return f"{variable} is not set. {field.description}."
    if kind == "value_error":
        return f"{variable} {mistake['msg'].removeprefix('Value error, ')}."
    # pydantic's own messages are written for programmers.
    if kind == "literal_error":
        return f"{variable} must be {mistake['ctx']['expected'].replace(chr(39), '')}."
    ends = {end: getattr(each, end) for each in field.metadata for end in ("ge", "le") if hasattr(each, end)}
    if len(ends) == 2:
        return f"{variable} must be a whole number from {ends['ge']} to {ends['le']}."
    return f"{variable} is invalid. Expected: {field.description}."
