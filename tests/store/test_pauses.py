"""Where the bot may not post, the follow waits, its creator is notified once, and nothing is lost."""

import pytest
from sqlalchemy import event
from sqlalchemy.util import await_only

from bot.domain.follow import FollowState, Level
from bot.store.card_queue import LATE_SECONDS
from bot.store.due_cards import DueCard
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
    follow,
    look,
    see,
)


async def refused(store: Store) -> DueCard:
    """Refuse to post the only due card, and return it."""
    (card,) = await store.card_queue.claim("announcer", 10, LEASE)
    assert await store.pauses.pause(card, "not_in_channel") is not None
    return card


async def test_pause(store: Store) -> None:
    """Nothing is due there, and the list says why."""
    await follow(store)
    (card,) = await store.card_queue.claim("announcer", 10, LEASE)

    paused = await store.pauses.pause(card, "not_in_channel")

    assert paused is not None
    assert (paused.state, paused.pause_reason) == (FollowState.PAUSED, "not_in_channel")
    assert await store.card_queue.due_in() is None
    (listed,) = await store.follows.in_channel(TEAM, CHANNEL)
    assert listed.follow == paused


async def test_all_cards_of_the_follow_wait(store: Store) -> None:
    """The channel is the same for all cards, so workers lose their claims on the others; it is paused once."""
    await follow(store)
    await Channel().work(store)
    await see(store, Episode(phase="live"))
    (first,) = await store.card_queue.claim("announcer", 10, LEASE)
    await see(store, Episode(number=2, phase="live"))
    (second,) = await store.card_queue.claim("announcer", 10, LEASE)

    assert await store.pauses.pause(first, "is_archived") is not None
    with pytest.raises(LeaseLost):
        await store.card_queue.mark_posted(second, "1.0", 1)
    assert await store.pauses.pause(second, "is_archived") is None

    assert await store.card_queue.due_in() is None


async def test_the_creator_is_to_be_told(store: Store) -> None:
    """Until it is marked; of the next pause again; of none that is over."""
    followed = await follow(store)
    await refused(store)
    (notice,) = await store.pauses.due_notices(10)
    assert (notice.follow.id, notice.follow.pause_reason) == (followed.follow.id, "not_in_channel")
    assert notice.follow.paused_at is not None

    await store.pauses.mark_notified(notice)

    assert await store.pauses.due_notices(10) == []
    await store.pauses.resume(TEAM, CHANNEL)
    assert await store.pauses.due_notices(10) == []
    await refused(store)
    (again,) = await store.pauses.due_notices(10)
    assert again.follow.id == notice.follow.id


async def test_untold_is_bounded(store: Store) -> None:
    """No more than asked for."""
    for channel in ("C1", "C2"):
        await follow(store, channel)
        await refused(store)

    assert len(await store.pauses.due_notices(1)) == 1


async def test_paused_follows_are_told_what_is_still_true_when_they_go_on(store: Store) -> None:
    """Others get it at once. When it continues, its card shows the current state, and its thread says so."""
    await follow(store, "C1")
    await refused(store)
    await follow(store, "C2")
    channel = Channel()

    await see(store, Episode(phase="live"), Change())
    (card,) = await channel.work(store)
    assert card.follow.channel_id == "C2"

    (resumed,) = await store.pauses.resume(TEAM, "C1")
    assert (resumed.state, resumed.pause_reason) == (FollowState.ACTIVE, None)
    (card,) = await channel.work(store)
    assert card.stored_episode["phase"] == "live"
    assert [each.kind for each in card.announcements] == ["live"]


async def test_what_was_to_be_told_before_the_pause(store: Store) -> None:
    """Is announced after it."""
    await follow(store)
    channel = Channel()
    await channel.work(store)
    await see(store, Episode(phase="live"), Change())
    await refused(store)

    await store.pauses.resume(TEAM, CHANNEL)

    await channel.work(store)
    assert list(channel.threads.values()) == [["live"]]


async def test_runs_that_the_channel_missed(store: Store) -> None:
    """Of several runs during the pause only the last is posted; a card that is in the channel is brought up to date."""
    await follow(store)
    channel = Channel()
    await channel.work(store)
    await see(store, Episode(phase="ended"), visible=True)
    await refused(store)
    for number in (2, 3, 4):
        await see(store, Episode(number=number, phase="live"), Change(episode=number))

    await store.pauses.resume(TEAM, CHANNEL)

    assert sorted(card.episode for card in await channel.work(store)) == [1, 4]


async def test_card_that_may_have_been_posted_is_brought_up_to_date(store: Store, clock: Clock) -> None:
    """A killed process may have posted it before the bot was removed. If it were dropped, it would stay as it was."""
    await follow(store)
    channel = Channel()
    await channel.work(store)
    await see(store, Episode(number=2, phase="live"))
    posting, earlier = await store.card_queue.claim("killed", 10, LEASE)
    await store.card_queue.mark_rendered(earlier, earlier.desired_version, last=True)
    clock.advance(LEASE)
    await refused(store)
    await see(store, Episode(number=2, phase="ended"), visible=True)
    await see(store, Episode(number=3, phase="live"))

    await store.pauses.resume(TEAM, CHANNEL)

    shown = {card.episode: card.stored_episode["phase"] for card in await channel.work(store)}
    assert shown[posting.episode] == "ended"


