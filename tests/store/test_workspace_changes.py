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
    claim,
    expire,
    follow,
    follow_and_post,
    see,
)


async def test_channel_moves_with_its_follows_and_threads(store: Store) -> None:
    await follow(store)
    await follow_and_post(store, "C9")

    assert await store.workspaces.move_channel(TEAM, CHANNEL, "C2") == 1

    assert await store.follows.in_channel(TEAM, CHANNEL) == []
    (listed,) = await store.follows.in_channel(TEAM, "C2")
    assert listed.ts is not None
    await see(store, Episode(phase="live"))
    due = await store.card_queue.claim("announcer", 10, LEASE)
    assert sorted(card.follow.channel_id for card in due) == ["C2", "C9"]


async def test_follow_that_exists_under_the_new_id_stays_as_it_is(store: Store) -> None:
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
async def test_of_two_follows_of_a_meeting_only_the_active_one_stays(store: Store, paused: bool) -> None:
    there = await follow(store, "C2")
    await Channel().work(store)
    if paused:
        await see(store, Episode(phase="live"), Change())
        card = await claim(store)
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
async def test_card_that_shows_an_end_is_edited_under_the_new_id(store: Store, clock: Clock, how: str) -> None:
    await follow_and_post(store)
    if how == "unfollowed":
        assert await store.follows.unfollow(TEAM, CHANNEL, MEETING, user_id=ANN)
    else:
        clock.advance(31 * 24 * 3600)
        assert await expire(store)
    card = await claim(store)

    await store.workspaces.move_channel(TEAM, CHANNEL, "C2")

    with pytest.raises(LeaseLost):
        await store.card_queue.give_up(card)
    clock.advance(LEASE)
    card = await claim(store)
    assert (card.follow.channel_id, card.follow.state) == ("C2", how)
    assert card.needs_edit


async def test_ended_follow_shows_its_end_under_an_id_where_another_follow_is(store: Store) -> None:
    await follow_and_post(store)
    await follow(store, "C2")
    assert await store.follows.unfollow(TEAM, CHANNEL, MEETING, user_id=ANN)

    await store.workspaces.move_channel(TEAM, CHANNEL, "C2")

    due = await store.card_queue.claim("announcer", 10, LEASE)
    assert sorted(card.follow.state for card in due if card.follow.channel_id == "C2") == ["active", "unfollowed"]


async def test_refusal_for_the_old_id_pauses_nothing_after_the_move(store: Store, clock: Clock) -> None:
    await follow(store)
    card = await claim(store)

    await store.workspaces.move_channel(TEAM, CHANNEL, "C2")

    assert await store.pauses.pause(card, "channel_not_found") is None
    clock.advance(LEASE)
    card = await claim(store)
    assert card.follow.channel_id == "C2"


async def test_card_edited_during_the_move_is_edited_once_more(store: Store, clock: Clock) -> None:
    """Slack may carry out the holder's edit after the next one, so that one more follows."""
    await follow_and_post(store)
    await see(store, Episode(phase="live"))
    assert await store.card_queue.claim("announcer", 10, LEASE)

    await store.workspaces.move_channel(TEAM, CHANNEL, "C2")

    assert await store.card_queue.due_in() == LEASE
    clock.advance(LEASE)
    card = await claim(store)
    await store.card_queue.mark_rendered(card, card.desired_version, last=True)
    wait = await store.card_queue.due_in()
    assert wait is not None
    clock.advance(wait)
    card = await claim(store)
    assert card.may_be_overwritten


async def test_change_announced_during_the_move_is_not_announced_again(store: Store, clock: Clock) -> None:
    await follow_and_post(store)
    await see(store, Episode(phase="live"), Change())
    card = await claim(store)

    await store.workspaces.move_channel(TEAM, CHANNEL, "C2")

    assert await store.card_queue.claim("announcer", 10, LEASE) == []
    with pytest.raises(LeaseLost):
        await store.card_queue.mark_sent(card, 1, "1800000000.000009")
    assert await store.card_queue.report_reply(card, 1, "1800000000.000009")
    clock.advance(LEASE)
    card = await claim(store)
    assert card.announcements == ()
    assert card.needs_edit


async def test_removal_deletes_follows_and_ends_checks(store: Store, database: Database) -> None:
    await follow(store)
    await see(store, Episode(phase="live"), Change())

    assert await store.workspaces.forget(TEAM) == 1

    async with database.read_only() as connection:
        for table in (follows, cards, announcements):
            assert await connection.scalar(sa.select(sa.func.count()).select_from(table)) == 0
    assert await store.meeting_queue.due_in() is None
    assert await store.card_queue.due_in() is None


async def test_removal_spares_other_workspaces_that_follow_the_meeting(store: Store) -> None:
    await follow(store)
    await store.follows.follow("T2", CHANNEL, MEETING, user_id=ANN, level=Level.NORMAL, episode=Episode())

    await store.workspaces.forget(TEAM)

    assert await store.follows.in_channel(TEAM, CHANNEL) == []
    assert len(await store.follows.in_channel("T2", CHANNEL)) == 1
    assert await store.meeting_queue.refresh_due_in() == 0


async def test_removal_works_in_batches_and_can_be_repeated(store: Store) -> None:
    for number in range(_BATCH_SIZE + 1):
        await follow(store, meeting=UUID(int=number + 1))

    assert await store.workspaces.forget(TEAM) == _BATCH_SIZE + 1

    assert await store.workspaces.forget(TEAM) == 0
