"""A channel follows a meeting, hears less or more of it, and stops."""

from uuid import UUID

import pytest
import sqlalchemy as sa

from bot.domain.follow import FollowState, Level
from bot.store.database import Database
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
    expire,
    follow,
    see,
)


async def test_a_new_follow(store: Store, clock: Clock) -> None:
    """It lasts thirty days, and its card is due at once with what was just seen."""
    followed = await follow(store, episode=Episode(phase="live"))

    assert followed.is_new
    assert followed.ts is None
    assert followed.follow.channel_id == CHANNEL
    assert followed.follow.created_by == ANN
    assert followed.follow.state is FollowState.ACTIVE
    assert followed.follow.created_at == from_epoch(clock.time)
    assert followed.follow.expires_at == from_epoch(clock.time + 30 * 24 * 3600)
    (card,) = await store.card_queue.claim("announcer", 10, 30)
    assert card.follow == followed.follow
    assert card.message_ts is None
    assert card.stored_episode == {"number": 1, "phase": "live"}
    assert not card.needs_edit


async def test_a_new_follow_of_an_owner(store: Store, clock: Clock) -> None:
    """The process that follows may post the card at once, alone; if it is killed others see the card due."""
    followed = await store.follows.follow(
        TEAM,
        CHANNEL,
        MEETING,
        user_id=ANN,
        level=Level.NORMAL,
        episode=Episode(),
        worker_id="another",
        lease_seconds=60,
    )

    card = followed.card
    assert card is not None
    assert (card.follow, card.message_ts, card.attempts) == (followed.follow, None, 0)
    assert card.stored_episode == {"number": 1, "phase": "waiting"}
    assert await store.card_queue.claim("announcer", 10, 30) == []
    clock.advance(60)
    assert len(await store.card_queue.claim("announcer", 10, 30)) == 1
    with pytest.raises(LeaseLost):
        await store.card_queue.mark_posted(card, "1.0", 1)


async def test_an_owner_that_posts(store: Store) -> None:
    """Then nothing is left to do."""
    followed = await store.follows.follow(
        TEAM, CHANNEL, MEETING, user_id=ANN, level=Level.NORMAL, episode=Episode(), worker_id="another"
    )
    assert followed.card is not None

    await store.card_queue.mark_posted(followed.card, "1.0", 1, last=True)

    assert await store.card_queue.due_in() is None
    again = await store.follows.follow(
        TEAM, CHANNEL, MEETING, user_id=ANN, level=Level.NORMAL, episode=Episode(), worker_id="another"
    )
    assert (again.is_new, again.ts, again.card) == (False, "1.0", None)


async def test_following_twice(store: Store) -> None:
    """The second time says where the card is, and changes nothing."""
    first = await follow(store)
    await Channel().work(store)

    second = await follow(store, level=Level.LOUD)

    assert not second.is_new
    assert second.follow == first.follow
    assert second.ts == "1800000000.000001"
    assert await store.card_queue.due_in() is None


async def test_many_channels_follow_one_meeting(store: Store) -> None:
    """A later follow gets what is known of the meeting, not what the first one assumed."""
    await follow(store, "C1")
    await see(store, Episode(number=3, phase="live"))

    await follow(store, "C2", episode=Episode(number=1, phase="waiting"))

    due = {card.follow.channel_id: card for card in await store.card_queue.claim("announcer", 10, 30)}
    assert due["C2"].episode == 3
    assert due["C2"].stored_episode["phase"] == "live"


async def test_a_new_follower_hears_no_old_news(store: Store) -> None:
    """What was announced before it followed is not announced to it."""
    await follow(store, "C1")
    await see(store, Episode(phase="live"), Change())

    await follow(store, "C2")

    told = {card.follow.channel_id: len(card.announcements) for card in await store.card_queue.claim("a", 10, 30)}
    assert told == {"C1": 1, "C2": 0}


async def test_following_makes_the_meeting_due(store: Store) -> None:
    """A meeting with a long check interval is checked now."""
    await follow(store, "C1")
    await see(store, Episode(), next_check_in=600)

    await follow(store, "C2")

    assert await store.meeting_queue.refresh_due_in() == 0


