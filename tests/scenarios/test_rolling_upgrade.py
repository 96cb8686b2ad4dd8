"""Two versions of the bot on one PostgreSQL, while the newer one changes the tables that the older one uses.

The newer one's migration is of the kind that a rolling upgrade allows: it only adds, and what it adds may be NULL.
"""

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]
import pytest
import sqlalchemy as sa

from bot.errors import ConfigurationError
from bot.store import migrator
from bot.store.database import Database, connect
from bot.store.database_url import parse_database_url
from bot.store.migrator import migrate
from bot.store.schema import metadata
from bot.store.store import Store, open_store
from tests.postgres import Postgres, postgres
from tests.scenarios.newer_version import GATE, HEAD, NEWER, newer_migrations
from tests.scenarios.scenario import until
from tests.store.helpers import LEASE, MEETING, TEAM, Change, Channel, Clock, Episode, follow, see

__all__ = ["postgres"]

CHANNELS = ("C1", "C2", "C3")


@dataclass
class Upgrade:
    """The older version at work, the newer one's migrations, and the Slack that both use."""

    url: str
    socket_dir: str
    migrations: Path
    clock: Clock
    old: Store
    slack: Channel = field(default_factory=Channel)

    async def begin(self) -> None:
        """Let the older version follow a meeting in every channel, and post the cards."""
        for channel in CHANNELS:
            await follow(self.old, channel)
        await self.slack.work(self.old, "old")

    @contextlib.asynccontextmanager
    async def migration_in_progress(self) -> AsyncIterator[asyncio.Task[None]]:
        """Let the newer version migrate, and wait before its commit until the block ends."""
        gate = await asyncpg.connect(host=self.socket_dir, user="postgres", database=self.database)
        try:
            await gate.execute(f"SELECT pg_advisory_lock({GATE})")
            migrator = asyncio.create_task(migrate(parse_database_url(self.url), self.migrations))
            await self.wait_for_lock_waiters(1)
            yield migrator
            await gate.execute(f"SELECT pg_advisory_unlock({GATE})")
            await migrator
        finally:
            await gate.close()

    @contextlib.asynccontextmanager
    async def backup(self) -> AsyncIterator[None]:
        """Take the locks of pg_dump until the block ends."""
        dump = await asyncpg.connect(host=self.socket_dir, user="postgres", database=self.database)
        try:
            async with dump.transaction(isolation="repeatable_read", readonly=True):
                await dump.execute(f"LOCK TABLE {', '.join(metadata.tables)}, alembic_version IN ACCESS SHARE MODE")
                yield
        finally:
            await dump.close()

    async def wait_for_lock_waiters(self, number: int) -> None:
        """Wait until so many connections wait for a lock."""
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        watcher = await asyncpg.connect(host=self.socket_dir, user="postgres", database=self.database)
        try:
            async with asyncio.timeout(30):
                while True:
                    if await watcher.fetchval(query) >= number:
                        return
                    await asyncio.sleep(0.01)
        finally:
            await watcher.close()

    @property
    def database(self) -> str:
        return str(parse_database_url(self.url).database)

    @contextlib.asynccontextmanager
    async def new(self) -> AsyncIterator[Store]:
        """Yield the newer version, started, with its tables."""
        await migrate(parse_database_url(self.url), self.migrations)
        store = Store(Database(connect(parse_database_url(self.url)), self.clock), check_spacing=0)
        try:
            yield store
        finally:
            await store.close()


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    return newer_migrations(tmp_path)


@pytest.fixture
async def upgrade(postgres: Postgres, migrations: Path) -> AsyncIterator[Upgrade]:
    name, clock = await postgres.create(), Clock()
    old = await open_store(postgres.url(name), clock=clock, check_spacing=0)
    yield Upgrade(postgres.url(name), postgres.socket_dir, migrations, clock, old)
    await old.close()
    await postgres.drop(name)


def changes_of_an_episode(seq: int = 0) -> Iterator[tuple[Episode, Change]]:
    """Yield what is seen of one livestream, from its start to its end."""
    for kind in ("starting", "live", "error", "back", "ended"):
        seq += 1
        yield Episode(phase=kind), Change(seq=seq, kind=kind)


KINDS = [change.kind for _, change in changes_of_an_episode()]


