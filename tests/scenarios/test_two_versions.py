"""A rolling upgrade as people see it: an older bot in a process of its own, and a newer one beside it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from bot.store.database import connect
from bot.store.database_url import parse_database_url
from bot.store.migrator import migrate
from sandbox.realtimekit import seeds
from tests.postgres import Postgres, postgres
from tests.scenarios.newer_version import NEWER, newer_migrations
from tests.scenarios.scenario import Scenario, cards

__all__ = ["postgres"]

MEETING = seeds.NEVER_LIVE


@pytest.fixture
async def database_url(postgres: Postgres) -> AsyncIterator[str]:
    name = await postgres.create()
    yield postgres.url(name)
    await postgres.drop(name)


async def revision(url: str) -> object:
    """Return the current revision of the tables."""
    engine = connect(parse_database_url(url))
    async with engine.connect() as connection:
        found: object = await connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    await engine.dispose()
    return found


async def test_livestream_across_an_upgrade_is_announced_once_in_one_thread(
    fast: Scenario, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Either version answers people all the time."""
    async with contextlib.AsyncExitStack() as older_bots:
        older = await older_bots.enter_async_context(fast.process(database_url))
        fast.slack.request_url = f"{older.url}/slack/events"
        await fast.follow(MEETING)
        fast.world.kit.start(MEETING, "Keynote")
        await fast.until_announced(MEETING, "starting")

        monkeypatch.setattr(migrate, "__defaults__", (newer_migrations(tmp_path),))
        async with fast.world.bot(database_url=database_url):
            assert await revision(database_url) == NEWER
            fast.world.kit.go_live(MEETING)
            await fast.until_announced(MEETING, "starting", "live")
            by_newer = await fast.world.ask("following")
            fast.slack.request_url = f"{older.url}/slack/events"
            by_older = await fast.world.ask("following")
            fast.slack.request_url = f"{fast.world.bot_url}/slack/events"
            # Within the time that its supervisor allows.
            older.process.terminate()
            assert await asyncio.wait_for(older.ended(), 60) == 0
            await older_bots.aclose()

            fast.world.kit.end(MEETING)
            await fast.until_announced(MEETING, "starting", "live", "ended")
            await fast.pass_time(90)  # longer than any lease
            await fast.until_announced(MEETING, "starting", "live", "ended")

    assert len(cards(fast.slack, MEETING)) == 1
    # The meeting's title takes precedence over its livestream's name.
    assert "Hiring committee" in by_newer.text + str(by_newer.blocks)
    assert "Hiring committee" in by_older.text + str(by_older.blocks)


async def test_older_version_continues_after_a_rollback_and_logs_it(
    fast: Scenario, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as newer:
        newer.setattr(migrate, "__defaults__", (newer_migrations(tmp_path),))
        async with fast.world.bot(database_url=database_url):
            await fast.follow(MEETING)
            fast.world.kit.go_live(MEETING)
            await fast.until_announced(MEETING, "live")

    async with fast.process(database_url) as older:
        fast.slack.request_url = f"{older.url}/slack/events"
        fast.world.kit.end(MEETING)
        await fast.until_announced(MEETING, "live", "ended")
        log = older.log.read_text()

    assert log.count("schema_newer_than_code") == 1
    assert await revision(database_url) == NEWER
    assert len(cards(fast.slack, MEETING)) == 1
