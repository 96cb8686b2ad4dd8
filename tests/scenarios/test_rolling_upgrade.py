"""Two versions of the bot on one PostgreSQL, while the newer one changes the tables under the older one's work.

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
class Two:
    """The older version at work, the newer one's migrations, and the Slack that both of them see."""

    url: str
    socket_dir: str
    migrations: Path
    clock: Clock
    old: Store
    slack: Channel = field(default_factory=Channel)

    async def begin(self) -> None:
        """The older version follows a meeting in every channel, and posts the cards."""
        for channel in CHANNELS:
            await follow(self.old, channel)
        await self.slack.work(self.old, "old")

    @contextlib.asynccontextmanager
    async def held_up(self) -> AsyncIterator[asyncio.Task[None]]:
        """The newer version migrates, and stands at the gate until the block ends: changed, and not committed."""
        gate = await asyncpg.connect(host=self.socket_dir, user="postgres", database=self.database)
        try:
            await gate.execute(f"SELECT pg_advisory_lock({GATE})")
            migrator = asyncio.create_task(migrate(parse_database_url(self.url), self.migrations))
            await self.waiting(1)
            yield migrator
            await gate.execute(f"SELECT pg_advisory_unlock({GATE})")
            await migrator
        finally:
            await gate.close()

    @contextlib.asynccontextmanager
    async def backup(self) -> AsyncIterator[None]:
        """What pg_dump does at first, and holds on to until it is done."""
        dump = await asyncpg.connect(host=self.socket_dir, user="postgres", database=self.database)
        try:
            async with dump.transaction(isolation="repeatable_read", readonly=True):
                await dump.execute(f"LOCK TABLE {', '.join(metadata.tables)}, alembic_version IN ACCESS SHARE MODE")
                yield
        finally:
            await dump.close()

    async def waiting(self, number: int) -> None:
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
        """The newer version, started: its tables are there."""
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
async def two(postgres: Postgres, migrations: Path) -> AsyncIterator[Two]:
    name, clock = await postgres.create(), Clock()
    old = await open_store(postgres.url(name), clock=clock, check_spacing=0)
    yield Two(postgres.url(name), postgres.socket_dir, migrations, clock, old)
    await old.close()
    await postgres.drop(name)


def run(seq: int = 0) -> Iterator[tuple[Episode, Change]]:
    """What is seen of one livestream, from its start to its end."""
    for kind in ("starting", "live", "error", "back", "ended"):
        seq += 1
        yield Episode(phase=kind), Change(seq=seq, kind=kind)


TOLD = [change.kind for _, change in run()]


async def see_among_others(store: Store, episode: Episode, change: Change) -> None:
    """What is seen of a meeting that somebody follows at the same moment: as long as it is locked a claim passes over
    it."""
    assert await store.meeting_queue.request_check(MEETING)
    async with asyncio.timeout(30):
        while not (due := await store.meeting_queue.claim("tracker", 10, LEASE)):
            pass
    assert await store.meeting_queue.record(due[0], episode, [change], next_check_in=60.0)


async def test_an_older_bot_works_on(two: Two) -> None:
    """Changes seen before, during and after the migration are each told once, in order, in every channel.

    The older bot is asked to record, to follow and to post while the tables are locked: it waits, and nothing breaks.
    """
    await two.begin()
    looks = run()
    await see(two.old, *next(looks))
    await two.slack.work(two.old, "old")
    await see(two.old, *next(looks))

    async with two.held_up():
        during = [
            asyncio.create_task(two.slack.work(two.old, "old")),
            asyncio.create_task(see_among_others(two.old, *next(looks))),
            asyncio.create_task(follow(two.old, "C4")),
        ]
        # The migration at its gate, and these at the tables.
        await two.waiting(1 + len(during))
        assert not any(task.done() for task in during)
    await asyncio.gather(*during)
    for look in looks:
        await see(two.old, *look)
    await two.slack.work(two.old, "old")

    *threads, newest = two.slack.threads.values()
    assert threads == [TOLD] * len(CHANNELS)
    # It followed as the third change was recorded, before it or after.
    assert newest in (TOLD[2:], TOLD[3:])
    assert await two.old.check() is None
    assert await two.old.card_queue.due_in() is None


async def test_both_work_at_the_same(two: Two) -> None:
    """One version goes on with what the other has begun: look by look, card by card, in both directions."""
    await two.begin()
    async with two.new() as new:
        for number, look in enumerate(run()):
            seeing, telling = (two.old, new) if number % 2 else (new, two.old)
            await see(seeing, *look)
            assert len(await two.slack.work(telling, "other")) == len(CHANNELS)
            assert await two.slack.work(seeing, "one") == []
        by_new = await follow(new, "C4")
        (listed,) = await two.old.follows.in_channel(TEAM, "C4")
        left = await two.old.follows.unfollow(TEAM, "C4", MEETING, user_id="U2")

    assert list(two.slack.threads.values()) == [TOLD] * len(CHANNELS)
    assert listed.follow == left == by_new.follow


