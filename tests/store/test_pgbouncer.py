"""The store behind PgBouncer, which gives each transaction another of its few sessions."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa

from bot.errors import ConfigurationError
from bot.store.database import Database, connect
from bot.store.database_url import parse_database_url
from bot.store.diagnostics import inspect
from bot.store.store import open_store
from tests.pgbouncer import pgbouncer
from tests.postgres import Postgres
from tests.store.helpers import LEASE, TEAM, Change, Channel, Episode, follow, look

AT_ONCE = 10
"""As many as a bot has connections: none waits for one, which takes how long it takes."""


@pytest.fixture(params=["transaction", "session"])
async def pooled_url(request: pytest.FixtureRequest, postgres: Postgres, new_postgres_url: str) -> AsyncIterator[str]:
    """Yield an empty database, through PgBouncer."""
    async with pgbouncer(postgres, request.param) as address:
        yield f"postgresql://postgres@{address}/{parse_database_url(new_postgres_url).database}"


async def test_two_bots_behind_a_pooler_share_the_work_without_repeating_announcements(pooled_url: str) -> None:
    assert "has no tables yet" in await inspect(pooled_url)
    stores = await asyncio.gather(open_store(pooled_url), open_store(pooled_url))
    assert "works, and" in await inspect(pooled_url)

    for first in range(0, 40, AT_ONCE * 2):
        numbers = range(first, first + AT_ONCE * 2)
        await asyncio.gather(*(follow(stores[number % 2], f"C{number}") for number in numbers))
    meeting = await look(stores[0])
    await stores[0].meeting_queue.record(meeting, Episode(phase="live"), [Change()], next_check_in=15)
    channels = Channel(), Channel()
    for _ in range(6):
        await asyncio.gather(*(channel.work(store) for channel, store in zip(channels, stores, strict=True)))
    counted = await asyncio.gather(*(store.request_windows.add(1) for _ in range(10) for store in stores))

    assert sorted(used.all for used in counted) == list(range(1, 21))
    assert await stores[1].card_queue.claim("w", 100, LEASE) == []
    assert await stores[1].workspaces.forget(TEAM) == 40
    for store in stores:
        assert await store.check() is None
        await store.close()


async def test_pooled_sessions_keep_no_statement_lock_or_setting(postgres: Postgres, pooled_url: str) -> None:
    store = await open_store(pooled_url)
    await asyncio.gather(*(follow(store, f"C{number}") for number in range(AT_ONCE)))
    database = Database(connect(parse_database_url(pooled_url)))
    left = sa.text(
        "SELECT (SELECT count(*) FROM pg_prepared_statements WHERE name <> ''),"
        " (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'), current_setting('lock_timeout'),"
        " (SELECT count(*) FROM pg_cursors WHERE name <> '')"
    )
    for _ in range(5):
        async with database.read_only() as connection:
            assert tuple((await connection.execute(left)).one()) == (0, 0, "0", 0)
    await database.close()
    await store.close()


async def test_option_that_the_pooler_refuses_is_named(pooled_url: str) -> None:
    with pytest.raises(ConfigurationError, match="a pooler such as PgBouncer") as caught:
        await open_store(f"{pooled_url}?options=-c%20geqo%3Doff")

    assert "options" in caught.value.mistakes[0]


async def test_pooler_without_transactions_is_refused(postgres: Postgres, new_postgres_url: str) -> None:
    async with pgbouncer(postgres, "statement") as address:
        with pytest.raises(ConfigurationError, match="set its pool_mode to transaction"):
            await open_store(f"postgresql://postgres@{address}/{parse_database_url(new_postgres_url).database}")


async def test_restart_of_the_pooler_goes_unnoticed(postgres: Postgres, new_postgres_url: str) -> None:
    name = parse_database_url(new_postgres_url).database
    async with pgbouncer(postgres) as address:
        store = await open_store(f"postgresql://postgres@{address}/{name}")
        await postgres.disconnect_all(str(name))
        assert (await follow(store)).is_new
        await store.close()
