"""Where the bot may not post, the follow waits, its creator is notified once, and nothing is lost."""

import pytest
from sqlalchemy import event
from sqlalchemy.util import await_only

from bot.domain.follow import FollowState, Level
from bot.store.card_queue import LATE_SECONDS
from bot.store.leases import LeaseLost
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
    claim,
    follow,
    follow_and_post,
    listed,
    look,
    pause,
    see,
)

LIVE = Episode(phase="live")


async def test_paused_follow_has_nothing_due_and_its_entry_says_why(store: Store) -> None:
    """Its meeting is still checked, so that the card is up to date when the follow continues."""
    await follow(store)

    paused = await pause(store)

    assert (paused.state, paused.pause_reason) == (FollowState.PAUSED, "not_in_channel")
    assert await store.card_queue.due_in() is None
    assert (await listed(store)).follow == paused
    assert await store.meeting_queue.refresh_due_in() == 0


async def test_pause_takes_the_leases_of_all_cards_of_the_follow(store: Store) -> None:
    await follow_and_post(store)
    await see(store, LIVE)
    first = await claim(store)
    await see(store, Episode(number=2, phase="live"))
    second = await claim(store)

    assert await store.pauses.pause(first, "is_archived") is not None
    with pytest.raises(LeaseLost):
        await store.card_queue.mark_posted(second, "1.0", 1)
    assert await store.pauses.pause(second, "is_archived") is None

    assert await store.card_queue.due_in() is None


async def test_creator_gets_one_notice_per_pause_and_none_once_it_is_over(store: Store) -> None:
    followed = await follow(store)
    await pause(store)
    (notice,) = await store.pauses.due_notices(10)
    assert (notice.follow.id, notice.follow.pause_reason) == (followed.follow.id, "not_in_channel")
    assert notice.follow.paused_at is not None

    await store.pauses.mark_notified(notice)

    assert await store.pauses.due_notices(10) == []
    await store.pauses.resume(TEAM, CHANNEL)
    assert await store.pauses.due_notices(10) == []
    await pause(store)
    (again,) = await store.pauses.due_notices(10)
    assert again.follow.id == notice.follow.id


async def test_due_notices_are_no_more_than_asked_for(store: Store) -> None:
    for channel in ("C1", "C2"):
        await follow(store, channel)
        await pause(store)

    assert len(await store.pauses.due_notices(1)) == 1


async def test_paused_follow_shows_and_announces_what_is_still_true_when_it_goes_on(store: Store) -> None:
    """Others get it at once."""
    await follow(store, "C1")
    await pause(store)
    await follow(store, "C2")
    channel = Channel()

    await see(store, LIVE, Change())
    (card,) = await channel.work(store)
    assert card.follow.channel_id == "C2"

    (resumed,) = await store.pauses.resume(TEAM, "C1")
    assert (resumed.state, resumed.pause_reason) == (FollowState.ACTIVE, None)
    (card,) = await channel.work(store)
    assert card.stored_episode["phase"] == "live"
    assert [each.kind for each in card.announcements] == ["live"]


async def test_announcement_from_before_the_pause_is_sent_after_it(store: Store) -> None:
    channel = await follow_and_post(store)
    await see(store, LIVE, Change())
    await pause(store)

    await store.pauses.resume(TEAM, CHANNEL)

    await channel.work(store)
    assert list(channel.threads.values()) == [["live"]]


async def test_only_the_last_of_several_missed_episodes_is_posted(store: Store) -> None:
    """A card that is in the channel is brought up to date."""
    channel = await follow_and_post(store)
    await see(store, Episode(phase="ended"), visible=True)
    await pause(store)
    for number in (2, 3, 4):
        await see(store, Episode(number=number, phase="live"), Change(episode=number))

    await store.pauses.resume(TEAM, CHANNEL)

    assert sorted(card.episode for card in await channel.work(store)) == [1, 4]


async def test_card_that_may_have_been_posted_is_brought_up_to_date(store: Store, clock: Clock) -> None:
    """A killed process may have posted it before the bot was removed. If it were dropped, it would stay as it was."""
    channel = await follow_and_post(store)
    await see(store, Episode(number=2, phase="live"))
    posting, earlier = await store.card_queue.claim("killed", 10, LEASE)
    await store.card_queue.mark_rendered(earlier, earlier.desired_version, last=True)
    clock.advance(LEASE)
    await pause(store)
    await see(store, Episode(number=2, phase="ended"), visible=True)
    await see(store, Episode(number=3, phase="live"))

    await store.pauses.resume(TEAM, CHANNEL)

    shown = {card.episode: card.stored_episode["phase"] for card in await channel.work(store)}
    assert shown[posting.episode] == "ended"


async def test_finished_card_stays_idle_when_its_follow_goes_on(store: Store) -> None:
    channel = await follow_and_post(store)
    await see(store, Episode(number=2, phase="live"))
    await channel.work(store)
    await see(store, Episode(number=2, phase="ended"))
    await pause(store)

    await store.pauses.resume(TEAM, CHANNEL)

    assert [card.episode for card in await channel.work(store)] == [2]


async def test_resumed_follow_requests_a_check(store: Store) -> None:
    await follow(store)
    await store.meeting_queue.record(await look(store), Episode(), next_check_in=600)
    await pause(store)

    await store.pauses.resume(TEAM, CHANNEL)

    assert await store.meeting_queue.refresh_due_in() == 0