async def test_what_is_finished_stays_so(store: Store) -> None:
    """Resuming makes nothing due that has nothing left to do."""
    await follow(store)
    channel = Channel()
    await channel.work(store)
    await see(store, Episode(number=2, phase="live"))
    await channel.work(store)
    await see(store, Episode(number=2, phase="ended"))
    await refused(store)

    await store.pauses.resume(TEAM, CHANNEL)

    assert [card.episode for card in await channel.work(store)] == [2]


async def test_resume_looks_again(store: Store) -> None:
    """At once: what is shown first should be true."""
    await follow(store)
    await store.meeting_queue.record(await look(store), Episode(), next_check_in=600)
    await refused(store)

    await store.pauses.resume(TEAM, CHANNEL)

    assert await store.meeting_queue.refresh_due_in() == 0


async def test_resume_is_for_the_channel(store: Store, clock: Clock) -> None:
    """All that is paused there continues, and nothing elsewhere."""
    for where, meeting in ((CHANNEL, MEETING), (CHANNEL, OTHER_MEETING), ("C2", MEETING)):
        await follow(store, where, meeting=meeting)
        await refused(store)
        clock.advance(1)

    resumed = await store.pauses.resume(TEAM, CHANNEL)

    assert [follow.meeting_id for follow in resumed] == [MEETING, OTHER_MEETING]
    assert await store.pauses.resume(TEAM, CHANNEL) == []
    assert len(await store.card_queue.claim("announcer", 10, LEASE)) == 2


async def test_invited_back_before_the_refusal_is_known(store: Store, clock: Clock) -> None:
    """An answer to an earlier request pauses nothing, and the card is claimed when the lease would have ended."""
    await follow(store)
    (card,) = await store.card_queue.claim("announcer", 10, LEASE)

    assert await store.pauses.resume(TEAM, CHANNEL) == []

    assert await store.pauses.pause(card, "not_in_channel") is None
    assert await store.card_queue.due_in() == LEASE
    clock.advance(LEASE)
    (again,) = await store.card_queue.claim("announcer", 10, LEASE)
    assert again.follow.state is FollowState.ACTIVE
    assert again.has_news


async def test_invited_back_while_a_card_is_posted(store: Store, clock: Clock) -> None:
    """What was done nevertheless is reported, and nothing is posted twice."""
    await follow(store)
    (card,) = await store.card_queue.claim("announcer", 10, LEASE)
    await store.pauses.resume(TEAM, CHANNEL)

    with pytest.raises(LeaseLost):
        await store.card_queue.mark_posted(card, "1800000000.000001", 1)
    assert await store.card_queue.report_post(card, "1800000000.000001")

    clock.advance(LEASE)
    (again,) = await store.card_queue.claim("announcer", 10, LEASE)
    assert again.message_ts == "1800000000.000001"


async def test_invited_back_leaves_other_channels_alone(store: Store) -> None:
    await follow(store, "C2")
    (card,) = await store.card_queue.claim("announcer", 10, LEASE)

    await store.pauses.resume(TEAM, CHANNEL)

    await store.card_queue.mark_posted(card, "1800000000.000001", 1)


async def test_following_again_resumes(store: Store) -> None:
    """A request for it in the channel resumes it."""
    await follow(store)
    await refused(store)

    again = await follow(store)

    assert not again.is_new
    assert again.follow.state is FollowState.ACTIVE
    assert await store.card_queue.due_in() == 0


async def test_a_paused_meeting_is_still_looked_at(store: Store) -> None:
    """So that it is up to date when it continues."""
    await follow(store)
    await refused(store)

    assert await store.meeting_queue.refresh_due_in() == 0


async def test_level_of_a_paused_follow(store: Store) -> None:
    """Is kept, and makes nothing due."""
    await follow(store)
    await refused(store)

    assert await store.follows.set_level(TEAM, CHANNEL, MEETING, Level.LOUD) is not None

    assert await store.card_queue.due_in() is None


async def test_unfollowing_what_is_paused(store: Store) -> None:
    """Is possible."""
    await follow(store)
    await refused(store)

    assert await store.follows.unfollow(TEAM, CHANNEL, MEETING, user_id="U2") is not None
    assert await store.pauses.due_notices(10) == []


async def test_resume_what_was_paused_for_some_reasons(store: Store) -> None:
    """Only that continues, and only its channel is listed."""
    for channel in ("C1", "C2"):
        await follow(store, channel)
    reasons = {}
    for card, reason in zip(
        await store.card_queue.claim("announcer", 10, LEASE), ("not_in_channel", "restricted_action"), strict=True
    ):
        assert await store.pauses.pause(card, reason) is not None
        reasons[reason] = card.follow.channel_id
    here, there = reasons["not_in_channel"], reasons["restricted_action"]

    assert await store.pauses.channels_paused(["not_in_channel", "is_archived"]) == [(TEAM, here)]
    assert await store.pauses.resume(TEAM, there, ["not_in_channel"]) == []
    (resumed,) = await store.pauses.resume(TEAM, here, ["not_in_channel"])

    assert (resumed.channel_id, resumed.state) == (here, FollowState.ACTIVE)
    assert await store.pauses.channels_paused(["not_in_channel"]) == []
    assert await store.pauses.channels_paused(["restricted_action"]) == [(TEAM, there)]


async def test_a_pause_remembers_that_slack_may_still_carry_out_the_edit_of_another_card(
    store: Store, clock: Clock
) -> None:
    """Its holder may have been killed: the edit would overtake the one that follows the resumption, for good."""
    channel = Channel()
    await follow(store)
    await see(store, Episode(phase="live"), Change(1))
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
    await refused(store)
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
