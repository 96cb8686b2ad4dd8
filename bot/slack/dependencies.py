"""The dependencies of listeners."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from bot.errors import StillConnecting
from bot.following.service import FollowService
from bot.realtimekit.lookup import Lookup
from bot.slack.in_flight import InFlightRequests
from bot.slack.installation import Installation
from bot.slack.payloads import Request
from bot.slack.rate_limiter import UserRateLimiter
from bot.slack.responder import Responder
from bot.wording import Wording

REQUEST_SECONDS = 5.0
"""How long a request waits for Slack to report the bot's installation, which says who is of another workspace."""


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The dependencies of listeners, built once at startup."""

    look_up: Callable[[UUID], Awaitable[Lookup]]
    responder: Responder
    in_flight: InFlightRequests
    following: FollowService
    installation: Callable[[float], Awaitable[Installation | None]]
    """Returns the bot's installation, or None if Slack does not report it within this many seconds."""
    is_token_refused: Callable[[], Awaitable[bool]]
    """Returns whether Slack refuses the bot token as it does after a removal. Raises SlackUnreachable."""
    permalink: Callable[[str, str], str | None]
    """Returns the link to a message, by channel ID and ts, or None until the workspace's address is known."""
    user_limit: UserRateLimiter = field(default_factory=UserRateLimiter)
    wording: Callable[[], Wording] = Wording
    """Returns the command's and the bot's names in this workspace."""
    sleep: Callable[[float], Coroutine[Any, Any, None]] = asyncio.sleep
    access_problem: Callable[[], str | None] = lambda: None
    """Returns Slack's error code while it refuses the bot token or a permission that the bot needs."""

    async def resolve(self, request: Request) -> Request:
        """Return the request under the installation's ID, marked as a member's or an outsider's.

        All that concerns follows, or posts, needs this. Raises StillConnecting if Slack does not report the
        installation in time.
        """
        installation = await self.installation(REQUEST_SECONDS)
        if installation is None:
            raise StillConnecting
        return installation.resolve(request)
