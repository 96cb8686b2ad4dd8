"""DATABASE_URL, as people write it and as the drivers want it."""

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url

from bot.errors import ConfigurationError

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
}
_LIKE = "write it like sqlite+aiosqlite:///livestream.db or postgresql+asyncpg://user:password@host/database"


def parse(text: str) -> URL:
    """The URL with the drivers that this bot has. Raises ConfigurationError, whose sentence has nothing of the URL."""
    try:
        url = make_url(text.strip())
    except (sa.exc.ArgumentError, ValueError):
        raise ConfigurationError([f"DATABASE_URL is not the URL of a database; {_LIKE}."]) from None
    if url.drivername not in _DRIVERS:
        raise ConfigurationError([f"DATABASE_URL is of a kind that this bot does not know; {_LIKE}."])
    url = url.set(drivername=_DRIVERS[url.drivername])
    if url.get_backend_name() == "sqlite":
        if url.host or not url.database or url.database == ":memory:":
            raise ConfigurationError([f"DATABASE_URL names no file that lasts; {_LIKE}."])
        return url
    if not url.database:
        raise ConfigurationError([f"DATABASE_URL names no database; {_LIKE}."])
    # The name that every other client has for it, and hosting companies write into their URLs.
    mode = url.query.get("sslmode")
    return url if mode is None else url.difference_update_query(["sslmode"]).update_query_dict({"ssl": mode})


def place(url: URL) -> str:
    """Where the database is, for people: never with a password."""
    if url.get_backend_name() == "sqlite":
        return f"The database file {url.database}"
    return f"The database {url.database} at {url.host or url.query.get('host') or 'localhost'}:{url.port or 5432}"
