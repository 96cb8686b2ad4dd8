"""What is over expires and is purged, and what there is is counted."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

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
    claim,
    count,
    expire,
    follow,
    follow_and_post,
    look,
    pause,
    see,
)

DAY = 24 * 3600.0
MONTH = 30 * DAY


async def follow_and_expire(store: Store, clock: Clock) -> Channel:
    """Follow a meeting whose card is posted, until that has expired."""
    channel = await follow_and_post(store)
    clock.advance(MONTH)
    assert len(await expire(store)) == 1
    return channel


async def test_follow_expires_after_thirty_days_and_its_newest_thread_says_so(store: Store, clock: Clock) -> None:
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


@pytest.mark.parametrize("phase", ["starting", "live", "interrupted", "errored"])
async def test_meeting_on_air_does_not_expire(store: Store, clock: Clock, phase: str) -> None:
    """However long it is, even if no one has renewed its follows: lists only confirm, checks may fail."""
    await follow(store)
    await see(store, Episode(phase=phase))
    for _ in range(3):
        clock.advance(MONTH)
        assert await store.maintenance.expire() == []

    assert len(await store.follows.in_channel(TEAM, CHANNEL)) == 1


@dataclass(frozen=True)
class Dated(Episode):
    """An episode that says when it ended."""

    ended_at: datetime | None = None
    previous_end: datetime | None = None

    def to_dict(self) -> dict[str, Any]:
        times = {name: getattr(self, name) for name in ("ended_at", "previous_end")}
        return {**super().to_dict(), **{name: time and time.isoformat() for name, time in times.items()}}


@pytest.mark.parametrize("again", [False, True])
async def test_meeting_that_was_on_air_expires_a_month_after_its_end(store: Store, clock: Clock, again: bool) -> None:
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


async def test_meeting_whose_state_is_uncertain_does_not_expire(store: Store, clock: Clock) -> None:
    """Checks fail, or a list has just contradicted what is known."""
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
async def test_meeting_expires_after_a_long_downtime_only_once_checked(store: Store, clock: Clock, by: str) -> None:
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


async def test_meeting_that_is_being_checked_does_not_expire(store: Store, clock: Clock) -> None:
    """A check that is requested or in progress may find that it is live: it keeps its lease, and that is announced."""
    channel = await follow_and_post(store)
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


@pytest.mark.parametrize("follow_is", ["quiet", "paused"])
async def test_quiet_and_paused_follows_announce_that_they_expired(store: Store, clock: Clock, follow_is: str) -> None:
    """Slack may accept it by now; announcements from before the pause are too old for that."""
    channel = await follow_and_post(store)
    if follow_is == "quiet":
        assert await store.follows.set_level(TEAM, CHANNEL, MEETING, Level.QUIET)
    await see(store, Episode(phase="live"), Change())
    if follow_is == "paused":
        await pause(store, "is_archived")
    clock.advance(MONTH)
    await see(store, Episode())

    assert len(await expire(store)) == 1

    await channel.work(store)
    assert list(channel.threads.values()) == [["expired"]]
    assert await store.pauses.due_notices(10) == []


@pytest.mark.parametrize("paused", [False, True])
async def test_creator_gets_a_notice_of_an_expiry_that_slack_refuses(store: Store, clock: Clock, paused: bool) -> None:
    """Once, after a minute, also after a notice of a pause; nothing is due in the channel."""
    await follow(store)
    if paused:
        await pause(store, "is_archived")
        (notice,) = await store.pauses.due_notices(10)
        await store.pauses.mark_notified(notice)
    clock.advance(MONTH)
    await expire(store)

    refused = await pause(store)

    assert (refused.state, refused.pause_reason) == (FollowState.EXPIRED, "not_in_channel")
    assert await store.card_queue.due_in() is None
    assert (await store.maintenance.stats()).unsent == 0
    clock.advance(60)
    (notice,) = await store.pauses.due_notices(10)
    assert (notice.follow, notice.names, notice.is_known) == (refused, ("All hands",), False)
    await store.pauses.mark_notified(notice)
    assert await store.pauses.due_notices(10) == []


async def test_one_notice_lists_all_expiries_of_a_person_in_a_channel(store: Store, clock: Clock) -> None:
    await follow(store)
    await follow(store, meeting=OTHER_MEETING)
    clock.advance(MONTH)
    await follow(store, meeting=UUID(int=3))
    assert len(await expire(store)) == 2
    for card in await store.card_queue.claim("announcer", 10, LEASE):
        assert await store.pauses.pause(card, "not_in_channel") is not None
    clock.advance(60)

    notices = {notice.follow.state: notice for notice in await store.pauses.due_notices(10)}

    names = {state: len(notice.names) for state, notice in notices.items()}
    assert names == {FollowState.PAUSED: 1, FollowState.EXPIRED: 2}
    await store.pauses.postpone_notice(notices[FollowState.EXPIRED], 60, error="fatal_error")
    await store.pauses.mark_notified(notices[FollowState.PAUSED])
    assert await store.pauses.due_notices(10) == []
    clock.advance(60)
    (again,) = await store.pauses.due_notices(10)
    assert (again.follow.state, again.attempts, len(again.names)) == (FollowState.EXPIRED, 1, 2)


@pytest.mark.parametrize("notified", [False, True])
async def test_refused_expiry_is_posted_when_the_bot_is_back(store: Store, clock: Clock, notified: bool) -> None:
    """A creator who has no notice yet needs none."""
    channel = await follow_and_expire(store, clock)
    await pause(store)
    clock.advance(60)
    if notified:
        (notice,) = await store.pauses.due_notices(10)
        await store.pauses.mark_notified(notice)

    assert await store.pauses.resume(TEAM, CHANNEL) == []

    assert await store.pauses.due_notices(10) == []
    (card,) = await channel.work(store)
    assert (card.follow.state, card.needs_edit) == (FollowState.EXPIRED, True)
    assert list(channel.threads.values()) == [["expired"]]
    assert await store.follows.in_channel(TEAM, CHANNEL) == []
    assert await store.meeting_queue.due_in() is None


async def test_refusal_from_before_the_bot_came_back_does_not_stop_the_expiry(store: Store, clock: Clock) -> None:
    channel = await follow_and_expire(store, clock)
    card = await claim(store)
    await store.pauses.resume(TEAM, CHANNEL)

    assert await store.pauses.pause(card, "not_in_channel") is None

    clock.advance(LEASE)
    await channel.work(store)
    assert list(channel.threads.values()) == [["expired"]]


async def test_expired_follow_hears_no_more_of_a_meeting_that_others_follow(store: Store, clock: Clock) -> None:
    await follow(store, "C1")
    clock.advance(MONTH)
    await follow(store, "C2")
    await expire(store)
    channel = Channel()
    await channel.work(store)

    await see(store, Episode(phase="live"), Change())

    (card,) = await channel.work(store)
    assert card.follow.channel_id == "C2"


async def test_expired_meeting_can_be_followed_again_with_a_new_card(store: Store, clock: Clock) -> None:
    first = await follow(store)
    await Channel().work(store)
    for _ in range(2):
        clock.advance(MONTH)
        await expire(store)
        assert await store.follows.unfollow(TEAM, CHANNEL, MEETING, user_id="U2") is None

        again = await follow(store)

        assert again.is_new
        assert again.ts is None
        assert again.follow.id != first.follow.id
        assert await store.meeting_queue.refresh_due_in() == 0


async def test_follows_expire_in_batches(store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "_EXPIRY_BATCH_SIZE", 2)
    for channel in ("C1", "C2", "C3"):
        await follow(store, channel)
    clock.advance(MONTH)

    assert [len(await expire(store)) for _ in range(3)] == [2, 1, 0]


async def test_purge_deletes_finished_cards_of_past_episodes(store: Store, clock: Clock, database: Database) -> None:
    """What was announced of the current episode is not announced again."""
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

    assert await count(database, cards) == 1
    assert await count(database, announcements) == 1
    await see(store, Episode(number=2, phase="ended"), Change(1, episode=2), visible=False)
    await channel.work(store)
    assert list(channel.threads.values()) == [["live"], ["live"]]


async def test_purge_spares_cards_with_pending_work(store: Store, clock: Clock, database: Database) -> None:
    await follow_and_post(store)
    await see(store, Episode(phase="ended"), Change(1))
    await pause(store, "is_archived")
    await see(store, Episode(number=2, phase="live"))
    clock.advance(20 * DAY)

    assert await store.maintenance.purge(7 * DAY) == 0

    assert await count(database, cards) == 2


async def test_purge_deletes_old_expired_follows_and_their_meetings(
    store: Store, clock: Clock, database: Database
) -> None:
    await follow(store)
    await follow(store, meeting=OTHER_MEETING)
    clock.advance(MONTH)
    await expire(store)
    await follow(store, "C2")
    assert await store.maintenance.purge(7 * DAY) == 0
    clock.advance(7 * DAY + 1)

    assert await store.maintenance.purge(7 * DAY) == 3

    assert await count(database, follows) == 1
    assert await count(database, meetings) == 1


async def test_purge_deletes_an_unfollowed_meeting_at_once_or_when_the_time_of_its_card_is_over(
    store: Store, clock: Clock, database: Database
) -> None:
    await follow(store)
    await store.follows.unfollow(TEAM, CHANNEL, MEETING, user_id="U2")
    assert await store.maintenance.purge(7 * DAY) == 1
    assert await count(database, meetings) == 0

    channel = await follow_and_post(store)
    await store.follows.unfollow(TEAM, CHANNEL, MEETING, user_id="U2")
    await channel.work(store)
    clock.advance(7 * DAY)
    assert await store.maintenance.purge(7 * DAY) == 0
    clock.advance(1)
    assert await store.maintenance.purge(7 * DAY) == 2
    assert await count(database, meetings) == 0


async def test_purge_deletes_old_request_windows(store: Store, clock: Clock, database: Database) -> None:
    await store.request_windows.add(10)
    clock.advance(700)
    await store.request_windows.add(10)

    assert await store.maintenance.purge(7 * DAY) == 1

    assert await count(database, request_windows) == 1
    assert (await store.request_windows.count()).all == 10


async def test_purge_works_in_batches(store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "_PURGE_BATCH_SIZE", 2)
    for channel in ("C1", "C2", "C3", "C4", "C5"):
        await follow(store, channel)
    clock.advance(MONTH)
    await expire(store)
    clock.advance(8 * DAY)

    assert await store.maintenance.purge(7 * DAY) == 6


async def test_stats_count_follows_and_pending_work_but_no_delay_of_paused_follows(store: Store, clock: Clock) -> None:
    empty = await store.maintenance.stats()
    assert (empty.unsent, empty.oldest_unsent_seconds, empty.meetings_due, empty.cards_due) == (0, 0.0, 0, 0)
    assert empty.follows == {FollowState.ACTIVE: 0, FollowState.PAUSED: 0, FollowState.EXPIRED: 0}
    await follow(store, "C1")
    await see(store, Episode(phase="live"), Change(1))
    await pause(store, "is_archived")
    await follow(store, "C2")
    clock.advance(10)
    await see(store, Episode(phase="ended"), Change(2, "ended"), next_check_in=60)
    clock.advance(50)

    stats = await store.maintenance.stats()

    assert stats.follows == {FollowState.ACTIVE: 1, FollowState.PAUSED: 1, FollowState.EXPIRED: 0}
    assert (stats.unsent, stats.oldest_unsent_seconds) == (1, 50.0)
    assert (stats.meetings_due, stats.cards_due) == (0, 1)
    clock.advance(10)
    assert (await store.maintenance.stats()).meetings_due == 1
