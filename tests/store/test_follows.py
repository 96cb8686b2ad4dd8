"""A channel follows a meeting, hears less or more of it, and stops."""

from uuid import UUID

import pytest
import sqlalchemy as sa

from bot.domain.follow import FollowState, Level
from bot.store.database import Database
from bot.store.follows import StoredFollow
from bot.store.leases import LeaseLost
from bot.store.rows import from_epoch
from bot.store.schema import announcements, cards, follows, meetings
from bot.store.store import Store
from tests.store.helpers import (
    ANN,
    BEN,
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
    count,
    expire,
    follow,
    follow_and_post,
    listed,
    look,
    see,
)

WAITING = {"number": 1, "phase": "waiting"}


async def follow_and_claim(
    store: Store, channel: str = CHANNEL, phase: str = "waiting", seconds: float = LEASE
) -> StoredFollow:
    """Follow a meeting, and claim its card in the same transaction."""
    return await store.follows.follow(
        TEAM,
        channel,
        MEETING,
        user_id=ANN,
        level=Level.NORMAL,
        episode=Episode(phase=phase),
        worker_id="another",
        lease_seconds=seconds,
    )


async def unfollow(store: Store, channel: str = CHANNEL) -> None:
    assert await store.follows.unfollow(TEAM, channel, MEETING, user_id=BEN)


async def test_new_follow_lasts_thirty_days_and_its_card_is_due(store: Store, clock: Clock) -> None:
    followed = await follow(store, episode=Episode(phase="live"))

    assert followed.is_new
    assert followed.ts is None
    assert followed.follow.channel_id == CHANNEL
    assert followed.follow.created_by == ANN
    assert followed.follow.state is FollowState.ACTIVE
    assert followed.follow.created_at == from_epoch(clock.time)
    assert followed.follow.expires_at == from_epoch(clock.time + 30 * 24 * 3600)
    card = await claim(store)
    assert card.follow == followed.follow
    assert card.message_ts is None
    assert card.stored_episode == {"number": 1, "phase": "live"}
    assert not card.needs_edit


async def test_card_claimed_with_its_follow_is_due_to_others_only_after_the_lease(store: Store, clock: Clock) -> None:
    followed = await follow_and_claim(store, seconds=60)

    card = followed.card
    assert card is not None
    assert (card.follow, card.message_ts, card.attempts) == (followed.follow, None, 0)
    assert card.stored_episode == WAITING
    assert await store.card_queue.claim("announcer", 10, 30) == []
    clock.advance(60)
    await claim(store)
    with pytest.raises(LeaseLost):
        await store.card_queue.mark_posted(card, "1.0", 1)


async def test_card_posted_by_the_follower_is_idle(store: Store) -> None:
    followed = await follow_and_claim(store)
    assert followed.card is not None

    await store.card_queue.mark_posted(followed.card, "1.0", 1, last=True)

    assert await store.card_queue.due_in() is None
    again = await follow_and_claim(store)
    assert (again.is_new, again.ts, again.card) == (False, "1.0", None)


async def test_following_twice_returns_the_card_and_changes_nothing(store: Store) -> None:
    first = await follow(store)
    await Channel().work(store)

    second = await follow(store, level=Level.LOUD)

    assert not second.is_new
    assert second.follow == first.follow
    assert second.ts == "1800000000.000001"
    assert await store.card_queue.due_in() is None


async def test_later_follower_sees_what_is_known_but_no_old_announcements(store: Store) -> None:
    """What it assumed of the meeting does not count, and the meeting is checked at once."""
    await follow(store, "C1")
    await see(store, Episode(number=3, phase="live"), Change(episode=3), next_check_in=600)
    assert await store.meeting_queue.due_in() == 600

    await follow(store, "C2", episode=Episode(number=1, phase="waiting"))

    due = {card.follow.channel_id: card for card in await Channel().work(store) if card.episode == 3}
    assert due["C2"].stored_episode["phase"] == "live"
    assert due["C2"].announcements == ()
    assert await store.meeting_queue.refresh_due_in() == 0


async def test_list_has_a_channels_follows_oldest_first_with_their_health(store: Store, clock: Clock) -> None:
    await follow(store)
    await see(store, Episode(phase="live"), failures=2)
    clock.advance(10)
    await follow(store, meeting=OTHER_MEETING, episode=Episode(name=None))
    await follow_and_post(store, "C2")

    first, second = await store.follows.in_channel(TEAM, CHANNEL)

    assert (first.follow.meeting_id, first.name, first.phase, first.failures) == (MEETING, "All hands", "live", 2)
    assert first.last_checked_at == from_epoch(clock.time - 10)
    assert first.ts is not None
    assert (second.follow.meeting_id, second.name, second.failures) == (OTHER_MEETING, None, 0)
    assert await store.follows.in_channel("T2", CHANNEL) == []