async def test_an_older_bot_keeps_what_is_new(two: Two) -> None:
    """What the newer version writes into its column stays there when the older one writes the row."""
    await two.begin()
    async with two.new() as new:
        database = Database(connect(parse_database_url(two.url)), two.clock)
        async with database.transaction() as connection:
            for table in ("meetings", "follows", "cards"):
                await connection.execute(sa.text(f"UPDATE {table} SET language = 'de'"))
        await see(two.old, *next(run()))
        await two.slack.work(two.old, "old")
        async with database.read_only() as connection:
            for table in ("meetings", "follows", "cards"):
                kept = await connection.execute(sa.text(f"SELECT DISTINCT language FROM {table}"))
                assert kept.scalars().all() == ["de"]
        await database.close()
        assert await new.card_queue.due_in() is None


async def test_several_newer_bots_at_once(two: Two) -> None:
    """They start at the same moment: one migrates, the others wait for it and find nothing left to do."""
    await two.begin()
    async with two.held_up() as first:
        others = [asyncio.create_task(migrate(parse_database_url(two.url), two.migrations)) for _ in range(3)]
        # The first at its gate, the others at the migrations' own lock.
        await two.waiting(1 + len(others))
        assert not first.done()
    await asyncio.gather(*others)
    await see(two.old, *next(run()))
    await two.slack.work(two.old, "old")

    assert list(two.slack.threads.values()) == [TOLD[:1]] * len(CHANNELS)


async def test_a_newer_bot_that_fails(two: Two) -> None:
    """A migration that breaks half-way leaves the older bot as it was: nothing of it is there."""
    await two.begin()
    step = two.migrations / "versions" / "next.py"
    step.write_text(step.read_text() + '    op.execute("SELECT * FROM nowhere")\n')

    with pytest.raises(ConfigurationError):
        await migrate(parse_database_url(two.url), two.migrations)
    await see(two.old, *next(run()))
    await two.slack.work(two.old, "old")

    assert list(two.slack.threads.values()) == [TOLD[:1]] * len(CHANNELS)
    await (await open_store(two.url, clock=two.clock)).close()


async def test_back_to_the_older_version(two: Two, log: io.StringIO) -> None:
    """An older bot that starts on the newer tables, in the middle of the upgrade or by a rollback, goes on where the
    newer one was, and warns; so may the newer one after it."""
    await two.begin()
    looks = run()
    async with two.new() as new:
        await see(new, *next(looks))
    started = await open_store(two.url, clock=two.clock, check_spacing=0)
    await two.slack.work(started, "started")
    await see(started, *next(looks))
    await started.close()
    async with two.new() as new:
        for look in looks:
            await see(new, *look)
        await two.slack.work(new, "new")

    (warning,) = [json.loads(line) for line in log.getvalue().splitlines() if "schema_newer_than_code" in line]
    assert (warning["level"], warning["tables"], warning["known"]) == ("warning", NEWER, HEAD)
    assert list(two.slack.threads.values()) == [TOLD] * len(CHANNELS)


async def test_no_way_back(two: Two) -> None:
    """Where the step does more than add, an older bot that starts says why it does not, in one sentence."""
    await two.begin()
    step = two.migrations / "versions" / "next.py"
    step.write_text(step.read_text().replace("additive = True", "additive = False"))
    await migrate(parse_database_url(two.url), two.migrations)

    with pytest.raises(ConfigurationError, match=f"^The database {two.database} at .* run that version") as caught:
        await open_store(two.url, clock=two.clock)

    (sentence,) = caught.value.mistakes
    assert sentence.count(". ") == 0


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits at locked tables are shorter than a person would notice."""
    monkeypatch.setattr(migrator, "LOCK_SECONDS", 0.1)
    monkeypatch.setattr(migrator, "PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(migrator, "LOCK_TRIES", 1_000)


@pytest.mark.usefixtures("quick")
async def test_during_a_backup(two: Two, log: io.StringIO) -> None:
    """While pg_dump holds its locks the newer version tries again and again, and in between the older one works; when
    the backup is done, the tables are changed."""
    await two.begin()
    looks = run()
    async with two.backup():
        upgrade = asyncio.create_task(migrate(parse_database_url(two.url), two.migrations))
        for _ in range(2):
            await see(two.old, *next(looks))
            await two.slack.work(two.old, "old")
        await until(lambda: log.getvalue().count("migration_lock_timeout") >= 2)
        assert not upgrade.done()
    await upgrade
    for look in looks:
        await see(two.old, *look)
    await two.slack.work(two.old, "old")

    assert list(two.slack.threads.values()) == [TOLD] * len(CHANNELS)


@pytest.mark.usefixtures("quick")
async def test_a_backup_without_end(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    """After some tries it says what is in the way, and has changed nothing."""
    monkeypatch.setattr(migrator, "LOCK_TRIES", 3)
    async with two.backup():
        with pytest.raises(ConfigurationError, match="is locked by another program, such as a backup; wait"):
            await migrate(parse_database_url(two.url), two.migrations)
        await (await open_store(two.url, clock=two.clock)).close()

    await migrate(parse_database_url(two.url), two.migrations)


async def test_a_migration_that_takes_long(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others that start wait for it for longer than for a table."""
    monkeypatch.setattr(migrator, "LOCK_SECONDS", 0.05)
    async with two.held_up():
        other = asyncio.create_task(migrate(parse_database_url(two.url), two.migrations))
        await two.waiting(2)
        await asyncio.sleep(0.3)
        assert not other.done()
    await other