async def see_with_retries(store: Store, episode: Episode, change: Change) -> None:
    """Record a change while the meeting is being followed: a claim skips it as long as it is locked."""
    assert await store.meeting_queue.request_check(MEETING)
    async with asyncio.timeout(30):
        while not (due := await store.meeting_queue.claim("tracker", 10, LEASE)):
            pass
    await store.meeting_queue.record(due[0], episode, [change], next_check_in=60.0)


async def test_older_bot_keeps_working_during_the_migration(upgrade: Upgrade) -> None:
    """It records, follows and posts while the tables are locked: it waits, and nothing fails."""
    await upgrade.begin()
    changes = changes_of_an_episode()
    await see(upgrade.old, *next(changes))
    await upgrade.slack.work(upgrade.old, "old")
    await see(upgrade.old, *next(changes))

    async with upgrade.migration_in_progress():
        during = [
            asyncio.create_task(upgrade.slack.work(upgrade.old, "old")),
            asyncio.create_task(see_with_retries(upgrade.old, *next(changes))),
            asyncio.create_task(follow(upgrade.old, "C4")),
        ]
        # The migration at its lock, and these at the tables.
        await upgrade.wait_for_lock_waiters(1 + len(during))
        assert not any(task.done() for task in during)
    await asyncio.gather(*during)
    for change in changes:
        await see(upgrade.old, *change)
    await upgrade.slack.work(upgrade.old, "old")

    *threads, newest = upgrade.slack.threads.values()
    assert threads == [KINDS] * len(CHANNELS)
    # It followed as the third change was recorded, before it or after.
    assert newest in (KINDS[2:], KINDS[3:])
    assert await upgrade.old.check() is None
    assert await upgrade.old.card_queue.due_in() is None


async def test_both_versions_continue_each_others_work(upgrade: Upgrade) -> None:
    await upgrade.begin()
    async with upgrade.new() as new:
        for number, change in enumerate(changes_of_an_episode()):
            seeing, announcing = (upgrade.old, new) if number % 2 else (new, upgrade.old)
            await see(seeing, *change)
            assert len(await upgrade.slack.work(announcing, "other")) == len(CHANNELS)
            assert await upgrade.slack.work(seeing, "one") == []
        by_new = await follow(new, "C4")
        (listed,) = await upgrade.old.follows.in_channel(TEAM, "C4")
        left = await upgrade.old.follows.unfollow(TEAM, "C4", MEETING, user_id="U2")

    assert list(upgrade.slack.threads.values()) == [KINDS] * len(CHANNELS)
    assert listed.follow == left == by_new.follow


async def test_older_bot_keeps_the_newer_columns(upgrade: Upgrade) -> None:
    await upgrade.begin()
    async with upgrade.new() as new:
        database = Database(connect(parse_database_url(upgrade.url)), upgrade.clock)
        async with database.transaction() as connection:
            for table in ("meetings", "follows", "cards"):
                await connection.execute(sa.text(f"UPDATE {table} SET language = 'de'"))
        await see(upgrade.old, *next(changes_of_an_episode()))
        await upgrade.slack.work(upgrade.old, "old")
        async with database.read_only() as connection:
            for table in ("meetings", "follows", "cards"):
                kept = await connection.execute(sa.text(f"SELECT DISTINCT language FROM {table}"))
                assert kept.scalars().all() == ["de"]
        await database.close()
        assert await new.card_queue.due_in() is None


async def test_simultaneous_newer_bots_migrate_once(upgrade: Upgrade) -> None:
    await upgrade.begin()
    async with upgrade.migration_in_progress() as first:
        others = [asyncio.create_task(migrate(parse_database_url(upgrade.url), upgrade.migrations)) for _ in range(3)]
        # The first at its lock, the others at the migrations' own lock.
        await upgrade.wait_for_lock_waiters(1 + len(others))
        assert not first.done()
    await asyncio.gather(*others)
    await see(upgrade.old, *next(changes_of_an_episode()))
    await upgrade.slack.work(upgrade.old, "old")

    assert list(upgrade.slack.threads.values()) == [KINDS[:1]] * len(CHANNELS)


