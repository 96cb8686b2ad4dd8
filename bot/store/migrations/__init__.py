"""Migrations, one file each, and whether this version can work with a database's tables.

`open_store` runs the pending ones. A new migration is a handwritten file in versions/ with the next number (0001, 0002,
...); a test compares the result with schema.py. All pending migrations run in one transaction; on SQLite, foreign keys
are not enforced meanwhile.

`additive = True` declares that versions without the migration can work with its tables. They then keep working during
an upgrade, and a rollback to them is possible. A migration is additive if it only adds, if a row written without the
additions is valid, and if its version writes no values into old columns that older versions do not know. Without
`additive`, a rollback is not possible: older versions refuse to start on the tables.
"""

import re
from pathlib import Path

import sqlalchemy as sa
import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import URL

from bot.errors import ConfigurationError
from bot.store.database_url import describe
from bot.store.schema import schema_compatibility

MIGRATIONS = Path(__file__).parent
_NUMBER = re.compile(r"[0-9]{4}")

log = structlog.get_logger(__name__)


class SchemaRevisions:
    """The known migrations. Load them before taking the lock, so that it is held only while pending ones run."""

    def __init__(self, url: URL, migrations: Path = MIGRATIONS) -> None:
        self._url = url
        self._config = Config()
        self._config.set_main_option("script_location", str(migrations).replace("%", "%%"))
        steps = list(ScriptDirectory.from_config(self._config).walk_revisions())
        self._known = {step.revision for step in steps}
        self.newest = steps[0].revision
        # A migration that does not declare `additive` is treated as breaking.
        breaking = [step.revision for step in steps if not getattr(step.module, "additive", False)]
        self._oldest = breaking[0]

    def current(self, connection: sa.Connection) -> str | None:
        """Return the database's newest migration. Raises ConfigurationError if this version cannot use the tables."""
        present = MigrationContext.configure(connection).get_current_revision()
        if present in self._known or present is None:
            return present
        if not is_compatible(self.newest, present, _oldest_in(connection)):
            newer = f"{describe(self._url)} was written by a newer version of this bot; run that version"
            raise ConfigurationError([f"{newer}, or name another database in DATABASE_URL."])
        return present

    def is_newer_than_code(self, present: str | None) -> bool:
        """Return whether the database has migrations that this version does not know."""
        return present is not None and present not in self._known

    def run(self, connection: sa.Connection) -> None:
        """Run the pending migrations; log a warning if the database has newer ones."""
        present = self.current(connection)
        if self.is_newer_than_code(present):
            log.warning("schema_newer_than_code", tables=present, known=self.newest)
        else:
            if present != self.newest:
                self._config.attributes["connection"] = connection
                command.upgrade(self._config, "head")
            connection.execute(sa.delete(schema_compatibility))
            connection.execute(sa.insert(schema_compatibility).values(min_revision=self._oldest))
        # Changes nothing, but fails at once if the database is read-only for the bot.
        connection.execute(sa.text("UPDATE alembic_version SET version_num = version_num"))


def is_compatible(newest: str, present: str, oldest: str | None) -> bool:
    """Return whether a version whose newest migration is `newest` can work with tables that are ahead of it.

    Revisions are four-digit numbers, so they compare as strings; any other revision is not this bot's.
    """
    if oldest is None or not all(_NUMBER.fullmatch(each) for each in (newest, present, oldest)):
        return False
    return oldest <= newest < present


def _oldest_in(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table(schema_compatibility.name):
        return None
    oldest: str | None = connection.scalar(sa.select(schema_compatibility.c.min_revision))
    return oldest