async def test_what_a_channel_follows(store: Store, clock: Clock) -> None:
    """The oldest first, each with its meeting's health and newest card; other channels' are not among them."""
    await follow(store)
    await see(store, Episode(phase="live"), failures=2)
    clock.advance(10)
    await follow(store, meeting=OTHER_MEETING, episode=Episode(name=None))
    await follow(store, "C2")
    await Channel().work(store)

    first, second = await store.follows.in_channel(TEAM, CHANNEL)

    assert (first.follow.meeting_id, first.name, first.phase, first.failures) == (MEETING, "All hands", "live", 2)
    assert first.last_checked_at == from_epoch(clock.time - 10)
    assert first.ts is not None
    assert (second.follow.meeting_id, second.name, second.failures) == (OTHER_MEETING, None, 0)
    assert await store.follows.in_channel("T2", CHANNEL) == []


async def test_a_list_names_the_newest_card(store: Store) -> None:
    """A follow of many runs is listed once."""
    await follow(store)
    channel = Channel()
    await channel.work(store)
    await see(store, Episode(number=2, phase="live"))
    await channel.work(store)

    (listed,) = await store.follows.in_channel(TEAM, CHANNEL)

    assert listed.ts == list(channel.cards)[-1]


async def test_unfollow(store: Store) -> None:
    """Nothing is left to check or announce, and the channel can follow again."""
    followed = await follow(store)
    await see(store, Episode(phase="live"), Change())

    assert await store.follows.unfollow(TEAM, CHANNEL, MEETING, user_id=BEN) == followed.follow

    assert await store.follows.in_channel(TEAM, CHANNEL) == []
    assert await store.card_queue.due_in() is None
    assert await store.meeting_queue.due_in() is None
    assert (await follow(store)).is_new


async def test_unfollow_what_is_not_followed(store: Store) -> None:
    """It says so."""
    assert await store.follows.unfollow(TEAM, CHANNEL, MEETING, user_id=BEN) is None


async def test_others_go_on(store: Store) -> None:
    """A meeting is checked until its last channel leaves it."""
    await follow(store, "C1")
    await follow(store, "C2")

    await store.follows.unfollow(TEAM, "C1", MEETING, user_id=BEN)

    assert await store.meeting_queue.refresh_due_in() == 0


async def test_a_meeting_is_begun_anew(store: Store) -> None:
    """What was last known when the last channel left is no change for the next one to follow."""
    await follow(store, episode=Episode(number=4, phase="live"))
    await store.follows.unfollow(TEAM, CHANNEL, MEETING, user_id=BEN)

    await follow(store, "C2", episode=Episode(number=1, phase="waiting"))

    (meeting,) = await store.meeting_queue.claim("tracker", 10, 30)
    assert meeting.episode == {"number": 1, "phase": "waiting"}


async def test_level(store: Store) -> None:
    """Another level counts from the next change on, and the card is edited for its menu."""
    await follow(store)
    channel = Channel()
    await channel.work(store)
    await see(store, Episode(phase="live"), Change(1))

    louder = await store.follows.set_level(TEAM, CHANNEL, MEETING, Level.QUIET)

    assert louder is not None
    assert louder.level is Level.QUIET
    await see(store, Episode(phase="ended"), Change(2, "ended"), visible=False)
    await channel.work(store)
    assert list(channel.threads.values()) == [["live"]]
    await store.follows.set_level(TEAM, CHANNEL, MEETING, Level.LOUD)
    (card,) = await channel.work(store)
    assert card.needs_edit
    assert card.follow.level is Level.LOUD


async def test_the_same_level(store: Store) -> None:
    """It is no reason for an edit."""
    followed = await follow(store)
    await Channel().work(store)

    assert await store.follows.set_level(TEAM, CHANNEL, MEETING, Level.NORMAL) == followed.follow

    assert await store.card_queue.due_in() is None


async def test_level_of_what_is_not_followed(store: Store) -> None:
    """It says so."""
    await follow(store)

    assert await store.follows.set_level(TEAM, "C2", MEETING, Level.LOUD) is None
    assert await store.follows.set_level(TEAM, CHANNEL, UUID(int=9), Level.LOUD) is None