async def test_failed_migration_changes_nothing(upgrade: Upgrade) -> None:
    await upgrade.begin()
    step = upgrade.migrations / "versions" / "next.py"
    step.write_text(step.read_text() + '    op.execute("SELECT * FROM nowhere")\n')

    with pytest.raises(ConfigurationError):
        await migrate(parse_database_url(upgrade.url), upgrade.migrations)
    await see(upgrade.old, *next(changes_of_an_episode()))
    await upgrade.slack.work(upgrade.old, "old")

    assert list(upgrade.slack.threads.values()) == [KINDS[:1]] * len(CHANNELS)
    await (await open_store(upgrade.url, clock=upgrade.clock)).close()


async def test_older_bot_continues_on_the_newer_tables_with_a_warning(upgrade: Upgrade, log: io.StringIO) -> None:
    await upgrade.begin()
    changes = changes_of_an_episode()
    async with upgrade.new() as new:
        await see(new, *next(changes))
    started = await open_store(upgrade.url, clock=upgrade.clock, check_spacing=0)
    await upgrade.slack.work(started, "started")
    await see(started, *next(changes))
    await started.close()
    async with upgrade.new() as new:
        for change in changes:
            await see(new, *change)
        await upgrade.slack.work(new, "new")

    (warning,) = [json.loads(line) for line in log.getvalue().splitlines() if "schema_newer_than_code" in line]
    assert (warning["level"], warning["tables"], warning["known"]) == ("warning", NEWER, HEAD)
    assert list(upgrade.slack.threads.values()) == [KINDS] * len(CHANNELS)


async def test_older_bot_rejects_an_incompatible_schema(upgrade: Upgrade) -> None:
    await upgrade.begin()
    step = upgrade.migrations / "versions" / "next.py"
    step.write_text(step.read_text().replace("additive = True", "additive = False"))
    await migrate(parse_database_url(upgrade.url), upgrade.migrations)

    with pytest.raises(ConfigurationError, match=f"^The database {upgrade.database} at .* run that version") as caught:
        await open_store(upgrade.url, clock=upgrade.clock)

    (sentence,) = caught.value.mistakes
    assert sentence.count(". ") == 0


@pytest.fixture
def quick_lock_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make waits for locked tables very short."""
    monkeypatch.setattr(migrator, "LOCK_SECONDS", 0.1)
    monkeypatch.setattr(migrator, "PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(migrator, "LOCK_TRIES", 1_000)


@pytest.mark.usefixtures("quick_lock_timeouts")
async def test_migration_is_retried_until_a_backup_ends(upgrade: Upgrade, log: io.StringIO) -> None:
    await upgrade.begin()
    changes = changes_of_an_episode()
    async with upgrade.backup():
        migration = asyncio.create_task(migrate(parse_database_url(upgrade.url), upgrade.migrations))
        for _ in range(2):
            await see(upgrade.old, *next(changes))
            await upgrade.slack.work(upgrade.old, "old")
        await until(lambda: log.getvalue().count("migration_lock_timeout") >= 2)
        assert not migration.done()
    await migration
    for change in changes:
        await see(upgrade.old, *change)
    await upgrade.slack.work(upgrade.old, "old")

    assert list(upgrade.slack.threads.values()) == [KINDS] * len(CHANNELS)


@pytest.mark.usefixtures("quick_lock_timeouts")
async def test_migration_gives_up_on_an_endless_backup_without_changes(
    upgrade: Upgrade, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrator, "LOCK_TRIES", 3)
    async with upgrade.backup():
        with pytest.raises(ConfigurationError, match="is locked by another program, such as a backup; wait"):
            await migrate(parse_database_url(upgrade.url), upgrade.migrations)
        await (await open_store(upgrade.url, clock=upgrade.clock)).close()

    await migrate(parse_database_url(upgrade.url), upgrade.migrations)


async def test_other_bots_wait_for_a_long_migration(upgrade: Upgrade, monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer than for a table."""
    monkeypatch.setattr(migrator, "LOCK_SECONDS", 0.05)
    async with upgrade.migration_in_progress():
        other = asyncio.create_task(migrate(parse_database_url(upgrade.url), upgrade.migrations))
        await upgrade.wait_for_lock_waiters(2)
        await asyncio.sleep(0.3)
        assert not other.done()
    await other
