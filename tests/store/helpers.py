"""What tests of the store do all the time, and stand-ins for what the state machine makes."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from bot.domain.follow import Follow, Level
from bot.store.due_cards import DueCard
from bot.store.follows import StoredFollow
from bot.store.meeting_queue import DueMeeting
from bot.store.store import Store

TEAM, CHANNEL, ANN, BEN = "T1", "C1", "U1", "U2"
MEETING = UUID(int=1)
OTHER_MEETING = UUID(int=2)
LEASE = 30.0


@dataclass
class Clock:
    time: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += seconds


@dataclass(frozen=True)
class Episode:
    number: int = 1
    phase: str = "waiting"
    name: str | None = "All hands"

    def to_dict(self) -> dict[str, Any]:
        return {"number": self.number, "phase": self.phase}


@dataclass(frozen=True)
class Change:
    seq: int = 1
    kind: str = "live"
    episode: int = 1
    at: datetime = datetime(2027, 1, 15, 8, 0, tzinfo=UTC)

    def to_dict(self) -> dict[str, Any]:
        return {"episode": self.episode, "seq": self.seq, "kind": self.kind}


async def follow(
    store: Store,
    channel: str = CHANNEL,
    *,
    meeting: UUID = MEETING,
    level: Level = Level.NORMAL,
    episode: Episode | None = None,
) -> StoredFollow:
    return await store.follows.follow(TEAM, channel, meeting, user_id=ANN, level=level, episode=episode or Episode())


async def look(store: Store, worker_id: str = "tracker") -> DueMeeting:
    """Claim the one meeting that is due."""
    (meeting,) = await store.meeting_queue.claim(worker_id, 10, LEASE)
    return meeting


async def check(store: Store) -> None:
    """Check all meetings that are due, and find nothing new."""
    for meeting in await store.meeting_queue.claim("tracker", 1_000, LEASE):
        await store.meeting_queue.release(meeting, next_check_in=60)


async def expire(store: Store) -> list[Follow]:
    """Expire follows after a check that has found nothing new."""
    await check(store)
    return await store.maintenance.expire()


async def see(store: Store, episode: Episode, *changes: Change, **how: Any) -> None:
    """Check a meeting as if a check had been requested, and record what is seen."""
    assert await store.meeting_queue.request_check(how.pop("meeting", MEETING))
    await store.meeting_queue.record(await look(store), episode, changes, **{"next_check_in": 60.0, **how})


@dataclass
class Channel:
    """What the announcer did: a little of Slack."""

    cards: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What each posted message shows, by ts."""
    threads: dict[str, list[str]] = field(default_factory=dict)
    """Return what was announced in each card's thread."""
    messages: int = 0

    def ts(self) -> str:
        self.messages += 1
        return f"1800000000.{self.messages:06}"

    async def work(self, store: Store, worker_id: str = "announcer") -> list[DueCard]:
        """Do all that is due, as the announcer does; what was due."""
        due = await store.card_queue.claim(worker_id, 100, LEASE)
        for card in due:
            await self.work_at(store, card)
            await store.card_queue.release(card)
            await store.card_queue.remove_ended(card.follow)
        return due

    async def work_at(self, store: Store, card: DueCard) -> None:
        ts = card.message_ts
        if ts is None:
            ts = self.ts()
            self.cards[ts] = card.stored_episode
            self.threads[ts] = []
            await store.card_queue.mark_posted(card, ts, card.desired_version)
        elif card.needs_edit:
            self.cards[ts] = card.stored_episode
            await store.card_queue.mark_rendered(card, card.desired_version)
        for announcement in card.announcements:
            self.threads[ts].append(announcement.kind)
            await store.card_queue.mark_sent(card, announcement.seq, self.ts())
