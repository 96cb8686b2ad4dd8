"""Options at the end of a PostgreSQL URL: those of PostgreSQL's own clients and those that hosting companies add.

https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
"""

import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlencode

from bot.errors import ConfigurationError

ALIASES = {"ssl": "sslmode", "database": "dbname"}
"""Alternative names of options; `ssl` is SQLAlchemy's and asyncpg's."""

_WHO_AND_WHERE = {"host", "port", "user", "password", "dbname", "passfile", "krbsrvname", "gsslib"}
_TLS = {
    *("sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcrl", "sslnegotiation"),
    *("ssl_min_protocol_version", "ssl_max_protocol_version"),
}
_SESSION = {"application_name", "fallback_application_name", "options"}
_CONNECTING = {"connect_timeout", "target_session_attrs", "gssencmode"}
# The bot has its own timeouts for unresponsive servers; asyncpg does no channel binding; the others are meant for
# poolers and other programs, such as Prisma and Node.
_WITHOUT_EFFECT = {
    *("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"),
    *("channel_binding", "sslcompression", "sslsni", "client_encoding", "load_balance_hosts"),
    *("pgbouncer", "connection_limit", "pool_timeout", "supa", "uselibpqcompat"),
    *("statement_cache_size", "prepared_statement_cache_size"),
}
KNOWN = _WHO_AND_WHERE | _TLS | _SESSION | _CONNECTING | _WITHOUT_EFFECT

_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_VALUES = {
    "sslmode": _MODES,
    "sslnegotiation": ("postgres", "direct"),
    "ssl_min_protocol_version": ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"),
    "ssl_max_protocol_version": ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"),
    # The remaining values are for read-only clients.
    "target_session_attrs": ("any", "read-write", "primary"),
    "gssencmode": ("disable", "prefer"),
    "gsslib": ("gssapi", "sspi"),
}
_SWITCHES = {"true": "require", "1": "require", "on": "require", "false": "disable", "0": "disable", "off": "disable"}
_VERIFYING = ("verify-ca", "verify-full")
_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
_SYSTEM = "system"
_MAX_CONNECT_SECONDS = 60


def checked(options: Mapping[str, str]) -> dict[str, str]:
    """Return the options that have an effect, with valid values. Raises ConfigurationError."""
    found = {name: value for name, value in options.items() if value and name not in _WITHOUT_EFFECT}
    if "sslmode" in found:
        found["sslmode"] = _SWITCHES.get(found["sslmode"].lower(), found["sslmode"])
    for name, allowed in _VALUES.items():
        if found.get(name, allowed[0]) not in allowed:
            _refuse(f"{name} in DATABASE_URL must be {', '.join(allowed[:-1])} or {allowed[-1]}")
    timeout = found.get("connect_timeout", "0")
    if not (timeout.isascii() and timeout.isdecimal()):
        _refuse("connect_timeout in DATABASE_URL must be a number of seconds")
    if found.get("sslnegotiation") == "direct" and found.get("sslmode") not in ("require", *_VERIFYING):
        _refuse("sslnegotiation=direct in DATABASE_URL needs sslmode=require, verify-ca or verify-full")
    return found


def connect_seconds(options: Mapping[str, Any], default: float) -> float:
    """Return the seconds to wait for one server: connect_timeout if given, capped at a minute."""
    return min(int(options.get("connect_timeout", 0)), _MAX_CONNECT_SECONDS) or default


def driver_arguments(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return these options as arguments for asyncpg. Raises ConfigurationError for a file that cannot be read."""
    for name in _FILES:
        if name in options and options[name] != _SYSTEM and not _is_readable(options[name]):
            _refuse(f"{name} in DATABASE_URL names a file that cannot be read")
    names = ("passfile", "krbsrvname", "gsslib", "target_session_attrs")
    arguments = {name: options[name] for name in names if name in options}
    # asyncpg reads TLS options only from a URL; it then behaves like PostgreSQL's own clients.
    tls = {name: options[name] for name in sorted(_TLS) if name in options}
    if _trusts_the_system(options):
        arguments["ssl"] = _system_context(options)
        tls = {name: value for name, value in tls.items() if name == "sslnegotiation"}
    if tls:
        arguments["dsn"] = f"postgresql://?{urlencode(tls)}"
    name = options.get("application_name") or options.get("fallback_application_name") or "livestream-bot"
    arguments["server_settings"] = {"application_name": name}
    if "options" in options:
        arguments["server_settings"]["options"] = options["options"]
    return arguments


def _trusts_the_system(options: Mapping[str, Any]) -> bool:
    """Return whether to trust the operating system's certificate authorities."""
    if options.get("sslrootcert") == _SYSTEM:
        return True
    given = "sslrootcert" in options or "PGSSLROOTCERT" in os.environ
    return options.get("sslmode") in _VERIFYING and not given and not _has_own_authorities()


def _has_own_authorities() -> bool:
    try:
        return (Path.home() / ".postgresql" / "root.crt").exists()
    except RuntimeError:
        return False


def _system_context(options: Mapping[str, Any]) -> ssl.SSLContext:
    """Return a context that also verifies the host name: otherwise any public authority's certificate would pass."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["postgresql"])
    if "sslcert" in options:
        password = options.get("sslpassword", "")
        try:
            context.load_cert_chain(options["sslcert"], options.get("sslkey"), lambda: password)
        except (OSError, ValueError):
            _refuse("sslcert and sslkey in DATABASE_URL do not fit together, or sslpassword is missing")
    return context


def _is_readable(name: str) -> bool:
    try:
        with Path(name).open("rb"):
            return True
    except (OSError, ValueError):
        return False


def _refuse(sentence: str) -> NoReturn:
    raise ConfigurationError([f"{sentence}."])
