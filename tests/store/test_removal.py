"""A workspace removes the app."""

from uuid import UUID

import sqlalchemy as sa

from bot.domain.follow import Level
from bot.store import removal
from bot.store.database import Database
from bot.store.schema import announcements, cards, follows
from bot.store.store import Store
from tests.store.helpers import ANN, CHANNEL, MEETING, TEAM, Change, Episode, follow, see


async def test_nothing_is_left(store: Store, database: Database) -> None:
    """What it followed is forgotten, with the cards and what was to be told, and nobody looks at its meetings."""
    await follow(store)
    await see(store, Episode(phase="live"), Change())

    assert await store.removal.forget(TEAM) == 1

    async with database.read_only() as connection:
        for table in (follows, cards, announcements):
            assert await connection.scalar(sa.select(sa.func.count()).select_from(table)) == 0
    assert await store.meeting_queue.due_in() is None
    assert await store.card_queue.due_in() is None


async def test_others_are_left_alone(store: Store) -> None:
    """Another workspace that follows the same meeting goes on."""
    await follow(store)
    await store.follows.follow("T2", CHANNEL, MEETING, user_id=ANN, level=Level.NORMAL, episode=Episode())

    await store.removal.forget(TEAM)

    assert await store.follows.in_channel(TEAM, CHANNEL) == []
    assert len(await store.follows.in_channel("T2", CHANNEL)) == 1
    assert await store.meeting_queue.due_in() == 0


async def test_many(store: Store) -> None:
    """More than fit in one transaction are forgotten in several; twice is as good as once."""
    for number in range(removal._AT_ONCE + 1):
        await follow(store, meeting=UUID(int=number + 1))

    assert await store.removal.forget(TEAM) == removal._AT_ONCE + 1

    assert await store.removal.forget(TEAM) == 0