async def test_list_has_a_follow_once_with_its_newest_card(store: Store) -> None:
    channel = await follow_and_post(store)
    await see(store, Episode(number=2, phase="live"))
    await channel.work(store)

    assert (await listed(store)).ts == list(channel.cards)[-1]


async def test_unfollowed_meeting_is_gone_and_can_be_followed_again(store: Store) -> None:
    assert await store.follows.unfollow(TEAM, CHANNEL, MEETING, user_id=BEN) is None
    followed = await follow(store)
    await see(store, Episode(phase="live"), Change())

    assert await store.follows.unfollow(TEAM, CHANNEL, MEETING, user_id=BEN) == followed.follow

    assert await store.follows.in_channel(TEAM, CHANNEL) == []
    assert await store.card_queue.due_in() is None
    assert await store.meeting_queue.due_in() is None
    assert await store.follows.unfollow(TEAM, CHANNEL, MEETING, user_id=BEN) is None
    assert (await follow(store)).is_new


async def test_meeting_is_checked_until_its_last_channel_leaves(store: Store) -> None:
    await follow(store, "C1")
    await follow(store, "C2")

    await unfollow(store, "C1")

    assert await store.meeting_queue.refresh_due_in() == 0


async def test_abandoned_meeting_begins_with_what_its_next_follower_saw(store: Store) -> None:
    await follow(store, episode=Episode(number=4, phase="live"))
    await unfollow(store)

    await follow(store, "C2", episode=Episode(number=1, phase="waiting"))

    assert (await look(store)).episode == WAITING


async def test_level_counts_from_the_next_change_and_edits_the_card(store: Store) -> None:
    channel = await follow_and_post(store)
    await see(store, Episode(phase="live"), Change(1))

    quieter = await store.follows.set_level(TEAM, CHANNEL, MEETING, Level.QUIET)

    assert quieter is not None
    assert quieter.level is Level.QUIET
    await see(store, Episode(phase="ended"), Change(2, "ended"), visible=False)
    await channel.work(store)
    assert list(channel.threads.values()) == [["live"]]
    await store.follows.set_level(TEAM, CHANNEL, MEETING, Level.LOUD)
    (card,) = await channel.work(store)
    assert card.needs_edit
    assert card.follow.level is Level.LOUD


async def test_same_level_edits_nothing(store: Store) -> None:
    followed = await follow(store)
    await Channel().work(store)

    assert await store.follows.set_level(TEAM, CHANNEL, MEETING, Level.NORMAL) == followed.follow

    assert await store.card_queue.due_in() is None


async def test_level_can_be_set_for_current_follows_only(store: Store) -> None:
    await follow(store)

    assert await store.follows.set_level(TEAM, "C2", MEETING, Level.LOUD) is None
    assert await store.follows.set_level(TEAM, CHANNEL, UUID(int=9), Level.LOUD) is None


async def test_latest_card_of_an_ended_follow_shows_that_and_offers_to_follow_again(
    store: Store, database: Database
) -> None:
    """People see nothing of the follow any longer, and nothing more is announced."""
    channel = await follow_and_post(store)
    await see(store, Episode(number=2, phase="live"), Change(1, episode=2))
    await channel.work(store)
    await see(store, Episode(number=2, phase="ended"), Change(2, "ended", episode=2))

    await unfollow(store)

    assert await store.follows.in_channel(TEAM, CHANNEL) == []
    assert (await store.maintenance.stats()).follows[FollowState.ACTIVE] == 0
    (card,) = await channel.work(store)
    assert (card.episode, card.is_latest, card.announcements) == (2, True, ())
    assert (card.follow.state, card.follow.unfollowed_by) == (FollowState.UNFOLLOWED, BEN)
    assert await store.card_queue.due_in() is None
    assert await count(database, follows) == 1


async def test_card_of_a_past_follow_is_due_once_the_channel_follows_again(store: Store, database: Database) -> None:
    """Not before the new card is posted, for it may be refused; or after its lease, if its holder was killed."""
    channel = await follow_and_post(store)
    await unfollow(store)
    await channel.work(store)

    again = await follow_and_claim(store)
    assert again.card is not None
    assert await store.card_queue.due_in() == LEASE
    await channel.work_at(store, again.card)
    await store.card_queue.release(again.card)
    await store.follows.show_followed_again(again.follow)

    (old,) = await channel.work(store)
    assert old.is_followed_again
    assert await count(database, follows) == 1


