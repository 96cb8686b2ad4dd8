"""DATABASE_URL in the forms that people and hosting companies write it. No error message quotes a secret from it."""

import re
from typing import NoReturn
from urllib.parse import unquote

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url

from bot.errors import ConfigurationError
from bot.store.url_options import ALIASES, KNOWN, checked

POSTGRESQL_PORT = 5432

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
}
_LIKE = "write it like sqlite+aiosqlite:///livestream.db or postgresql+asyncpg://user:password@host/database"
_NO_URL = f"is not the URL of a database; {_LIKE}"
_AMBIGUOUS = "can be read in several ways; percent-encode the password in it (# is %23, / is %2F, ? is %3F, @ is %40)"

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_PARTS = re.compile(r"(?P<authority>[^/?]*)(?:/(?P<database>[^?]*))?(?:\?(?P<query>.*))?", re.DOTALL)
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
# A name, an IPv4 address, or an IPv6 address in brackets; then optionally a port.
_HOST = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+(?:%[\w.-]+)?)\]|(?P<name>[\w.-]+))?(?::(?P<port>[0-9]{0,5}))?")
_OPTION_NAME = re.compile(r"[A-Za-z_]{1,40}")
_SECRET_OPTIONS = ("password", "sslpassword")

Server = tuple[str, int]
"""A host, or the folder of a Unix socket, and a port."""


def parse_database_url(text: str) -> URL:
    """Return the URL with this bot's drivers, its options checked. Raises ConfigurationError.

    The error quotes nothing from the URL except the name of an unknown option.
    """
    scheme, separator, rest = text.strip().partition("://")
    if not separator or not _SCHEME.fullmatch(scheme):
        _refuse(_NO_URL)
    driver = _DRIVERS.get(scheme.lower())
    if driver is None:
        _refuse(f"is for a kind of database that this bot doesn't support; {_LIKE}")
    return _sqlite(f"{driver}://{rest}") if driver.startswith("sqlite") else _postgresql(driver, rest)


def describe(url: URL) -> str:
    """Describe where the database is, for people; the text never contains a password."""
    if url.get_backend_name() == "sqlite":
        return f"The database file {url.database}"
    listed = [f"{_bracketed(host)}:{port}" for host, port in servers(url)] or [f"localhost:{POSTGRESQL_PORT}"]
    return f"The database {url.database} at {', '.join(listed)}"


def servers(url: URL) -> list[Server]:
    """Return the PostgreSQL servers that the URL names, in order; an empty list means the driver's default."""
    if url.host:
        return [(url.host, url.port or POSTGRESQL_PORT)]
    hosts = url.query.get("host", ())
    if isinstance(hosts, str):
        return [(hosts, url.port or POSTGRESQL_PORT)]
    split = [each.rpartition(":") for each in hosts]
    return [(host.strip("[]"), int(port)) for host, _, port in split]


def secrets_in(text: str) -> list[str]:
    """Return the passwords in a DATABASE_URL, encoded and decoded, which must never be printed."""
    scheme, separator, rest = text.strip().partition("://")
    if not separator or _DRIVERS.get(scheme.lower(), "").startswith("sqlite"):
        return []
    try:
        url = parse_database_url(text)
    except ConfigurationError:
        # It is unclear where the password ends, so treat each of these as secret.
        _, _, password = rest.rpartition("@")[0].partition(":")
        return sorted({text, rest, password} - {""})
    meant = {url.password, url.query.get("sslpassword")}
    written = {rest.rpartition("@")[0].partition(":")[2]}
    written |= {value for name, _, value in _pairs(rest.partition("?")[2]) if name in _SECRET_OPTIONS}
    return sorted(secret for secret in meant | written if isinstance(secret, str) and secret)


def _refuse(why: str) -> NoReturn:
    raise ConfigurationError([f"DATABASE_URL {why}."])


