"""An announcer with a real store and the sandbox's Slack, by a clock that only the test advances."""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bot.clock import utc
from bot.domain.episode import Change, ChangeKind, Episode, Phase
from bot.domain.follow import DeliveryResult, Level
from bot.metrics import Metrics
from bot.notifications.announcer import Announcer
from bot.notifications.pause_notices import PauseNotifier
from bot.notifications.timing import Timing
from bot.slack.api_client import SlackClient, open_session
from bot.slack.publisher import Publisher
from bot.slack.rate_limiter import Rate, SlackRateLimiter
from bot.store.due_cards import DueCard
from bot.store.follows import StoredFollow
from bot.store.schema import follows, meetings
from bot.store.store import Store, open_store
from bot.worker import WorkerContext
from sandbox.clock import Clock
from sandbox.slack import ANN, BEN, EVENTS, Message, Slack
from tests.store.helpers import sqlite_with_tables

TEAM = "T0SANDBOX01"
MEETING = UUID("50c8940e-1b97-402a-97d6-2708b7feca41")
STREAM = "https://customer-s4ndb0x.cloudflarestream.com/0123456789abcdef0123456789abcdef/manifest/video.m3u8"
FREELY = Rate(per_second=1_000, burst=1_000)
NOON = 1_780_488_000.0  # 2026-06-03 12:00 UTC


