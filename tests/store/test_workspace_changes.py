"""Workspaces change: a channel has another ID, or the app is removed."""

from uuid import UUID

import pytest
import sqlalchemy as sa

from bot.domain.follow import FollowState, Level
from bot.store.database import Database
from bot.store.leases import LeaseLost
from bot.store.schema import announcements, cards, follows
from bot.store.store import Store
from bot.store.workspace_changes import _BATCH_SIZE
from tests.store.helpers import (
    ANN,
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


async def test_a_channel_moves_with_its_cards(store: Store) -> None:
    """What is followed there continues under the new ID, in the same thread."""
    await follow(store)
    await follow(store, "C9")
    await Channel().work(store)

    assert await store.workspaces.move_channel(TEAM, CHANNEL, "C2") == 1

    assert await store.follows.in_channel(TEAM, CHANNEL) == []
    (listed,) = await store.follows.in_channel(TEAM, "C2")
    assert listed.ts is not None
    await see(store, Episode(phase="live"))
    due = await store.card_queue.claim("announcer", 10, LEASE)
    assert sorted(card.follow.channel_id for card in due) == ["C2", "C9"]


async def test_an_id_that_has_follows_already(store: Store) -> None:
    """One follow of each meeting is left there: what people have set up under the new ID stays."""
    await follow(store)
    await follow(store, meeting=OTHER_MEETING)
    await follow(store, "C2", level=Level.LOUD)

    assert await store.workspaces.move_channel(TEAM, CHANNEL, "C2") == 2

    listed = await store.follows.in_channel(TEAM, "C2")
    assert {each.follow.meeting_id: each.follow.level for each in listed} == {
        MEETING: Level.LOUD,
        OTHER_MEETING: Level.NORMAL,
    }
    assert await store.workspaces.move_channel(TEAM, CHANNEL, "C2") == 0


@pytest.mark.parametrize("paused", [False, True])
async def test_of_two_follows_the_one_that_ends_shows_that(store: Store, paused: bool) -> None:
    """No card stays live forever; a paused follow that is there gives way to the one that moves."""
    there = await follow(store, "C2")
    await Channel().work(store)
    if paused:
        await see(store, Episode(phase="live"), Change())
        (card,) = await store.card_queue.claim("announcer", 10, LEASE)
        assert await store.pauses.pause(card, "not_in_channel")
    here = await follow(store)
    await Channel().work(store)

    assert await store.workspaces.move_channel(TEAM, CHANNEL, "C2") == 1

    ended, stays = (there, here) if paused else (here, there)
    (listed,) = await store.follows.in_channel(TEAM, "C2")
    assert listed.follow.id == stays.follow.id
    due = await store.card_queue.claim("announcer", 10, LEASE)
    (card,) = [card for card in due if card.follow.id == ended.follow.id]
    assert (card.follow.state, card.follow.channel_id) == (FollowState.UNFOLLOWED, "C2")
    assert card.needs_edit
    assert card.announcements == ()
    assert card.is_followed_again
    await store.card_queue.mark_rendered(card, card.desired_version, last=True)
    assert await store.card_queue.remove_ended(card.follow)


@pytest.mark.parametrize("how", ["unfollowed", "expired"])
async def test_moved_while_a_card_shows_that_it_is_over(store: Store, clock: Clock, how: str) -> None:
    """A worker that edits it under the old ID has lost its claim, so that it is edited under the new one."""
    await follow(store)
    await Channel().work(store)
    if how == "unfollowed":
        assert await store.follows.unfollow(TEAM, CHANNEL, MEETING, user_id=ANN)
    else:
        clock.advance(31 * 24 * 3600)
        assert await expire(store)
    (card,) = await store.card_queue.claim("announcer", 10, LEASE)

    await store.workspaces.move_channel(TEAM, CHANNEL, "C2")

    with pytest.raises(LeaseLost):
        await store.card_queue.give_up(card)
    clock.advance(LEASE)
    (card,) = await store.card_queue.claim("announcer", 10, LEASE)
    assert (card.follow.channel_id, card.follow.state) == ("C2", how)
    assert card.needs_edit


async def test_what_is_over_still_shows_that_after_the_move(store: Store) -> None:
    """The card of a follow that a person has ended is edited under the new ID, also where another follow is there."""
    await follow(store)
    await Channel().work(store)
    await follow(store, "C2")
    assert await store.follows.unfollow(TEAM, CHANNEL, MEETING, user_id=ANN)

    await store.workspaces.move_channel(TEAM, CHANNEL, "C2")

    due = await store.card_queue.claim("announcer", 10, LEASE)
    assert sorted(card.follow.state for card in due if card.follow.channel_id == "C2") == ["active", "unfollowed"]


async def test_moved_while_a_card_is_on_its_way(store: Store, clock: Clock) -> None:
    """That Slack does not know the old ID any longer pauses nothing."""
    await follow(store)
    (card,) = await store.card_queue.claim("announcer", 10, LEASE)

    await store.workspaces.move_channel(TEAM, CHANNEL, "C2")

    assert await store.pauses.pause(card, "channel_not_found") is None
    clock.advance(LEASE)
    (card,) = await store.card_queue.claim("announcer", 10, LEASE)
    assert card.follow.channel_id == "C2"


async def test_moved_while_a_card_is_edited(store: Store, clock: Clock) -> None:
    """Slack may carry out the holder's edit after the next one, so that one more follows."""
    await follow(store)
    await Channel().work(store)
    await see(store, Episode(phase="live"))
    assert await store.card_queue.claim("announcer", 10, LEASE)

    await store.workspaces.move_channel(TEAM, CHANNEL, "C2")

    assert await store.card_queue.due_in() == LEASE
    clock.advance(LEASE)
    (card,) = await store.card_queue.claim("announcer", 10, LEASE)
    await store.card_queue.mark_rendered(card, card.desired_version, last=True)
    wait = await store.card_queue.due_in()
    assert wait is not None
    clock.advance(wait)
    (card,) = await store.card_queue.claim("announcer", 10, LEASE)
    assert card.may_be_overwritten


async def test_moved_while_a_change_is_announced(store: Store, clock: Clock) -> None:
    """No other worker announces it again until the holder's call has ended and is reported."""
    await follow(store)
    await Channel().work(store)
    await see(store, Episode(phase="live"), Change())
    (card,) = await store.card_queue.claim("announcer", 10, LEASE)

    await store.workspaces.move_channel(TEAM, CHANNEL, "C2")

    assert await store.card_queue.claim("announcer", 10, LEASE) == []
    with pytest.raises(LeaseLost):
        await store.card_queue.mark_sent(card, 1, "1800000000.000009")
    assert await store.card_queue.report_reply(card, 1, "1800000000.000009")
    clock.advance(LEASE)
    (card,) = await store.card_queue.claim("announcer", 10, LEASE)
    assert card.announcements == ()
    assert card.needs_edit


async def test_removal_deletes_everything(store: Store, database: Database) -> None:
    """Follows, cards and announcements are deleted, and the meetings are no longer checked."""
    await follow(store)
    await see(store, Episode(phase="live"), Change())

    assert await store.workspaces.forget(TEAM) == 1

    async with database.read_only() as connection:
        for table in (follows, cards, announcements):
            assert await connection.scalar(sa.select(sa.func.count()).select_from(table)) == 0
    assert await store.meeting_queue.due_in() is None
    assert await store.card_queue.due_in() is None


async def test_removal_spares_other_workspaces(store: Store) -> None:
    """Another workspace that follows the same meeting keeps its follow."""
    await follow(store)
    await store.follows.follow("T2", CHANNEL, MEETING, user_id=ANN, level=Level.NORMAL, episode=Episode())

    await store.workspaces.forget(TEAM)

    assert await store.follows.in_channel(TEAM, CHANNEL) == []
    assert len(await store.follows.in_channel("T2", CHANNEL)) == 1
    assert await store.meeting_queue.refresh_due_in() == 0


async def test_removal_works_in_batches(store: Store) -> None:
    """More follows than fit in one transaction are deleted in several; a repeated removal does no harm."""
    for number in range(_BATCH_SIZE + 1):
        await follow(store, meeting=UUID(int=number + 1))

    assert await store.workspaces.forget(TEAM) == _BATCH_SIZE + 1

    assert await store.workspaces.forget(TEAM) == 0
