"""People's actions on follows: follow, unfollow, change the level, list."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol
from uuid import UUID

from bot.domain.failed_calls import Failure, Failures
from bot.domain.follow import DeliveryResult, Follow, FollowState, Level
from bot.domain.transitions import initial
from bot.errors import ChannelRequired, FollowLimitReached, NotFollowing
from bot.realtimekit.lookup import Lookup, observation_of
from bot.store.due_cards import DueCard
from bot.store.follow_list import FollowStatus
from bot.store.follows import StoredFollow
from bot.store.store import Store
from bot.worker import WakeUps

MAX_FOLLOWS = 100
"""The maximum number of meetings that one channel can follow."""
LEASE_SECONDS = 60.0
"""Longer than posting a card takes, including the timeout if Slack does not answer."""


class CardRefused(Exception):
    """Slack permanently refuses the first card, so nothing is followed."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Deliver(Protocol):
    """The announcer's method that posts one card now. A refusal pauses the follow, unless `pause` is False."""

    def __call__(self, card: DueCard, *, pause: bool = True) -> Awaitable[DeliveryResult]: ...


class FollowEffect(Enum):
    """The effect of a request to follow a meeting."""

    POSTED = auto()
    """The follow is new, and its card is posted."""
    QUEUED = auto()
    """The follow is new; its card waits for Slack."""
    RESUMED = auto()
    """The follow was paused and resumes."""
    ALREADY_FOLLOWED = auto()
    """The channel already followed the meeting."""


@dataclass(frozen=True, slots=True)
class FollowResult:
    """The result of a request to follow a meeting."""

    effect: FollowEffect
    follow: Follow
    name: str | None
    """The meeting's."""
    ts: str | None
    """The newest card's message, if the follow already had one."""
    level_changed: bool = False
    """Whether an existing follow's level changed."""
    denied: str | None = None
    """Slack's code if an admin has to let the bot in before the card can be posted."""


