"""The store behind PgBouncer, which gives each transaction another of its few sessions."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa

from bot.errors import ConfigurationError
from bot.store.database import Database, connect
from bot.store.database_url import parse_database_url
from bot.store.diagnostics import describe_error, inspect
from bot.store.store import open_store
from tests.pgbouncer import pgbouncer
from tests.postgres import Postgres
from tests.store.helpers import LEASE, TEAM, Change, Channel, Episode, follow, look


@pytest.fixture(params=["transaction", "session"])
async def pooled_url(request: pytest.FixtureRequest, postgres: Postgres, new_postgres_url: str) -> AsyncIterator[str]:
    """Yield an empty database, through PgBouncer."""
    async with pgbouncer(postgres, request.param) as address:
        yield f"postgresql://postgres@{address}/{parse_database_url(new_postgres_url).database}"


async def test_two_bots(pooled_url: str) -> None:
    """Both bring the tables up to date at once, and share the work at forty follows; nothing is announced twice."""
    assert "has no tables yet" in await inspect(pooled_url)
    stores = await asyncio.gather(open_store(pooled_url), open_store(pooled_url))
    assert "works, and" in await inspect(pooled_url)

    await asyncio.gather(*(follow(stores[number % 2], f"C{number}") for number in range(40)))
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


async def test_the_server_s_sessions_keep_nothing(postgres: Postgres, pooled_url: str) -> None:
    """No statement, no lock and no setting stays behind for the next user of the session."""
    store = await open_store(pooled_url)
    await asyncio.gather(*(follow(store, f"C{number}") for number in range(20)))
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


async def test_an_option_that_it_refuses(pooled_url: str) -> None:
    """The sentence says whose refusal it is, and of what."""
    with pytest.raises(ConfigurationError, match="a pooler such as PgBouncer") as caught:
        await open_store(f"{pooled_url}?options=-c%20geqo%3Doff")

    assert "options" in caught.value.mistakes[0]


async def test_statement_pooling(postgres: Postgres, new_postgres_url: str) -> None:
    """It cannot work without transactions, and the sentence says which setting to change."""
    async with pgbouncer(postgres, "statement") as address:
        with pytest.raises(ConfigurationError, match="set its pool_mode to transaction"):
            await open_store(f"postgresql://postgres@{address}/{parse_database_url(new_postgres_url).database}")


class _Refusal(Exception):
    sqlstate = "08P01"


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ("SASL authentication failed", "refuses the user or the password"),
        ("no such database: bot", "does not exist"),
        ("no more connections allowed (max_client_conn)", "has no free connections"),
        ("query_wait_timeout", "has no connection left for it"),
        ("hunter2", "and the pooler"),
    ],
)
def test_what_it_says_for_itself(said: str, word: str) -> None:
    """Each of its refusals has the same code, and its own sentence."""
    sentence = describe_error(_Refusal(said), parse_database_url("postgresql://u:p@h/d"))

    assert word in sentence
    assert said not in sentence


async def test_it_restarts(postgres: Postgres, new_postgres_url: str) -> None:
    """PgBouncer's clients lose their connections, as with PostgreSQL itself, and open others."""
    name = parse_database_url(new_postgres_url).database
    async with pgbouncer(postgres) as address:
        store = await open_store(f"postgresql://postgres@{address}/{name}")
        await postgres.disconnect_all(str(name))
        assert (await follow(store)).is_new
        await store.close()
