"""Several replicas at once: nothing is claimed twice or overlooked, and none waits forever."""

import asyncio
import contextlib
import random
from itertools import chain
from uuid import UUID

import sqlalchemy as sa

from bot.domain.follow import Level
from bot.store.database import Database, connect
from bot.store.database_url import parse_database_url
from bot.store.leases import LeaseLost
from bot.store.schema import announcements, cards
from bot.store.store import Store
from tests.store.helpers import ANN, LEASE, TEAM, Change, Channel, Clock, Episode, claim, follow, look


async def test_due_meetings_and_cards_are_each_claimed_by_one_replica(replicas: list[Store]) -> None:
    numbers = range(40)
    for number in numbers:
        await follow(replicas[0], f"C{number:02}", meeting=UUID(int=number))

    async def claim_all(name: str, store: Store) -> tuple[list[int], list[str]]:
        meetings, channels = [], []
        for _ in range(8):
            meetings += [due.meeting_id.int for due in await store.meeting_queue.claim(name, 3, LEASE)]
            channels += [due.follow.channel_id for due in await store.card_queue.claim(name, 3, LEASE)]
        return meetings, channels

    claimed = await asyncio.gather(*(claim_all(str(n), store) for n, store in enumerate(replicas)))

    assert sorted(chain.from_iterable(meetings for meetings, _ in claimed)) == list(numbers)
    assert sorted(chain.from_iterable(channels for _, channels in claimed)) == [f"C{n:02}" for n in numbers]


async def test_requests_of_all_replicas_are_counted_together(replicas: list[Store]) -> None:
    counted = await asyncio.gather(*(store.request_windows.add(1) for _ in range(10) for store in replicas))

    assert sorted(used.all for used in counted) == list(range(1, 41))
    assert (await replicas[0].request_windows.count()).all == 40


async def test_singleton_job_is_claimed_by_one_replica_each_time(replicas: list[Store]) -> None:
    for _ in range(3):
        claimed = await asyncio.gather(*(store.singleton_jobs.claim("sweep", "s", LEASE) for store in replicas))

        (job,) = [job for job in claimed if job is not None]
        assert await replicas[0].singleton_jobs.complete(job, next_run_in=0)


async def test_following_at_once_makes_one_follow(replicas: list[Store]) -> None:
    followed = await asyncio.gather(*(follow(store) for _ in range(3) for store in replicas))

    assert sum(each.is_new for each in followed) == 1
    assert len({each.follow.id for each in followed}) == 1


async def _count(database: Database, query: sa.TextClause) -> int:
    # In a transaction of its own, since PostgreSQL tells one transaction always the same of its clients.
    async with database.read_only() as connection:
        return int(await connection.scalar(query) or 0)


async def test_card_released_during_a_record_sees_what_was_recorded_and_stays_due(postgres_url: str) -> None:
    store, other = (Store(Database(connect(parse_database_url(postgres_url)))) for _ in range(2))
    behind = Database(connect(parse_database_url(postgres_url)))
    await follow(store)
    card = await claim(store)
    await store.card_queue.mark_posted(card, "1.0", 1)
    blocked = sa.text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )

    async with behind.transaction() as recording:
        # What `record` does, stopped just before its commit.
        await recording.execute(
            sa.insert(announcements).values(
                follow_id=card.follow.id, episode=1, seq=1, kind="live", payload={}, occurred_at=0, created_at=0
            )
        )
        await recording.execute(sa.update(cards).values(next_attempt_at=cards.c.next_attempt_at))
        finishing = asyncio.create_task(other.card_queue.release(card))
        async with asyncio.timeout(30):
            while not await _count(behind, blocked):
                pass

    await finishing
    assert await store.card_queue.due_in() == 0
    for each in (store, other, behind):
        await each.close()


async def test_follow_paused_during_a_record_has_nothing_due(postgres_url: str) -> None:
    store, other = (Store(Database(connect(parse_database_url(postgres_url)))) for _ in range(2))
    for number in range(10):
        await follow(store, f"C{number}")
        card = await claim(store)
        await store.meeting_queue.request_check(card.follow.meeting_id)
        meeting = await look(store)

        await asyncio.gather(
            store.meeting_queue.record(meeting, Episode(phase="live"), [Change(number + 1)], next_check_in=0),
            other.pauses.pause(card, "is_archived"),
        )

        assert await store.card_queue.due_in() is None
    await store.close()
    await other.close()


async def test_four_replicas_at_once_leave_nothing_undone(replicas: list[Store], clock: Clock) -> None:
    rng = random.Random(8)
    meetings, channels = [UUID(int=n) for n in range(3)], [f"C{n}" for n in range(3)]
    seq = 0

    async def act(store: Store, name: str) -> None:
        nonlocal seq
        meeting, channel = rng.choice(meetings), rng.choice(channels)
        match rng.randrange(10):
            case 0 | 1:
                await follow(store, channel, meeting=meeting)
            case 2:
                await store.follows.unfollow(TEAM, channel, meeting, user_id="U2")
            case 3:
                await store.pauses.resume(TEAM, channel)
            case 4:
                await store.follows.set_level(TEAM, channel, meeting, rng.choice(list(Level)))
            case 5:
                for card in await store.card_queue.claim(name, 2, LEASE):
                    await store.pauses.pause(card, "not_in_channel")
            case 6:
                clock.advance(LEASE)
                await store.maintenance.expire()
                await store.maintenance.purge(LEASE)
            case 7:
                for card in await store.card_queue.claim(name, 5, LEASE):
                    with contextlib.suppress(LeaseLost):
                        await store.card_queue.mark_posted(card, "1.0", card.desired_version)
                        await store.card_queue.release(card)
            case _:
                await store.meeting_queue.request_check(meeting)
                for due in await store.meeting_queue.claim(name, 2, LEASE):
                    seq += 1
                    episode = Episode(number=1 + seq // 20)
                    with contextlib.suppress(LeaseLost):
                        await store.meeting_queue.record(due, episode, [Change(seq)], next_check_in=1)

    async def work(store: Store, name: str) -> None:
        for _ in range(40):
            await act(store, name)

    await asyncio.gather(*(work(store, str(n)) for n, store in enumerate(replicas)))

    store = replicas[0]
    for channel in channels:
        await store.pauses.resume(TEAM, channel)
        await store.follows.follow(TEAM, channel, meetings[0], user_id=ANN, level=Level.NORMAL, episode=Episode())
    clock.advance(LEASE)
    slack = Channel()
    while due := await store.card_queue.claim("last", 100, LEASE):
        for card in due:
            slack.threads.setdefault(card.message_ts or "", [])
            await slack.work_at(store, card)
            await store.card_queue.release(card)
    standing = await store.maintenance.stats()
    assert standing.unsent == 0
    assert standing.cards_due == 0
