"""A channel follows a meeting, hears less or more of it, and stops."""

from uuid import UUID

from bot.store.database import moment
from bot.store.store import Store
from bot.store.tables import FollowState, Volume
from tests.store.acting import ANN, CHANNEL, MEETING, OTHER_MEETING, TEAM, Change, Channel, Clock, Episode, follow, see


async def test_a_new_follow(store: Store, clock: Clock) -> None:
    """It lasts thirty days, and its card is due at once with what was just seen."""
    followed = await follow(store, episode=Episode(phase="live"))

    assert followed.new
    assert followed.ts is None
    assert followed.follow.channel_id == CHANNEL
    assert followed.follow.created_by == ANN
    assert followed.follow.state is FollowState.ACTIVE
    assert followed.follow.created_at == moment(clock.time)
    assert followed.follow.expires_at == moment(clock.time + 30 * 24 * 3600)
    (card,) = await store.announcing.claim("announcer", 10, 30)
    assert card.follow == followed.follow
    assert card.ts is None
    assert card.wanted == {"number": 1, "phase": "live"}
    assert not card.needs_edit


async def test_a_new_follow_of_an_owner(store: Store, clock: Clock) -> None:
    """Whoever follows may post the card in the same breath, alone; if it is killed others see the card due."""
    followed = await store.follows.follow(
        TEAM, CHANNEL, MEETING, user_id=ANN, volume=Volume.NORMAL, episode=Episode(), owner="somebody", lease_seconds=60
    )

    card = followed.card
    assert card is not None
    assert (card.follow, card.ts, card.attempts) == (followed.follow, None, 0)
    assert card.wanted == {"number": 1, "phase": "waiting"}
    assert await store.announcing.claim("announcer", 10, 30) == []
    clock.advance(60)
    assert len(await store.announcing.claim("announcer", 10, 30)) == 1
    assert not await store.announcing.posted(card, "1.0", 1)


async def test_an_owner_that_posts(store: Store) -> None:
    """Then nothing is left to do."""
    followed = await store.follows.follow(
        TEAM, CHANNEL, MEETING, user_id=ANN, volume=Volume.NORMAL, episode=Episode(), owner="somebody"
    )
    assert followed.card is not None

    assert await store.announcing.posted(followed.card, "1.0", 1, last=True)

    assert await store.announcing.due_in() is None
    again = await store.follows.follow(
        TEAM, CHANNEL, MEETING, user_id=ANN, volume=Volume.NORMAL, episode=Episode(), owner="somebody"
    )
    assert (again.new, again.ts, again.card) == (False, "1.0", None)


async def test_following_twice(store: Store) -> None:
    """The second time says where the card is, and changes nothing."""
    first = await follow(store)
    await Channel().work(store)

    second = await follow(store, volume=Volume.LOUD)

    assert not second.new
    assert second.follow == first.follow
    assert second.ts == "1800000000.000001"
    assert await store.announcing.due_in() is None


async def test_many_channels_follow_one_meeting(store: Store) -> None:
    """Who comes later sees what is known of the meeting, not what somebody else thought it was."""
    await follow(store, "C1")
    await see(store, Episode(number=3, phase="live"))

    await follow(store, "C2", episode=Episode(number=1, phase="waiting"))

    due = {card.follow.channel_id: card for card in await store.announcing.claim("announcer", 10, 30)}
    assert due["C2"].episode == 3
    assert due["C2"].wanted["phase"] == "live"


async def test_a_new_follower_hears_no_old_news(store: Store) -> None:
    """What was told before it followed is not told to it."""
    await follow(store, "C1")
    await see(store, Episode(phase="live"), Change())

    await follow(store, "C2")

    told = {card.follow.channel_id: len(card.announcements) for card in await store.announcing.claim("a", 10, 30)}
    assert told == {"C1": 1, "C2": 0}


async def test_following_makes_the_meeting_due(store: Store) -> None:
    """A meeting that is looked at every now and then is looked at now."""
    await follow(store, "C1")
    await see(store, Episode(), look_in=600)

    await follow(store, "C2")

    assert await store.tracking.due_in() == 0


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
    assert first.looked_at == moment(clock.time - 10)
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
    """Nothing is left to be looked at or told, and the channel can follow anew."""
    followed = await follow(store)
    await see(store, Episode(phase="live"), Change())

    assert await store.follows.unfollow(TEAM, CHANNEL, MEETING) == followed.follow

    assert await store.follows.in_channel(TEAM, CHANNEL) == []
    assert await store.announcing.due_in() is None
    assert await store.tracking.due_in() is None
    assert (await follow(store)).new


async def test_unfollow_what_is_not_followed(store: Store) -> None:
    """It says so."""
    assert await store.follows.unfollow(TEAM, CHANNEL, MEETING) is None


async def test_others_go_on(store: Store) -> None:
    """A meeting is looked at until its last channel leaves it."""
    await follow(store, "C1")
    await follow(store, "C2")

    await store.follows.unfollow(TEAM, "C1", MEETING)

    assert await store.tracking.due_in() == 0


async def test_a_meeting_is_begun_anew(store: Store) -> None:
    """What was last known when nobody followed any more is no news for who follows next."""
    await follow(store, episode=Episode(number=4, phase="live"))
    await store.follows.unfollow(TEAM, CHANNEL, MEETING)

    await follow(store, "C2", episode=Episode(number=1, phase="waiting"))

    (meeting,) = await store.tracking.claim("tracker", 10, 30)
    assert meeting.episode == {"number": 1, "phase": "waiting"}


async def test_volume(store: Store) -> None:
    """Another volume counts from the next change on, and the card is shown anew for its menu."""
    await follow(store)
    channel = Channel()
    await channel.work(store)
    await see(store, Episode(phase="live"), Change(1))

    louder = await store.follows.set_volume(TEAM, CHANNEL, MEETING, Volume.QUIET)

    assert louder is not None
    assert louder.volume is Volume.QUIET
    await see(store, Episode(phase="ended"), Change(2, "ended"), visible=False)
    await channel.work(store)
    assert list(channel.threads.values()) == [["live"]]
    await store.follows.set_volume(TEAM, CHANNEL, MEETING, Volume.LOUD)
    (card,) = await channel.work(store)
    assert card.needs_edit
    assert card.follow.volume is Volume.LOUD


async def test_the_same_volume(store: Store) -> None:
    """It is no reason for an edit."""
    followed = await follow(store)
    await Channel().work(store)

    assert await store.follows.set_volume(TEAM, CHANNEL, MEETING, Volume.NORMAL) == followed.follow

    assert await store.announcing.due_in() is None


async def test_volume_of_what_is_not_followed(store: Store) -> None:
    """It says so."""
    await follow(store)

    assert await store.follows.set_volume(TEAM, "C2", MEETING, Volume.LOUD) is None
    assert await store.follows.set_volume(TEAM, CHANNEL, UUID(int=9), Volume.LOUD) is None