def _sqlite(text: str) -> URL:
    try:
        url = make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        _refuse(_NO_URL)
    if url.host or not url.database or url.database == ":memory:":
        _refuse(f"names no permanent file; {_LIKE}")
    return url


def _postgresql(driver: str, rest: str) -> URL:
    parts = _PARTS.fullmatch(rest)
    if parts is None:
        _refuse(_NO_URL)
    authority, query = parts["authority"], parts["query"] or ""
    # A password ends at the @ before the host. Another @, or a #, / or ? before it, belongs to the password.
    if rest.count("@") > authority.count("@") or authority.count("@") > 1 or "#" in rest or _BAD_ESCAPE.search(rest):
        _refuse(_AMBIGUOUS)
    user_info, _, hosts = authority.rpartition("@")
    user, _, password = user_info.partition(":")
    options, lists = _options(query)
    named = _servers(lists["host"] or hosts.split(","), lists["port"])
    database = options.pop("dbname", "") or _decoded(parts["database"] or "")
    if not database:
        _refuse(f"names no database; {_LIKE}")
    url = URL.create(
        driver,
        username=options.pop("user", "") or _decoded(user) or None,
        password=options.pop("password", "") or _decoded(password) or None,
        database=database,
        query=checked(options),
    )
    match named:
        case []:
            return url
        case [(host, port)] if host.startswith("/"):
            return url.set(port=port).update_query_dict({"host": host})
        case [(host, port)]:
            return url.set(host=host, port=port)
    several = [f"{_bracketed(host)}:{port or POSTGRESQL_PORT}" for host, port in named]
    return url.update_query_dict({"host": several})


def _pairs(query: str) -> list[tuple[str, str, str]]:
    """Split a query string. As in PostgreSQL's own clients, `+` is a plus sign, not a space."""
    return [pair.partition("=") for pair in query.split("&") if pair]


def _options(query: str) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Return the options by name and, separately, those that may list several servers."""
    options: dict[str, str] = {}
    lists: dict[str, list[str]] = {"host": [], "port": []}
    pairs = _pairs(query)
    has_password = any(name in _SECRET_OPTIONS for name, _, _ in pairs)
    for written, separator, value in pairs:
        name = ALIASES.get(written, written)
        if not separator or (name not in KNOWN and (has_password or not _OPTION_NAME.fullmatch(name))):
            # The apparent option may be the rest of a password that contains an &.
            _refuse("ends with something that isn't an option; remove it, or percent-encode the password (& is %26)")
        if name not in KNOWN:
            _refuse(f"has an unknown option, {name}; remove it, or correct its name")
        if name in lists:
            lists[name] += _decoded(value).split(",")
        else:
            options[name] = _decoded(value)
    return options, lists


def _servers(hosts: list[str], ports: list[str]) -> list[tuple[str, int | None]]:
    found = [_server(host) for host in hosts if host]
    if not ports:
        return found
    numbers = [_port(port) for port in ports]
    if len(numbers) == 1:
        return [(host, port or numbers[0]) for host, port in found]
    if len(numbers) != len(found):
        _refuse(_NO_URL)
    return [(host, number) for (host, _), number in zip(found, numbers, strict=True)]


def _server(text: str) -> tuple[str, int | None]:
    decoded = _decoded(text)
    if decoded.startswith("/"):
        return decoded, None
    match = _HOST.fullmatch(decoded)
    if match is None or not (match["v6"] or match["name"]):
        _refuse(_NO_URL)
    return match["v6"] or match["name"], _port(match["port"]) if match["port"] else None


def _port(text: str) -> int:
    if not text.isdecimal() or not text.isascii() or not 0 < int(text) < 65_536:
        _refuse(_NO_URL)
    return int(text)


def _decoded(text: str) -> str:
    try:
        decoded = unquote(text, errors="strict")
    except UnicodeDecodeError:
        _refuse(_AMBIGUOUS)
    if "\0" in decoded or "\n" in decoded or "\r" in decoded:
        _refuse(_NO_URL)
    return decoded


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("/") else host
