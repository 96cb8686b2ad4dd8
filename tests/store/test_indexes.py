"""A query that runs every few seconds, or for every change, uses an index and does not read all rows."""

import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from bot.store.database import Database
from bot.store.store import Store
from tests.store.helpers import (
    CHANNEL,
    LEASE,
    MEETING,
    TEAM,
    Change,
    Channel,
    Clock,
    Episode,
    claim,
    expire,
    follow,
    look,
    see,
)

SCAN = {"sqlite": r"SCAN (?!CONSTANT ROW)\w+\b(?! USING)", "postgresql": r"Seq Scan on \w+"}


class Asked:
    """The statements that a store sends, and how the engine would answer them."""

    def __init__(self, database: Database) -> None:
        self.statements: list[tuple[str, Any]] = []
        self._database = database

    def note(self, _connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        self.statements.append((statement, parameters))

    async def scans(self) -> set[str]:
        """Return the tables that are read from end to end."""
        engine = self._database.engine.dialect.name
        async with self._database.transaction() as connection:
            if engine == "postgresql":
                # Of a table with three rows it would read all, and rightly.
                await connection.execute(sa.text("SET LOCAL enable_seqscan = off"))
            found = set()
            for statement, parameters in self.statements:
                if not re.match("SELECT|UPDATE|INSERT|DELETE", statement):
                    continue
                explain = "EXPLAIN QUERY PLAN " if engine == "sqlite" else "EXPLAIN "
                rows = (await connection.exec_driver_sql(explain + statement, parameters)).all()
                found |= set(re.findall(SCAN[engine], "\n".join(str(row[-1]) for row in rows)))
            return found


@pytest.fixture
def asked(store: Store, database: Database) -> Iterator[Asked]:
    asked = Asked(database)
    engine = store._db.engine.sync_engine
    sa.event.listen(engine, "before_cursor_execute", asked.note)
    yield asked
    sa.event.remove(engine, "before_cursor_execute", asked.note)


async def test_poller_reads_no_table_from_end_to_end(store: Store, asked: Asked) -> None:
    await follow(store)
    asked.statements.clear()
    await store.meeting_queue.due_in()
    await store.meeting_queue.due_in(only_news=True)
    await store.meeting_queue.refresh_due_in()
    meeting = await look(store)
    await store.meeting_queue.record(
        meeting, Episode(2), [Change(), Change(episode=2)], next_check_in=0, ended=Episode(1), renew=True
    )
    await store.meeting_queue.request_check(MEETING)
    await store.meeting_queue.release(await look(store), next_check_in=0)
    await store.meeting_queue.request_refresh(MEETING)

    assert len(asked.statements) > 12
    assert await asked.scans() == set()


async def test_sweeper_reads_no_table_from_end_to_end(store: Store, asked: Asked) -> None:
    await follow(store)
    await store.meeting_queue.record(await look(store), Episode(), next_check_in=10)
    asked.statements.clear()
    await store.singleton_jobs.claim("sweep", "s", LEASE)
    await store.meeting_sweeps.is_anything_followed()
    await store.meeting_sweeps.on_air()
    await store.meeting_sweeps.known([MEETING])
    await store.meeting_sweeps.confirm([MEETING], "waiting", failures=3, next_check_in=60)
    await store.meeting_sweeps.confirm_idle(failures=3, next_check_in=60)
    await store.meeting_sweeps.make_idle_due(5, unchecked_for=3600)
    await store.meeting_sweeps.prioritize([MEETING])

    assert len(asked.statements) > 10
    assert await asked.scans() == set()


async def test_announcer_reads_no_table_from_end_to_end(store: Store, asked: Asked) -> None:
    await follow(store)
    await see(store, Episode(), Change())
    asked.statements.clear()
    await store.card_queue.due_in()
    await Channel().work(store)
    await store.pauses.due_notices(10)

    assert len(asked.statements) > 8
    assert await asked.scans() == set()


async def test_requests_of_people_read_no_table_from_end_to_end(store: Store, asked: Asked) -> None:
    await follow(store)
    card = await claim(store)
    asked.statements.clear()
    await store.pauses.pause(card, "is_archived")
    await store.pauses.resume(TEAM, CHANNEL)
    await follow(store, "C2")
    await store.follows.in_channel(TEAM, CHANNEL)
    await store.follows.unfollow(TEAM, CHANNEL, MEETING, user_id="U2")
    await store.request_windows.add(10)

    assert len(asked.statements) > 20
    assert await asked.scans() == set()


async def test_expiry_reads_no_table_from_end_to_end(store: Store, asked: Asked, clock: Clock) -> None:
    await follow(store, meeting=UUID(int=5))
    clock.advance(1e7)
    asked.statements.clear()
    assert await expire(store)

    assert await asked.scans() == set()
