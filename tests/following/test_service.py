"""What people do with follows, over a real store, with scripted answers of Cloudflare and Slack."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import UUID

import pytest

from bot.clock import utc
from bot.domain.episode import Phase
from bot.domain.follow import DeliveryResult, FollowState, Level
from bot.errors import (
    ChannelRequired,
    FollowLimitReached,
    MeetingNotFound,
    NotFollowing,
    RealtimeKitError,
    Unreachable,
)
from bot.following.service import MAX_FOLLOWS, CardRefused, FollowEffect, FollowService
from bot.realtimekit.lookup import Lookup
from bot.realtimekit.models import Livestream
from bot.store.due_cards import DueCard
from bot.store.follow_list import FollowStatus
from bot.store.store import Store, open_store
from bot.worker import WakeUps
from sandbox.clock import Clock
from tests.store.helpers import sqlite_with_tables

TEAM, CHANNEL, ANN, BEN = "T1", "C1", "U1", "U2"
MEETING = UUID(int=1)


class NotingEvent(asyncio.Event):
    """An event that records its name whenever it is set."""

    def __init__(self, notes: list[str], name: str) -> None:
        super().__init__()
        self._notes, self._name = notes, name

    def set(self) -> None:
        self._notes.append(self._name)
        super().set()


@dataclass
class World:
    """Scripted answers, with what was requested and which workers were woken."""

    clock: Clock
    store: Store
    trouble: RealtimeKitError | None = None
    delivered: DeliveryResult = field(default_factory=lambda: DeliveryResult(done=True))
    cards: list[tuple[DueCard, bool]] = field(default_factory=list)
    asked: list[UUID] = field(default_factory=list)
    woken: list[str] = field(default_factory=list)

    async def look_up(self, meeting_id: UUID) -> Lookup:
        self.asked.append(meeting_id)
        if self.trouble:
            raise self.trouble
        livestream = Livestream.model_validate({"id": "ls", "name": "All hands", "status": "LIVE"})
        return Lookup(meeting_id, "All hands", livestream, None, utc(self.clock))

    async def deliver(self, card: DueCard, pause: bool = True) -> DeliveryResult:
        self.cards.append((card, pause))
        if self.delivered.done:
            await self.store.card_queue.mark_posted(card, "1800000000.000001", card.desired_version)
            await self.store.card_queue.release(card)
        return self.delivered

    @property
    def following(self) -> FollowService:
        return FollowService(
            store=self.store,
            look_up=self.look_up,
            deliver=self.deliver,
            wake_ups=WakeUps(NotingEvent(self.woken, "announcer"), NotingEvent(self.woken, "poller")),
            worker_id="me",
        )

    async def phases(self, channel: str = CHANNEL) -> list[str]:
        return [listed.phase for listed in await self.following.list_follows(TEAM, channel)]

    async def pause(self, reason: str = "not_in_channel") -> None:
        """Pause the only follow, as the announcer does."""
        await self.store.follows.set_level(TEAM, CHANNEL, MEETING, Level.QUIET)
        (card,) = await self.store.card_queue.claim("announcer", 10, 30)
        await self.store.pauses.pause(card, reason)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    clock = Clock(1_800_000_000.0, speed=0)
    store = await open_store(await sqlite_with_tables(tmp_path / "livestream.db"), clock=clock.now)
    yield World(clock, store)
    await store.close()


async def test_follow_posts_the_card_and_wakes_the_workers(world: World) -> None:
    """The first observation is not announced."""
    result = await world.following.follow(TEAM, CHANNEL, ANN, MEETING)

    assert result.effect is FollowEffect.POSTED
    assert (result.name, result.ts) == ("All hands", None)
    assert result.follow.created_by == ANN
    assert result.follow.level is Level.NORMAL
    assert await world.phases() == ["live"]
    ((card, pause),) = world.cards
    assert card.desired.phase is Phase.LIVE
    assert card.announcements == ()
    assert not pause
    assert world.woken == ["poller", "announcer"]


async def test_unfinished_card_is_due_for_the_announcer_after_its_lease(world: World) -> None:
    world.delivered = DeliveryResult()

    result = await world.following.follow(TEAM, CHANNEL, ANN, MEETING)

    assert result.effect is FollowEffect.QUEUED
    assert world.woken == ["poller", "announcer"]
    assert await world.store.card_queue.claim("announcer", 10, 30) == []
    world.clock.advance(61)
    assert len(await world.store.card_queue.claim("announcer", 10, 30)) == 1


@pytest.mark.parametrize("trouble", [MeetingNotFound(), Unreachable()])
async def test_meeting_whose_lookup_fails_is_not_followed(world: World, trouble: RealtimeKitError) -> None:
    world.trouble = trouble

    with pytest.raises(type(trouble)):
        await world.following.follow(TEAM, CHANNEL, ANN, MEETING)

    assert await world.phases() == []
    assert world.asked == [MEETING]
    assert world.woken == []


async def test_refused_card_leaves_no_follow_and_no_notice(world: World) -> None:
    world.delivered = DeliveryResult(refused="not_in_channel")

    with pytest.raises(CardRefused) as raised:
        await world.following.follow(TEAM, CHANNEL, ANN, MEETING)

    assert raised.value.code == "not_in_channel"
    assert await world.phases() == []
    assert await world.store.pauses.due_notices(10) == []
    assert await world.store.meeting_queue.due_in() is None


async def test_follow_stays_if_its_card_is_refused_after_the_lease(world: World) -> None:
    world.delivered = DeliveryResult(refused="not_in_channel")
    deliver = world.deliver

    async def slowly(card: DueCard, pause: bool = True) -> DeliveryResult:
        world.clock.advance(61)
        assert await world.store.card_queue.claim("another", 10, 60)
        return await deliver(card, pause)

    following = replace(world.following, deliver=slowly)

    result = await following.follow(TEAM, CHANNEL, ANN, MEETING)

    assert result.effect is FollowEffect.QUEUED
    assert await world.phases() == ["live"]
    assert "announcer" in world.woken


async def test_direct_message_cannot_follow(world: World) -> None:
    with pytest.raises(ChannelRequired):
        await world.following.follow(TEAM, "D1", ANN, MEETING)

    assert world.asked == []


async def test_second_follow_returns_the_first_and_its_card(world: World) -> None:
    first = await world.following.follow(TEAM, CHANNEL, ANN, MEETING, Level.LOUD)

    second = await world.following.follow(TEAM, CHANNEL, BEN, MEETING)

    assert second.effect is FollowEffect.ALREADY_FOLLOWED
    assert second.follow == first.follow
    assert second.ts == "1800000000.000001"
    assert len(world.cards) == 1


async def test_second_follow_with_a_level_sets_it(world: World) -> None:
    await world.following.follow(TEAM, CHANNEL, ANN, MEETING, Level.QUIET)

    second = await world.following.follow(TEAM, CHANNEL, BEN, MEETING, Level.LOUD)

    assert second.follow.level is Level.LOUD
    (listed,) = await world.following.list_follows(TEAM, CHANNEL)
    assert listed.follow.level is Level.LOUD
    assert world.woken[-1] == "announcer"


async def test_paused_follow_is_resumed_by_following_again(world: World) -> None:
    await world.following.follow(TEAM, CHANNEL, ANN, MEETING)
    await world.pause()

    again = await world.following.follow(TEAM, CHANNEL, BEN, MEETING)

    assert again.effect is FollowEffect.RESUMED
    assert again.follow.state is FollowState.ACTIVE
    assert await world.store.card_queue.due_in() == 0
    assert world.woken[-1] == "announcer"


async def test_full_channel_can_follow_no_more_meetings(world: World) -> None:
    for number in range(MAX_FOLLOWS):
        await world.following.follow(TEAM, CHANNEL, ANN, UUID(int=number + 1))

    with pytest.raises(FollowLimitReached):
        await world.following.follow(TEAM, CHANNEL, ANN, UUID(int=MAX_FOLLOWS + 1))

    assert (await world.following.follow(TEAM, CHANNEL, ANN, MEETING)).effect is FollowEffect.ALREADY_FOLLOWED
    assert (await world.following.follow(TEAM, "C2", ANN, MEETING)).effect is FollowEffect.POSTED
    assert len(world.asked) == MAX_FOLLOWS + 2


async def test_unfollow_returns_the_follow_and_ends_the_checks(world: World) -> None:
    await world.following.follow(TEAM, CHANNEL, ANN, MEETING)

    listed = await world.following.unfollow(TEAM, CHANNEL, BEN, MEETING)

    assert (listed.name, listed.ts) == ("All hands", "1800000000.000001")
    assert await world.phases() == []
    assert await world.store.meeting_queue.due_in() is None


async def test_meeting_not_followed_in_the_channel_is_rejected(world: World) -> None:
    """Even if another channel follows it."""
    await world.following.follow(TEAM, "C2", ANN, MEETING)
    following = world.following

    for refused in (
        following.unfollow(TEAM, CHANNEL, BEN, MEETING),
        following.set_level(TEAM, CHANNEL, MEETING, Level.LOUD),
        following.refresh(TEAM, CHANNEL, MEETING),
    ):
        with pytest.raises(NotFollowing):
            await refused

    assert await world.phases("C2") == ["live"]


async def test_second_of_two_simultaneous_unfollows_is_rejected(world: World) -> None:
    await world.following.follow(TEAM, CHANNEL, ANN, MEETING)
    listed = await world.following.list_follows(TEAM, CHANNEL)
    await world.following.unfollow(TEAM, CHANNEL, BEN, MEETING)
    world.store.follows.in_channel = lambda *channel: answered(listed)  # type: ignore[method-assign]

    with pytest.raises(NotFollowing):
        await world.following.unfollow(TEAM, CHANNEL, BEN, MEETING)


async def answered(value: list[FollowStatus]) -> list[FollowStatus]:
    return value


async def test_new_level_makes_the_card_due(world: World) -> None:
    await world.following.follow(TEAM, CHANNEL, ANN, MEETING)

    follow = await world.following.set_level(TEAM, CHANNEL, MEETING, Level.QUIET)

    assert follow.level is Level.QUIET
    assert await world.store.card_queue.due_in() == 0
    assert world.woken[-1] == "announcer"


async def test_refresh_requests_a_check_and_wakes_the_workers(world: World) -> None:
    await world.following.follow(TEAM, CHANNEL, ANN, MEETING)
    (meeting,) = await world.store.meeting_queue.claim("poller", 10, 30)
    await world.store.meeting_queue.release(meeting, next_check_in=300)

    await world.following.refresh(TEAM, CHANNEL, MEETING)

    due_in = await world.store.meeting_queue.refresh_due_in()
    assert due_in is not None
    assert due_in <= 2
    assert await world.store.meeting_queue.due_in() == pytest.approx(300, abs=1)
    assert world.woken == ["poller", "announcer"] * 2


async def test_resume_wakes_announcer_and_poller_for_the_channels_follows(world: World) -> None:
    await world.following.follow(TEAM, CHANNEL, ANN, MEETING)
    await world.pause()

    elsewhere = await world.following.resume(TEAM, "C2")
    world.woken.clear()
    here = await world.following.resume(TEAM, CHANNEL)

    assert elsewhere == []
    assert [follow.meeting_id for follow in here] == [MEETING]
    assert world.woken == ["announcer", "poller"]
    assert await world.store.card_queue.due_in() == 0


async def test_forget_deletes_only_this_workspaces_follows(world: World) -> None:
    await world.following.follow(TEAM, CHANNEL, ANN, MEETING)
    await world.following.follow("T2", CHANNEL, ANN, MEETING)

    assert await world.following.forget(TEAM) == 1

    assert await world.phases() == []
    assert len(await world.following.list_follows("T2", CHANNEL)) == 1