async def test_resume_affects_all_follows_of_its_channel_and_no_others(store: Store, clock: Clock) -> None:
    for where, meeting in ((CHANNEL, MEETING), (CHANNEL, OTHER_MEETING), ("C2", MEETING)):
        await follow(store, where, meeting=meeting)
        await pause(store)
        clock.advance(1)

    resumed = await store.pauses.resume(TEAM, CHANNEL)

    assert [follow.meeting_id for follow in resumed] == [MEETING, OTHER_MEETING]
    assert await store.pauses.resume(TEAM, CHANNEL) == []
    assert len(await store.card_queue.claim("announcer", 10, LEASE)) == 2


async def test_refusal_from_before_an_invitation_pauses_nothing(store: Store, clock: Clock) -> None:
    """The card is worked at when the lease would have ended."""
    await follow(store)
    card = await claim(store)

    assert await store.pauses.resume(TEAM, CHANNEL) == []

    assert await store.pauses.pause(card, "not_in_channel") is None
    assert await store.card_queue.due_in() == LEASE
    clock.advance(LEASE)
    again = await claim(store)
    assert again.follow.state is FollowState.ACTIVE
    assert again.has_news


async def test_card_posted_during_an_invitation_is_reported_and_not_posted_again(store: Store, clock: Clock) -> None:
    await follow(store)
    card = await claim(store)
    await store.pauses.resume(TEAM, CHANNEL)

    with pytest.raises(LeaseLost):
        await store.card_queue.mark_posted(card, "1800000000.000001", 1)
    assert await store.card_queue.report_post(card, "1800000000.000001")

    clock.advance(LEASE)
    assert (await claim(store)).message_ts == "1800000000.000001"


async def test_invitation_leaves_other_channels_alone(store: Store) -> None:
    await follow(store, "C2")
    card = await claim(store)

    await store.pauses.resume(TEAM, CHANNEL)

    await store.card_queue.mark_posted(card, "1800000000.000001", 1)


async def test_following_again_resumes_a_paused_follow(store: Store) -> None:
    await follow(store)
    await pause(store)

    again = await follow(store)

    assert not again.is_new
    assert again.follow.state is FollowState.ACTIVE
    assert await store.card_queue.due_in() == 0


async def test_level_of_a_paused_follow_is_kept_and_makes_nothing_due(store: Store) -> None:
    await follow(store)
    await pause(store)

    assert await store.follows.set_level(TEAM, CHANNEL, MEETING, Level.LOUD) is not None

    assert await store.card_queue.due_in() is None
    assert (await listed(store)).follow.level is Level.LOUD


async def test_unfollowed_pause_needs_no_notice(store: Store) -> None:
    await follow(store)
    await pause(store)

    assert await store.follows.unfollow(TEAM, CHANNEL, MEETING, user_id="U2") is not None
    assert await store.pauses.due_notices(10) == []


async def test_follows_can_be_resumed_and_channels_listed_by_reason(store: Store) -> None:
    for channel, reason in (("C1", "not_in_channel"), ("C2", "restricted_action")):
        await follow(store, channel)
        await pause(store, reason)

    assert await store.pauses.channels_paused(["not_in_channel", "is_archived"]) == [(TEAM, "C1")]
    assert await store.pauses.resume(TEAM, "C2", ["not_in_channel"]) == []
    (resumed,) = await store.pauses.resume(TEAM, "C1", ["not_in_channel"])

    assert (resumed.channel_id, resumed.state) == ("C1", FollowState.ACTIVE)
    assert await store.pauses.channels_paused(["not_in_channel"]) == []
    assert await store.pauses.channels_paused(["restricted_action"]) == [(TEAM, "C2")]


async def test_pause_remembers_that_slack_may_still_carry_out_the_edit_of_another_card(
    store: Store, clock: Clock
) -> None:
    """Its holder may have been killed: the edit would overtake the one that follows the resumption, for good."""
    channel = Channel()
    await follow(store)
    await see(store, LIVE, Change(1))
    (first,) = await channel.work(store)
    await see(store, Episode(number=2, phase="live"), Change(1, "starting", episode=2))
    await channel.work(store)
    assert await store.card_queue.report_edit(first, unconfirmed=False)
    await see(store, Episode(number=2, phase="interrupted"))
    in_flight = {card.episode: card for card in await store.card_queue.claim("killed", 10, LEASE)}
    assert sorted(in_flight) == [1, 2]

    assert await store.pauses.pause(in_flight[2], "not_in_channel") is not None
    await store.pauses.resume(TEAM, CHANNEL)
    await channel.work(store)

    assert await store.card_queue.due_in() == pytest.approx(LATE_SECONDS)
    clock.advance(LATE_SECONDS)
    assert [card.episode for card in await channel.work(store)] == [1]
    assert await store.card_queue.due_in() is None


async def test_notice_that_another_replica_sends_meanwhile_is_not_due(store: Store) -> None:
    await follow(store)
    await pause(store)
    (notice,) = await store.pauses.due_notices(10)
    engine, marked = store.pauses._db.engine.sync_engine, False

    def mark_notified(*_: object) -> None:
        nonlocal marked
        if not marked:
            marked = True
            await_only(store.pauses.mark_notified(notice))

    event.listen(engine, "after_cursor_execute", mark_notified)
    try:
        due = await store.pauses.due_notices(10)
    finally:
        event.remove(engine, "after_cursor_execute", mark_notified)

    assert due == []
