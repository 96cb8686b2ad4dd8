"""What is over is let go and cleared away, and what there is is counted."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from bot.domain.follow import FollowState, Level
from bot.store import maintenance
from bot.store.database import Database
from bot.store.meetings import WHOLE_LIST
from bot.store.rows import from_epoch
from bot.store.schema import announcements, cards, follows, meetings, request_windows
from bot.store.store import Store
from tests.store.helpers import (
    CHANNEL,
    LEASE,
    MEETING,
    OTHER_MEETING,
    TEAM,
    Change,
    Channel,
    Clock,
    Episode,
    check,
    expire,
    follow,
    look,
    see,
)

DAY = 24 * 3600.0
MONTH = 30 * DAY


async def rows(database: Database, table: sa.Table) -> int:
    async with database.read_only() as connection:
        return int(await connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0)


async def test_expire(store: Store, clock: Clock) -> None:
    """After thirty days a follow ends, with a message in its newest thread; its meeting is no longer checked."""
    followed = await follow(store)
    channel = Channel()
    await channel.work(store)
    await see(store, Episode(number=2))
    await channel.work(store)
    clock.advance(MONTH - 1)
    assert await expire(store) == []
    clock.advance(1)

    (expired,) = await expire(store)

    assert expired.id == followed.follow.id
    assert await expire(store) == []
    (card,) = await channel.work(store)
    assert card.follow.state is FollowState.EXPIRED
    assert card.needs_edit
    assert (card.episode, card.announcements[0].kind, card.announcements[0].seq) == (2, "expired", -1)
    assert list(channel.threads.values()) == [[], ["expired"]]
    assert await store.meeting_queue.due_in() is None
    assert not await store.meeting_queue.request_check(MEETING)
    assert await store.follows.in_channel(TEAM, CHANNEL) == []


@dataclass(frozen=True)
class Dated(Episode):
    """An episode that says when it ended."""

    ended_at: datetime | None = None
    previous_end: datetime | None = None

    def to_dict(self) -> dict[str, Any]:
        times = {name: getattr(self, name) for name in ("ended_at", "previous_end")}
        return {**super().to_dict(), **{name: time and time.isoformat() for name, time in times.items()}}


@pytest.mark.parametrize("phase", ["starting", "live", "interrupted", "errored"])
async def test_what_is_on_air_does_not_expire(store: Store, clock: Clock, phase: str) -> None:
    """However long it is, even if no one has renewed its follows: lists only confirm, checks may fail."""
    await follow(store)
    await see(store, Episode(phase=phase))
    for _ in range(3):
        clock.advance(MONTH)
        assert await store.maintenance.expire() == []

    assert len(await store.follows.in_channel(TEAM, CHANNEL)) == 1


@pytest.mark.parametrize("again", [False, True])
async def test_what_was_on_air_does_not_expire_for_a_month(store: Store, clock: Clock, again: bool) -> None:
    """It is over for thirty days before it has had no livestream for thirty days, whatever has been since."""
    await follow(store)
    await see(store, Episode(phase="live"))
    clock.advance(2 * MONTH)
    end = from_epoch(clock.time)
    await see(store, Dated(phase="ended", ended_at=end))
    if again:
        await see(store, Dated(number=2, phase="waiting", previous_end=end))
    assert await expire(store) == []
    clock.advance(MONTH - 1)
    assert await expire(store) == []
    clock.advance(1)

    assert len(await expire(store)) == 1


async def test_what_may_be_on_air_does_not_expire(store: Store, clock: Clock) -> None:
    """Where checks fail, or a list has just contradicted what is known, a livestream cannot be ruled out."""
    await follow(store)
    await see(store, Episode(), failures=3)
    clock.advance(MONTH)
    assert await store.maintenance.expire() == []
    clock.advance(3600)
    assert await store.maintenance.expire() == []
    await see(store, Episode())
    assert await store.meeting_sweeps.prioritize([MEETING]) == 1
    clock.advance(3600)
    assert await store.maintenance.expire() == []
    await store.meeting_queue.record(await look(store), Episode(), next_check_in=60)
    clock.advance(60)

    assert len(await store.maintenance.expire()) == 1


@pytest.mark.parametrize("by", ["a check", "a list"])
async def test_what_was_not_checked_for_long_does_not_expire(store: Store, clock: Clock, by: str) -> None:
    """After a long downtime a livestream cannot be ruled out, whether or not a check has failed already."""
    await follow(store)
    await check(store)
    clock.advance(MONTH)
    assert await store.maintenance.expire() == []
    clock.advance(60)
    await store.meeting_queue.release(await look(store), next_check_in=60, failures=1)
    assert await store.maintenance.expire() == []
    clock.advance(60)

    if by == "a check":
        await check(store)
    else:
        assert await store.meeting_sweeps.confirm_idle(failures=3, next_check_in=60) == 1
        clock.advance(7_200)
        await store.singleton_jobs.record(WHOLE_LIST)

    assert len(await store.maintenance.expire()) == 1


async def test_quiet_follows_do_not_vanish_silently(store: Store, clock: Clock) -> None:
    """They are notified of that too."""
    await follow(store, level=Level.QUIET)
    channel = Channel()
    clock.advance(MONTH)

    await expire(store)

    await channel.work(store)
    assert list(channel.threads.values()) == [["expired"]]


async def test_a_paused_follow_that_expires_says_so(store: Store, clock: Clock) -> None:
    """Slack may take the words by now; announcements from before the pause are too old for them."""
    await follow(store)
    channel = Channel()
    await channel.work(store)
    await see(store, Episode(phase="live"), Change())
    (card,) = await store.card_queue.claim("announcer", 10, LEASE)
    await store.pauses.pause(card, "is_archived")
    clock.advance(MONTH)
    await see(store, Episode())

    assert len(await expire(store)) == 1

    await channel.work(store)
    assert list(channel.threads.values()) == [["expired"]]
    assert await store.pauses.due_notices(10) == []


@pytest.mark.parametrize("paused", [False, True])
async def test_where_an_expiry_cannot_be_posted_the_creator_is_to_be_told(
    store: Store, clock: Clock, paused: bool
) -> None:
    """Once, after a minute, also if they were notified of a pause before; nothing is due in the channel."""
    await follow(store)
    if paused:
        (card,) = await store.card_queue.claim("announcer", 10, LEASE)
        await store.pauses.pause(card, "is_archived")
        (notice,) = await store.pauses.due_notices(10)
        await store.pauses.mark_notified(notice)
    clock.advance(MONTH)
    await expire(store)
    (card,) = await store.card_queue.claim("announcer", 10, LEASE)

    refused = await store.pauses.pause(card, "not_in_channel")

    assert refused is not None
    assert (refused.state, refused.pause_reason) == (FollowState.EXPIRED, "not_in_channel")
    assert await store.card_queue.due_in() is None
    assert (await store.maintenance.stats()).unsent == 0
    clock.advance(60)
    (notice,) = await store.pauses.due_notices(10)
    assert (notice.follow, notice.names, notice.is_known) == (refused, ("All hands",), False)
    await store.pauses.mark_notified(notice)
    assert await store.pauses.due_notices(10) == []


async def test_expiries_of_one_person_in_a_channel_are_one_notice(store: Store, clock: Clock) -> None:
    """Apart from what is paused there."""
    await follow(store)
    await follow(store, meeting=OTHER_MEETING)
    clock.advance(MONTH)
    await follow(store, meeting=UUID(int=3))
    for meeting in await store.meeting_queue.claim("tracker", 10, LEASE):
        await store.meeting_queue.record(meeting, Episode(), next_check_in=60)
    assert len(await store.maintenance.expire()) == 2
    for card in await store.card_queue.claim("announcer", 10, LEASE):
        assert await store.pauses.pause(card, "not_in_channel") is not None
    clock.advance(60)

    notices = {notice.follow.state: notice for notice in await store.pauses.due_notices(10)}

    assert {state: len(notice.names) for state, notice in notices.items()} == {
        FollowState.PAUSED: 1,
        FollowState.EXPIRED: 2,
    }
    await store.pauses.postpone_notice(notices[FollowState.EXPIRED], 60, error="fatal_error")
    await store.pauses.mark_notified(notices[FollowState.PAUSED])
    assert await store.pauses.due_notices(10) == []
    clock.advance(60)
    (again,) = await store.pauses.due_notices(10)
    assert (again.follow.state, again.attempts, len(again.names)) == (FollowState.EXPIRED, 1, 2)


@pytest.mark.parametrize("told", [False, True])
async def test_an_expiry_that_could_not_be_posted_is_posted_when_the_bot_is_back(
    store: Store, clock: Clock, told: bool
) -> None:
    """Its card shows that it is over, and its thread says so. A notice that is still pending is dropped."""
    await follow(store)
    channel = Channel()
    await channel.work(store)
    clock.advance(MONTH)
    await expire(store)
    (card,) = await store.card_queue.claim("announcer", 10, LEASE)
    await store.pauses.pause(card, "not_in_channel")
    clock.advance(60)
    if told:
        (notice,) = await store.pauses.due_notices(10)
        await store.pauses.mark_notified(notice)

    assert await store.pauses.resume(TEAM, CHANNEL) == []

    assert await store.pauses.due_notices(10) == []
    (card,) = await channel.work(store)
    assert (card.follow.state, card.needs_edit) == (FollowState.EXPIRED, True)
    assert list(channel.threads.values()) == [["expired"]]
    assert await store.follows.in_channel(TEAM, CHANNEL) == []
    assert await store.meeting_queue.due_in() is None


async def test_a_refusal_from_before_the_bot_came_back_does_not_end_the_last_words(store: Store, clock: Clock) -> None:
    await follow(store)
    channel = Channel()
    await channel.work(store)
    clock.advance(MONTH)
    await expire(store)
    (card,) = await store.card_queue.claim("announcer", 10, LEASE)
    await store.pauses.resume(TEAM, CHANNEL)

    assert await store.pauses.pause(card, "not_in_channel") is None

    clock.advance(LEASE)
    await channel.work(store)
    assert list(channel.threads.values()) == [["expired"]]


async def test_what_is_being_checked_does_not_expire(store: Store, clock: Clock) -> None:
    """A check that is requested or in progress may find that it is live: it keeps its lease, and that is announced."""
    await follow(store)
    channel = Channel()
    await channel.work(store)
    clock.advance(MONTH)
    await check(store)
    assert await store.meeting_queue.request_check(MEETING)
    assert await store.maintenance.expire() == []
    meeting = await look(store)
    clock.advance(60)
    assert await store.maintenance.expire() == []

    await store.meeting_queue.record(meeting, Episode(phase="live"), [Change()], next_check_in=15)

    await channel.work(store)
    assert list(channel.threads.values()) == [["live"]]


async def test_others_follow_on(store: Store, clock: Clock) -> None:
    """An expired follow hears no more of a meeting that others follow."""
    await follow(store, "C1")
    clock.advance(MONTH)
    await follow(store, "C2")
    await expire(store)
    channel = Channel()
    await channel.work(store)

    await see(store, Episode(phase="live"), Change())

    (card,) = await channel.work(store)
    assert card.follow.channel_id == "C2"


async def test_follow_again(store: Store, clock: Clock) -> None:
    """A follow that expired is over: a new one begins, with a card of its own. Unfollowing it finds nothing."""
    first = await follow(store)
    channel = Channel()
    await channel.work(store)
    clock.advance(MONTH)
    await expire(store)
    assert await store.follows.unfollow(TEAM, CHANNEL, MEETING, user_id="U2") is None
    await follow(store)
    clock.advance(MONTH)
    await expire(store)

    again = await follow(store)

    assert again.is_new
    assert again.ts is None
    assert again.follow.id != first.follow.id
    assert await store.meeting_queue.refresh_due_in() == 0


async def test_expire_is_bounded(store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """In portions, so that no other transaction waits long."""
    monkeypatch.setattr("bot.store.maintenance._EXPIRY_BATCH_SIZE", 2)
    for channel in ("C1", "C2", "C3"):
        await follow(store, channel)
    clock.advance(MONTH)

    assert [len(await expire(store)) for _ in range(3)] == [2, 1, 0]


async def test_purge_past_episodes(store: Store, clock: Clock, database: Database) -> None:
    """Finished cards go with the announcements in their threads; the current one stays, and prevents repetitions."""
    await follow(store)
    channel = Channel()
    await see(store, Episode(phase="ended"), Change(1))
    await see(store, Episode(number=2, phase="ended"), Change(1, episode=2))
    await channel.work(store)
    await channel.work(store)
    clock.advance(7 * DAY)
    assert await store.maintenance.purge(7 * DAY) == 0
    clock.advance(1)

    assert await store.maintenance.purge(7 * DAY) == 1

    assert await rows(database, cards) == 1
    assert await rows(database, announcements) == 1
    await see(store, Episode(number=2, phase="ended"), Change(1, episode=2), visible=False)
    await channel.work(store)
    assert list(channel.threads.values()) == [["live"], ["live"]]


async def test_purge_spares_what_is_unfinished(store: Store, clock: Clock, database: Database) -> None:
    """What is still pending stays however old."""
    await follow(store)
    channel = Channel()
    await channel.work(store)
    await see(store, Episode(phase="ended"), Change(1))
    (card,) = await store.card_queue.claim("announcer", 10, LEASE)
    await store.pauses.pause(card, "is_archived")
    await see(store, Episode(number=2, phase="live"))
    clock.advance(20 * DAY)

    assert await store.maintenance.purge(7 * DAY) == 0

    assert await rows(database, cards) == 2


async def test_purge_the_expired(store: Store, clock: Clock, database: Database) -> None:
    """Then their meeting, if no channel follows it. Another channel's follow keeps the meeting."""
    await follow(store)
    await follow(store, meeting=OTHER_MEETING)
    clock.advance(MONTH)
    await expire(store)
    await follow(store, "C2")
    assert await store.maintenance.purge(7 * DAY) == 0
    clock.advance(7 * DAY + 1)

    assert await store.maintenance.purge(7 * DAY) == 3

    assert await rows(database, follows) == 1
    assert await rows(database, meetings) == 1