async def test_what_somebody_has_ended_is_shown_before_it_goes(store: Store, database: Database) -> None:
    """People see nothing of it any longer; its latest card is due, and stays to offer to follow again."""
    await follow(store)
    channel = Channel()
    await channel.work(store)
    await see(store, Episode(number=2, phase="live"), Change(1, episode=2))
    await channel.work(store)
    await see(store, Episode(number=2, phase="ended"), Change(2, "ended", episode=2))

    ended = await store.follows.unfollow(TEAM, CHANNEL, MEETING, user_id=BEN)

    assert ended is not None
    assert await store.follows.in_channel(TEAM, CHANNEL) == []
    assert (await store.maintenance.stats()).follows[FollowState.ACTIVE] == 0
    due = await channel.work(store)
    assert [(card.episode, card.is_latest, card.announcements) for card in due] == [(2, True, ())]
    assert {card.follow.state for card in due} == {FollowState.UNFOLLOWED}
    assert {card.follow.unfollowed_by for card in due} == {BEN}
    assert await store.card_queue.due_in() is None
    assert await rows(database, "follows") == 1


async def test_card_of_a_past_follow_is_due_once_the_channel_follows_again(
    store: Store, clock: Clock, database: Database
) -> None:
    """Not before the new card is posted, for it may be refused; or after its lease, if its holder was killed."""
    await follow(store)
    channel = Channel()
    await channel.work(store)
    await store.follows.unfollow(TEAM, CHANNEL, MEETING, user_id=BEN)
    await channel.work(store)

    again = await store.follows.follow(
        TEAM, CHANNEL, MEETING, user_id=ANN, level=Level.NORMAL, episode=Episode(), worker_id="a", lease_seconds=LEASE
    )
    assert again.card is not None
    assert await store.card_queue.due_in() == LEASE
    await channel.work_at(store, again.card)
    await store.card_queue.release(again.card)
    await store.follows.show_followed_again(again.follow)

    (old,) = await channel.work(store)
    assert old.is_followed_again
    assert await rows(database, "follows") == 1


async def test_followed_again_before_that_is_shown(store: Store, database: Database) -> None:
    """Two rows, one of which is going: its card shows that the channel follows the meeting again."""
    first = await follow(store)
    channel = Channel()
    await channel.work(store)
    await store.follows.unfollow(TEAM, CHANNEL, MEETING, user_id=BEN)

    again = await follow(store)

    assert again.is_new
    assert again.follow.id != first.follow.id
    due = {card.follow.id: card for card in await channel.work(store)}
    assert due[first.follow.id].is_followed_again
    assert not due[again.follow.id].is_followed_again
    assert await rows(database, "follows") == 1
    assert len(await store.follows.in_channel(TEAM, CHANNEL)) == 1


async def test_ended_while_its_first_card_is_unconfirmed(store: Store, clock: Clock, database: Database) -> None:
    """Slack may have it, so it is posted once more, by the same ID, with its final text."""
    await follow(store)
    (card,) = await store.card_queue.claim("a", 1, LEASE)
    await store.card_queue.defer(card, 60, unconfirmed=True)

    await store.follows.unfollow(TEAM, CHANNEL, MEETING, user_id=BEN)

    assert await store.card_queue.due_in() == 60
    clock.advance(60)
    (card,) = await Channel().work(store)
    assert (card.message_ts, card.times_deleted, card.needs_edit, card.follow.state) == (
        None,
        0,
        True,
        FollowState.UNFOLLOWED,
    )
    assert await store.card_queue.due_in() is None


async def test_ended_while_its_first_card_is_posted(store: Store, database: Database) -> None:
    """Its holder has lost the lease, and reports where the card is, which then shows that it is over."""
    await follow(store)
    (card,) = await store.card_queue.claim("a", 1, LEASE)
    await store.follows.unfollow(TEAM, CHANNEL, MEETING, user_id=BEN)

    with pytest.raises(LeaseLost):
        await store.card_queue.mark_posted(card, "1.0", card.desired_version)
    assert await store.card_queue.report_post(card, "1.0")

    (due,) = await Channel().work(store)
    assert (due.message_ts, due.needs_edit) == ("1.0", True)
    assert await store.card_queue.due_in() is None