@dataclass(frozen=True, slots=True)
class FollowService:
    """The actions of people on follows. They wake this process's announcer and poller."""

    store: Store
    look_up: Callable[[UUID], Awaitable[Lookup]]
    deliver: Deliver
    wake_ups: WakeUps
    worker_id: str
    """This process's name in leases of new cards."""

    async def follow(
        self,
        team_id: str,
        channel_id: str,
        user_id: str,
        meeting_id: UUID,
        level: Level | None = None,
        default: Level = Level.NORMAL,
    ) -> FollowResult:
        """Follow a meeting that Cloudflare knows, in a channel where the bot may post.

        With `level` None an existing follow keeps its level and a new one gets `default`. Raises ChannelRequired,
        FollowLimitReached, CardRefused, a lookup's errors and DatabaseUnavailable; after an error nothing new is
        followed.
        """
        if channel_id.startswith("D"):
            raise ChannelRequired
        before = await self._check_limit(team_id, channel_id, meeting_id)
        lookup = await self.look_up(meeting_id)
        followed = await self.store.follows.follow(
            team_id,
            channel_id,
            meeting_id,
            user_id=user_id,
            level=level or default,
            episode=initial(observation_of(lookup), await self.store.time()),
            worker_id=self.worker_id,
            lease_seconds=LEASE_SECONDS,
        )
        self.wake_ups.poller.set()
        if followed.card is not None:
            effect, denied = await self._post(followed, followed.card)
            return FollowResult(effect, followed.follow, lookup.name, None, denied=denied)
        await self.store.pauses.retry_denied(team_id, channel_id)
        follow = await self._with_level(followed.follow, level)
        changed = follow.level is not followed.follow.level
        self.wake_ups.announcer.set()
        paused = before is not None and before.follow.state is FollowState.PAUSED
        return FollowResult(
            FollowEffect.RESUMED if paused else FollowEffect.ALREADY_FOLLOWED, follow, lookup.name, followed.ts, changed
        )

    async def unfollow(self, team_id: str, channel_id: str, user_id: str, meeting_id: UUID) -> FollowStatus:
        """End the follow, and have its cards show that; return its last state. Raises NotFollowing."""
        listed = await self._find(team_id, channel_id, meeting_id)
        ended = await self.store.follows.unfollow(team_id, channel_id, meeting_id, user_id=user_id)
        if listed is None or ended is None:
            raise NotFollowing
        self.wake_ups.announcer.set()
        return listed

    async def list_follows(self, team_id: str, channel_id: str) -> list[FollowStatus]:
        """Return a channel's follows, oldest first."""
        return await self.store.follows.in_channel(team_id, channel_id)

    async def failing(self, listed: list[FollowStatus]) -> Failure | None:
        """Return the failure that has held up these follows' cards for longest, if any has lasted for some minutes."""
        failures = [Failures.from_dict(stored) for each in listed for stored in each.failing]
        if not failures:
            return None
        now = (await self.store.time()).timestamp()
        lasting = [failure for each in failures for failure in each.lasting(now)]
        return min(lasting, key=lambda failure: failure.first_at, default=None)

    async def set_level(self, team_id: str, channel_id: str, meeting_id: UUID, level: Level) -> Follow:
        """Set the level from the next change on. Raises NotFollowing."""
        follow = await self.store.follows.set_level(team_id, channel_id, meeting_id, level)
        if follow is None:
            raise NotFollowing
        await self.store.pauses.retry_denied(team_id, channel_id)
        self.wake_ups.announcer.set()
        return follow

    async def refresh(self, team_id: str, channel_id: str, meeting_id: UUID) -> Follow:
        """Request a check now, and return the follow; its card is edited if anything has changed. Raises NotFollowing.

        The card of a paused follow stays as it is.
        """
        listed = await self._find(team_id, channel_id, meeting_id)
        if listed is None:
            raise NotFollowing
        await self.store.meeting_queue.request_refresh(meeting_id)
        self.wake_ups.poller.set()
        await self.store.pauses.retry_denied(team_id, channel_id)
        self.wake_ups.announcer.set()
        return listed.follow

    async def resume(self, team_id: str, channel_id: str, reasons: Collection[str] | None = None) -> list[Follow]:
        """Resume the paused follows of a channel where the bot may post again, and have expired ones show their end.

        With `reasons`, that concerns only follows that Slack refused for one of them.
        """
        resumed = await self.store.pauses.resume(team_id, channel_id, reasons)
        await self.store.pauses.retry_denied(team_id, channel_id)
        self.wake_ups.announcer.set()
        if resumed:
            self.wake_ups.poller.set()
        return resumed

    async def move_channel(self, team_id: str, old_id: str, new_id: str) -> int:
        """Move a channel's follows to its new ID, and resume the paused ones there; return how many were moved."""
        moved = await self.store.workspaces.move_channel(team_id, old_id, new_id)
        if moved:
            await self.resume(team_id, new_id)
            self.wake_ups.announcer.set()
        return moved

    async def forget(self, team_id: str) -> int:
        """Delete the follows of a workspace that has removed the app; return how many."""
        return await self.store.workspaces.forget(team_id)

    async def _check_limit(self, team_id: str, channel_id: str, meeting_id: UUID) -> FollowStatus | None:
        """Return the channel's existing follow of this meeting. Raises FollowLimitReached if a new one is too many."""
        followed = {listed.follow.meeting_id: listed for listed in await self.list_follows(team_id, channel_id)}
        if meeting_id not in followed and len(followed) >= MAX_FOLLOWS:
            raise FollowLimitReached
        return followed.get(meeting_id)

    async def _find(self, team_id: str, channel_id: str, meeting_id: UUID) -> FollowStatus | None:
        listed = await self.list_follows(team_id, channel_id)
        return next((each for each in listed if each.follow.meeting_id == meeting_id), None)

    async def _post(self, followed: StoredFollow, card: DueCard) -> tuple[FollowEffect, str | None]:
        """Post the first card; also return Slack's code if an admin has to let the bot in first."""
        delivered = await self.deliver(card, pause=False)
        if delivered.refused is not None:
            if await self.store.follows.retract(followed):
                raise CardRefused(delivered.refused)
            # The lease was lost, so the follow stays, and the announcer handles its card.
        elif delivered.done:
            await self.store.follows.show_followed_again(followed.follow)
            await self.store.pauses.retry_denied(followed.follow.team_id, followed.follow.channel_id)
            self.wake_ups.announcer.set()
            return FollowEffect.POSTED, None
        self.wake_ups.announcer.set()
        return FollowEffect.QUEUED, delivered.denied

    async def _with_level(self, follow: Follow, level: Level | None) -> Follow:
        """Set the level if a different one is requested; return the follow."""
        if level is None or level is follow.level:
            return follow
        changed = await self.store.follows.set_level(follow.team_id, follow.channel_id, follow.meeting_id, level)
        return changed or follow