async def test_purge_the_unfollowed(store: Store, clock: Clock, database: Database) -> None:
    """A meeting that its last channel left without a card is gone at once; a card keeps it until its time is over."""
    await follow(store)
    await store.follows.unfollow(TEAM, CHANNEL, MEETING, user_id="U2")

    assert await store.maintenance.purge(7 * DAY) == 1

    assert await rows(database, meetings) == 0
    await follow(store)
    await Channel().work(store)
    await store.follows.unfollow(TEAM, CHANNEL, MEETING, user_id="U2")
    await Channel().work(store)
    clock.advance(7 * DAY)
    assert await store.maintenance.purge(7 * DAY) == 0
    clock.advance(1)
    assert await store.maintenance.purge(7 * DAY) == 2
    assert await rows(database, meetings) == 0


async def test_purge_spent_budgets(store: Store, clock: Clock, database: Database) -> None:
    """What counts stays."""
    await store.request_windows.add(10)
    clock.advance(700)
    await store.request_windows.add(10)

    assert await store.maintenance.purge(7 * DAY) == 1

    assert await rows(database, request_windows) == 1
    assert (await store.request_windows.count()).all == 10


async def test_purge_goes_on(store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """In portions, until nothing is left."""
    monkeypatch.setattr(maintenance, "_PURGE_BATCH_SIZE", 2)
    for channel in ("C1", "C2", "C3", "C4", "C5"):
        await follow(store, channel)
    clock.advance(MONTH)
    await expire(store)
    clock.advance(8 * DAY)

    assert await store.maintenance.purge(7 * DAY) == 6


async def test_standing(store: Store, clock: Clock) -> None:
    """What there is, for metrics; what waits because of a pause is no delay."""
    empty = await store.maintenance.stats()
    assert (empty.unsent, empty.oldest_unsent_seconds, empty.meetings_due, empty.cards_due) == (0, 0.0, 0, 0)
    assert empty.follows == {FollowState.ACTIVE: 0, FollowState.PAUSED: 0, FollowState.EXPIRED: 0}
    await follow(store, "C1")
    await see(store, Episode(phase="live"), Change(1))
    (card,) = await store.card_queue.claim("announcer", 10, LEASE)
    await store.pauses.pause(card, "is_archived")
    await follow(store, "C2")
    clock.advance(10)
    await see(store, Episode(phase="ended"), Change(2, "ended"), next_check_in=60)
    clock.advance(50)

    standing = await store.maintenance.stats()

    assert standing.follows == {FollowState.ACTIVE: 1, FollowState.PAUSED: 1, FollowState.EXPIRED: 0}
    assert (standing.unsent, standing.oldest_unsent_seconds) == (1, 50.0)
    assert (standing.meetings_due, standing.cards_due) == (0, 1)
    clock.advance(10)
    assert (await store.maintenance.stats()).meetings_due == 1
