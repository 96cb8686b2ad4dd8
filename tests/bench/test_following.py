"""The database that `make bench-follow` fills is one that the bot can use."""

from pathlib import Path
from uuid import UUID

from bench.following.databases import Followed, fill
from bot.store.store import open_store


async def test_filled_follows_have_a_posted_card_and_a_planned_check(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/bot.db"
    now = 1_780_488_000.0
    await fill(url, [Followed(UUID(int=number), f"C{number}", f"{number}.000001") for number in range(3)], now)

    store = await open_store(url)
    stats = await store.maintenance.stats()
    due = await store.meeting_queue.claim("bench", 10, 30)
    await store.close()

    assert stats.unsent == 0
    assert {meeting.meeting_id for meeting in due} == {UUID(int=number) for number in range(3)}
