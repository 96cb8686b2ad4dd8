"""The bot continues with an older database, while Slack has newer messages."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from bot.domain.episode import ChangeKind, Phase
from bot.store.store import open_store
from tests.notifications.announcer_harness import Stage


def back_up(tmp_path: Path) -> Path:
    """Copy the database as the guides say."""
    path = tmp_path / "backup.db"
    with closing(sqlite3.connect(tmp_path / "livestream.db")) as database, closing(sqlite3.connect(path)) as backup:
        database.backup(backup)
    return path


def put_back(backup: Path) -> Path:
    for old in backup.parent.glob("livestream.db*"):
        old.unlink()
    return backup.rename(backup.parent / "livestream.db")


@asynccontextmanager
async def restored(stage: Stage, backup: Path) -> AsyncIterator[None]:
    """Have the bot continue with the backup's database."""
    await stage.store.close()
    stage.store = await open_store(f"sqlite:///{put_back(backup)}", clock=stage.clock.now)
    stage.restart()
    yield
    await stage.store.close()


async def test_next_livestream_is_announced_after_a_restored_backup(stage: Stage, tmp_path: Path) -> None:
    """Its episode has the number of another one, whose messages Slack still has."""
    await stage.follow_and_post()
    backup, before = back_up(tmp_path), stage.episode
    await stage.broadcast()

    async with restored(stage, backup):
        stage.episode = before
        stage.clock.advance(24 * 3600)
        await stage.see(Phase.LIVE, ChangeKind.LIVE)
        await stage.work()
        await stage.see(Phase.ENDED, ChangeKind.ENDED)
        await stage.work()

    (card,) = stage.cards()
    assert [text[15:25] for text in stage.thread(card)] == ["is live. W", "has ended."] * 2


async def test_next_episode_has_a_card_after_a_restored_backup(stage: Stage, tmp_path: Path) -> None:
    await stage.follow()
    await stage.broadcast()
    backup, before = back_up(tmp_path), stage.episode
    stage.next_episode()
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    await stage.work()

    async with restored(stage, backup):
        stage.episode = before
        stage.clock.advance(24 * 3600)
        stage.next_episode()
        await stage.see(Phase.LIVE, ChangeKind.LIVE)
        await stage.work()

    *_, card = cards = stage.cards()
    assert len(cards) == 3
    assert [text[15:25] for text in stage.thread(card)] == ["is live. W"]


async def test_deleted_card_is_posted_again_after_a_restored_backup(stage: Stage, tmp_path: Path) -> None:
    """With its current state, though Slack has a message with another one."""
    await stage.follow_and_post()
    backup, before = back_up(tmp_path), stage.episode
    stage.slack.delete_message(stage.cards()[0])
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    await stage.work()

    async with restored(stage, backup):
        stage.episode = before
        stage.clock.advance(24 * 3600)
        await stage.see(Phase.STARTING, ChangeKind.STARTING)
        await stage.settle()

    card = stage.cards()[-1]
    assert card.text.startswith("Launch keynote is starting")
    assert stage.thread(card) == ["Launch keynote is starting."]