async def test_card_of_an_ended_follow_knows_that_the_channel_follows_again(store: Store, database: Database) -> None:
    first = await follow(store)
    channel = Channel()
    await channel.work(store)
    await unfollow(store)

    again = await follow(store)

    assert again.is_new
    assert again.follow.id != first.follow.id
    due = {card.follow.id: card for card in await channel.work(store)}
    assert due[first.follow.id].is_followed_again
    assert not due[again.follow.id].is_followed_again
    assert await count(database, follows) == 1
    assert len(await store.follows.in_channel(TEAM, CHANNEL)) == 1


async def test_unconfirmed_first_card_of_an_ended_follow_is_posted_with_the_same_id(store: Store, clock: Clock) -> None:
    await follow(store)
    await store.card_queue.defer(await claim(store), 60, unconfirmed=True)

    await unfollow(store)

    assert await store.card_queue.due_in() == 60
    clock.advance(60)
    (card,) = await Channel().work(store)
    assert (card.message_ts, card.times_deleted, card.needs_edit) == (None, 0, True)
    assert card.follow.state is FollowState.UNFOLLOWED
    assert await store.card_queue.due_in() is None


async def test_card_posted_while_its_follow_ends_is_reported_and_edited(store: Store) -> None:
    await follow(store)
    card = await claim(store)
    await unfollow(store)

    with pytest.raises(LeaseLost):
        await store.card_queue.mark_posted(card, "1.0", card.desired_version)
    assert await store.card_queue.report_post(card, "1.0")

    (due,) = await Channel().work(store)
    assert (due.message_ts, due.needs_edit) == ("1.0", True)
    assert await store.card_queue.due_in() is None


async def test_follow_that_ends_before_its_card_was_tried_leaves_nothing(store: Store, database: Database) -> None:
    await follow(store)

    await unfollow(store)

    assert await store.card_queue.due_in() is None
    assert await count(database, follows) == 0


async def test_past_follow_is_purged_once_its_card_shows_that_the_channel_follows_again(
    store: Store, database: Database
) -> None:
    """A bot may die before it removes the row itself."""
    channel = await follow_and_post(store)
    await unfollow(store)
    await channel.work(store)
    await follow(store)
    await store.maintenance.purge(1e6)
    assert await count(database, follows) == 2
    for card in await store.card_queue.claim("a", 2, LEASE):
        await store.card_queue.mark_rendered(card, card.desired_version, last=True)

    await store.maintenance.purge(1e6)

    assert await count(database, follows) == 1


async def expired_with_an_unsent_word(store: Store, clock: Clock) -> None:
    """Let a channel's follow expire while Slack accepts nothing."""
    await follow_and_post(store, "C1")
    clock.advance(30 * 24 * 3600.0)
    await expire(store)


@pytest.mark.parametrize("channel", ["C1", "C2"])
async def test_following_again_drops_the_unsent_expiry_of_its_channel(store: Store, clock: Clock, channel: str) -> None:
    await expired_with_an_unsent_word(store, clock)

    await follow(store, channel)

    due = await store.card_queue.claim("a", 10, LEASE)
    words = [each.kind for card in due for each in card.announcements]
    assert words == ([] if channel == "C1" else ["expired"])
    assert len(due) == 2
    (old,) = [card for card in due if card.follow.state is FollowState.EXPIRED]
    await store.card_queue.mark_rendered(old, old.desired_version, last=True)
    assert await store.card_queue.due_in() == (LEASE if channel == "C1" else 0)


async def contents(database: Database) -> list[list[tuple[object, ...]]]:
    """Everything that is stored."""
    async with database.read_only() as connection:
        found = [await connection.execute(sa.select(table)) for table in (meetings, follows, cards, announcements)]
        return [sorted((tuple(row) for row in each), key=str) for each in found]


@pytest.mark.parametrize("before", ["nothing", "idle", "followed"])
async def test_retracted_follow_leaves_no_trace(store: Store, clock: Clock, database: Database, before: str) -> None:
    if before == "idle":
        await expired_with_an_unsent_word(store, clock)
    if before == "followed":
        await follow(store, "C1")
        await see(store, Episode(number=4, phase="live"), next_check_in=60)
        await store.meeting_queue.request_refresh(MEETING)
    was = await contents(database)
    followed = await follow_and_claim(store, "C2", "live")

    assert await store.follows.retract(followed)

    assert await contents(database) == was
    assert not await store.follows.retract(followed)


async def test_follow_whose_card_another_worker_has_claimed_is_not_retracted(store: Store, clock: Clock) -> None:
    followed = await follow_and_claim(store, seconds=60)
    clock.advance(60)
    await claim(store)

    assert not await store.follows.retract(followed)

    assert len(await store.follows.in_channel(TEAM, CHANNEL)) == 1