@dataclass
class Stage:
    """What the poller records, and what people see of it in Slack."""

    slack: Slack
    store: Store
    clock: Clock
    metrics: Metrics
    context: WorkerContext
    publisher: Publisher
    announcer: Announcer
    notices: PauseNotifier
    episode: Episode = field(init=False)

    def __post_init__(self) -> None:
        self.episode = replace(Episode.waiting(utc(self.clock)), name="Launch keynote", checked_at=utc(self.clock))

    async def follow(self, channel: str = EVENTS, *, level: Level = Level.NORMAL, **how: Any) -> StoredFollow:
        return await self.store.follows.follow(
            TEAM, channel, MEETING, user_id=ANN, level=level, episode=self.episode, **how
        )

    async def follow_and_post(self, level: Level = Level.NORMAL) -> None:
        """Follow, and post the card."""
        await self.follow(level=level)
        await self.work()

    async def unfollow(self) -> None:
        await self.store.follows.unfollow(TEAM, EVENTS, MEETING, user_id=BEN)

    async def see(self, phase: Phase, *kinds: ChangeKind, visible: bool = True, **fields: Any) -> None:
        """Record the meeting's new phase, and changes of these kinds to announce."""
        now = utc(self.clock)
        live = {"live_since": now, "playback_url": STREAM} if phase is Phase.LIVE else {}
        ended = {"ended_at": now, "playback_url": None} if phase is Phase.ENDED else {}
        shown = {**live, **ended, **fields}
        self.episode = replace(self.episode, phase=phase, phase_since=now, checked_at=now, **shown)
        changes = [self._change(kind) for kind in kinds]
        await self._make_due()
        (meeting,) = await self.store.meeting_queue.claim("poller", 1, 30)
        await self.store.meeting_queue.record(meeting, self.episode, changes, next_check_in=60, visible=visible)

    async def broadcast(self) -> None:
        """Announce that the meeting is live and that it has ended, both at once."""
        await self.see(Phase.LIVE, ChangeKind.LIVE)
        await self.see(Phase.ENDED, ChangeKind.ENDED)
        await self.work()

    async def _make_due(self) -> None:
        """Make the meeting due now; a requested check would wait for the minimum interval between checks."""
        async with self.store._db.transaction() as connection:
            await connection.execute(sa.update(meetings).values(next_check_at=self.clock.now()))

    def _change(self, kind: ChangeKind) -> Change:
        episode = self.episode = replace(self.episode, seq=self.episode.seq + 1, last_announced=kind)
        now = utc(self.clock)
        return Change(
            episode.number,
            episode.seq,
            kind,
            now,
            now,
            name=episode.name,
            playback_url=episode.playback_url,
            error_reason=episode.error_reason,
            live_since=episode.live_since,
        )

    def next_episode(self) -> None:
        """Continue with the next episode, about which nothing is known yet."""
        waiting = Episode.waiting(utc(self.clock))
        self.episode = replace(waiting, number=self.episode.number + 1, name=self.episode.name)

    async def claim(self) -> list[DueCard]:
        return await self.store.card_queue.claim("announcer", 100, 60.0)

    async def work(self) -> list[DeliveryResult]:
        """Deliver the due cards once."""
        return [await self.announcer.deliver(card) for card in await self.claim()]

    async def due_in(self) -> float | None:
        """Return the seconds until a card is due; None if none will be."""
        return await self.store.card_queue.due_in()

    def another_announcer(self, timing: Timing | None = None, worker_id: str = "announcer") -> Announcer:
        """Return an announcer with another timing, or of another process."""
        store, context = self.store, replace(self.context, worker_id=worker_id)
        return Announcer(store.card_queue, store.pauses, self.publisher, context, timing)

    def restart(self) -> None:
        """Have another process deliver cards from now on."""
        rate_limiter = SlackRateLimiter(self.clock, per_channel=FREELY, posts=FREELY, edits=FREELY)
        self.publisher = Publisher(self.publisher._client, rate_limiter, self.clock, self.metrics)
        self.announcer = self.another_announcer(worker_id="another")

    def wake_up(self) -> None:
        """Have the announcer check for due cards now."""
        self.context.wake_ups.announcer.set()

    async def settle(self) -> None:
        """Deliver cards until none will become due."""
        while (wait := await self.due_in()) is not None:
            self.clock.advance(wait)
            await self.work()

    async def late_edit(self) -> Callable[[], None]:
        """Have Slack not answer the next edit; return a function that carries the edit out."""
        requests: list[dict[str, Any]] = []
        client = self.publisher._client._fresh
        call = client._request

        async def slow(**request: Any) -> Any:
            if not str(request["api_url"]).endswith("chat.update"):
                return await call(**request)
            client._request = call  # type: ignore[method-assign]
            requests.append(request["req_args"].get("json") or request["req_args"].get("params"))
            raise TimeoutError

        client._request = slow  # type: ignore[method-assign]

        def apply() -> None:
            (sent,) = requests
            message = self.slack.workspace.find(sent["channel"], sent["ts"])
            assert message is not None
            edited = self.slack.workspace.next_ts(self.clock.now())
            self.slack.workspace.edit(message, sent["text"], tuple(sent["blocks"]), edited)

        return apply

    async def is_empty(self) -> bool:
        """Return whether nothing is left of any follow."""
        async with self.store._db.read_only() as connection:
            return await connection.scalar(sa.select(follows.c.id)) is None

    def cards(self, channel: str = EVENTS) -> list[Message]:
        """Return the bot's messages in a channel, without replies."""
        return [message for message in self.slack.messages(channel) if message.thread_ts is None]

    def shows(self, words: str) -> bool:
        """Return whether the first card begins with these words about the meeting."""
        return self.cards()[0].text.startswith(f"Launch keynote {words}")

    def thread(self, card: Message) -> list[str]:
        """Return the announcements in a card's thread."""
        return [reply.text for reply in self.slack.replies(card)]

    def count(self, operation: str, outcome: str) -> float:
        """Return how many calls of this kind had this outcome."""
        labels = {"operation": operation, "outcome": outcome}
        return self.metrics.registry.get_sample_value("livestream_bot_slack_messages_total", labels) or 0.0

    def count_calls(self, method: str) -> int:
        """Return how many calls of this method Slack has received."""
        return sum(call.method == method for call in self.slack.calls)


@contextlib.asynccontextmanager
async def staged(
    tmp_path: Path, clock: Clock | None = None, rate_limiter: SlackRateLimiter | None = None
) -> AsyncIterator[Stage]:
    """Set up a stage whose store is a SQLite file in this folder. Nothing is throttled, unless by `rate_limiter`."""
    clock = clock or Clock(NOON, speed=0)
    rate_limiter = rate_limiter or SlackRateLimiter(clock, per_channel=FREELY, posts=FREELY, edits=FREELY)
    metrics = Metrics()
    store = await open_store(await sqlite_with_tables(tmp_path / "livestream.db"), clock=clock.now)
    async with Slack(clock).running() as slack, open_session() as session:
        slack.limits.enabled = False
        client = SlackClient(
            token=slack.credentials.bot_token, base_url=slack.api_url, session=session, metrics=metrics
        )
        publisher = Publisher(client, rate_limiter, clock, metrics)
        context = WorkerContext("announcer", clock, metrics)
        announcer = Announcer(store.card_queue, store.pauses, publisher, context)
        notices = PauseNotifier(store.pauses, store.singleton_jobs, publisher, context)
        yield Stage(slack, store, clock, metrics, context, publisher, announcer, notices)
    await store.close()
