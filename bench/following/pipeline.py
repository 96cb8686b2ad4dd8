"""How many changes per second the announcer sends when Slack answers immediately and sets no limit."""

import asyncio
import time
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

from bench.following.databases import Followed, database, fill
from bench.peer import BOT_TOKEN, Peer
from bot.clock import WallClock, utc
from bot.domain.episode import ChangeKind, Episode, Phase
from bot.domain.observation import Observation, Status
from bot.domain.transitions import advance
from bot.metrics import Metrics
from bot.notifications.announcer import Announcer
from bot.slack.api_client import SlackClient, open_session
from bot.slack.publisher import Publisher
from bot.slack.rate_limiter import Rate, SlackRateLimiter
from bot.store.store import Store, open_store
from bot.worker import WorkerContext

_NO_LIMIT = Rate(per_second=1e6, burst=1_000_000)
_LEASE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The results."""

    database: str
    announced: int
    per_second: float
    """Announcements per second of wall-clock time, each with an edit of its card; the peer uses the other core."""
    per_cpu_second: float


async def measure(kind: str, channels: int = 2_000) -> Pipeline:
    """Measure one change of one meeting, announced in `channels` channels."""
    meeting_id, clock, metrics = uuid4(), WallClock(), Metrics()
    with database(kind) as url:
        followed = [Followed(meeting_id, f"C{n:010}", f"{n}.000001") for n in range(channels)]
        await fill(url, followed, clock.now() - 60)
        store = await open_store(url)
        peer = Peer(cloudflare_seconds=0)
        async with peer.running() as slack, open_session() as session:
            client = SlackClient(token=BOT_TOKEN, base_url=f"{slack}/api/", session=session, metrics=metrics)
            pacing = SlackRateLimiter(clock, per_channel=_NO_LIMIT, posts=_NO_LIMIT, edits=_NO_LIMIT)
            delivery = Publisher(client, pacing, clock, metrics)
            announcer = Announcer(store.card_queue, store.pauses, delivery, WorkerContext("bench", clock, metrics))
            await _go_live(store)
            wall, cpu = time.perf_counter(), time.process_time()
            running = asyncio.create_task(announcer.run())
            await _wait_until_announced(store)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        await store.close()
    return Pipeline(kind, channels, channels / wall, channels / cpu)


async def _wait_until_announced(store: Store) -> None:
    while True:
        if not (await store.maintenance.stats()).unsent:
            return
        await asyncio.sleep(0.05)


async def _go_live(store: Store) -> None:
    [due] = await store.meeting_queue.claim("bench", 1, _LEASE_SECONDS)
    now = utc(WallClock())
    before = Episode.from_dict(due.episode)
    assert before.phase is Phase.WAITING
    after, changes = advance(before, Observation(Status.LIVE, session_started_at=now), now, timedelta(seconds=60))
    assert [change.kind for change in changes] == [ChangeKind.LIVE]
    await store.meeting_queue.record(due, after, changes, next_check_in=3600)