async def test_ended_before_its_card_was_tried(store: Store, database: Database) -> None:
    """Nothing is posted, and nothing is left."""
    await follow(store)

    await store.follows.unfollow(TEAM, CHANNEL, MEETING, user_id=BEN)

    assert await store.card_queue.due_in() is None
    assert await rows(database, "follows") == 0


async def test_a_bot_that_dies_before_the_row_goes(store: Store, database: Database) -> None:
    """It is cleared away; while a card is to show that the channel follows again, it is not."""
    await follow(store)
    await Channel().work(store)
    await store.follows.unfollow(TEAM, CHANNEL, MEETING, user_id=BEN)
    await Channel().work(store)
    await follow(store)
    await store.maintenance.purge(1e6)
    assert await rows(database, "follows") == 2
    for card in await store.card_queue.claim("a", 2, LEASE):
        await store.card_queue.mark_rendered(card, card.desired_version, last=True)

    await store.maintenance.purge(1e6)

    assert await rows(database, "follows") == 1


async def expired_with_an_unsent_word(store: Store, clock: Clock) -> None:
    """Let a channel's follow expire while Slack accepts nothing."""
    await follow(store, "C1")
    await Channel().work(store)
    clock.advance(30 * 24 * 3600.0)
    await expire(store)


@pytest.mark.parametrize("channel", ["C1", "C2"])
async def test_following_elsewhere_keeps_what_is_unsent(store: Store, clock: Clock, channel: str) -> None:
    """Another channel's last word is its own; in the same channel it is no longer true, and dropped."""
    await expired_with_an_unsent_word(store, clock)

    await follow(store, channel)

    due = await store.card_queue.claim("a", 10, LEASE)
    words = [each.kind for card in due for each in card.announcements]
    assert words == ([] if channel == "C1" else ["expired"])
    assert len(due) == 2
    (old,) = [card for card in due if card.follow.state is FollowState.EXPIRED]
    await store.card_queue.mark_rendered(old, old.desired_version, last=True)
    assert await store.card_queue.due_in() == (LEASE if channel == "C1" else 0)


@pytest.mark.parametrize("before", ["nothing", "idle", "followed"])
async def test_retract(store: Store, clock: Clock, database: Database, before: str) -> None:
    """A follow whose card Slack refuses leaves no trace: not in the meeting's row, nor in other channels' follows."""
    if before == "idle":
        await expired_with_an_unsent_word(store, clock)
    if before == "followed":
        await follow(store, "C1")
        await see(store, Episode(number=4, phase="live"), next_check_in=60)
        await store.meeting_queue.request_refresh(MEETING)
    was = await contents(database)
    followed = await store.follows.follow(
        TEAM, "C2", MEETING, user_id=ANN, level=Level.NORMAL, episode=Episode(phase="live"), worker_id="another"
    )

    assert await store.follows.retract(followed)

    assert await contents(database) == was
    assert not await store.follows.retract(followed)


async def test_retract_what_is_lost(store: Store, clock: Clock) -> None:
    """Whose lease has ended and was claimed, that is another one's, who may have posted the card."""
    followed = await store.follows.follow(
        TEAM, CHANNEL, MEETING, user_id=ANN, level=Level.NORMAL, episode=Episode(), worker_id="another"
    )
    clock.advance(60)
    await store.card_queue.claim("a", 1, LEASE)

    assert not await store.follows.retract(followed)

    assert len(await store.follows.in_channel(TEAM, CHANNEL)) == 1


async def rows(database: Database, table: str) -> int:
    async with database.read_only() as connection:
        return int(await connection.scalar(sa.text(f"SELECT count(*) FROM {table}")) or 0)


async def contents(database: Database) -> list[list[tuple[object, ...]]]:
    """Everything that is stored."""
    async with database.read_only() as connection:
        found = [await connection.execute(sa.select(table)) for table in (meetings, follows, cards, announcements)]
        return [sorted((tuple(row) for row in each), key=str) for each in found]
