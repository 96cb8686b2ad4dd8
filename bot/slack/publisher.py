"""Delivery of the messages that the bot sends unprompted: rate-limited, timed and counted."""

from collections.abc import Callable, Coroutine, Set
from typing import Any

import structlog
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.clock import Clock, within
from bot.metrics import Metrics
from bot.slack.api_client import SlackClient
from bot.slack.errors import (
    DeliveryError,
    MessageDeleted,
    MessageNotFound,
    PermanentError,
    SlackRateLimited,
    Throttled,
    TokenRejected,
    TransientError,
    Unconfirmed,
)
from bot.slack.messages.message import Message
from bot.slack.rate_limiter import SlackRateLimiter

__all__ = ["DeliveryError", "MessageDeleted", "MessageNotFound", "PermanentError", "Publisher", "TransientError"]

PAGE_SIZE = 200
"""Channels per page. Slack recommends no more."""
PAGE_INTERVAL_SECONDS = 1.5
"""Slack allows about 50 pages a minute."""
MAX_PAGES = 100
MAX_WAIT_SECONDS = 2.0
"""How long a call waits for the token bucket before it gives up."""

log = structlog.get_logger(__name__)


def _unlimited() -> float:
    return float("inf")


class Publisher:
    """The sender of messages that no one requested: it posts and edits no faster than Slack accepts."""

    def __init__(self, client: SlackClient, rate_limiter: SlackRateLimiter, clock: Clock, metrics: Metrics) -> None:
        self._client = client
        self._rate_limiter = rate_limiter
        self._clock = clock
        self._metrics = metrics

    async def post(
        self,
        channel: str,
        message: Message,
        client_msg_id: str,
        thread_ts: str | None = None,
        *,
        broadcast: bool = False,
        time_left: Callable[[], float] = _unlimited,
    ) -> str:
        """Post a message, or a reply in a thread (`broadcast` shows it in the channel too), and return its ts.

        `time_left` returns how many seconds the call may take. It is called right before the call to Slack, and may
        raise to abort. Raises PermanentError, MessageNotFound, MessageDeleted or TransientError.
        """
        operation = "post" if thread_ts is None else "reply"
        await self._acquire(operation, lambda: self._rate_limiter.acquire_post(channel))
        arguments: dict[str, Any] = {
            "channel": channel,
            "client_msg_id": client_msg_id,
            "unfurl_links": False,
            "unfurl_media": False,
        }
        if thread_ts is not None:
            arguments |= {"thread_ts": thread_ts, "reply_broadcast": broadcast}
        seconds, write = time_left(), self._write(operation, "chat.postMessage", message, arguments)
        return await self._with_deadline(operation, seconds, write)

    async def edit(
        self,
        channel: str,
        ts: str,
        message: Message,
        max_wait: float = MAX_WAIT_SECONDS,
        time_left: Callable[[], float] = _unlimited,
        on_repeat: Callable[[], None] | None = None,
    ) -> None:
        """Replace a message's content, waiting at most `max_wait` seconds for the token bucket.

        `on_repeat` is called if the connection broke, before the edit is sent again: Slack may still carry out the
        first attempt, even after the second. Raises the same errors as `post`.
        """
        await self._acquire("edit", lambda: self._rate_limiter.acquire_edit(channel), max_wait)
        seconds, arguments = time_left(), {"channel": channel, "ts": ts}
        write = self._write("edit", "chat.update", message, arguments, on_repeat)
        await self._with_deadline("edit", seconds, write)

    async def delete(self, channel: str, ts: str) -> None:
        """Delete one of the bot's messages. Raises DeliveryError."""
        await self._client.call("chat.delete", params={"channel": channel, "ts": ts})

    async def joined_channels(self, channel_ids: Set[str]) -> set[str]:
        """Return which of these channels the bot is a member of, without archived ones. Raises DeliveryError."""
        found: set[str] = set()
        cursor: str | None = None
        for page in range(MAX_PAGES):
            if channel_ids <= found or (page and not cursor):
                break
            if page:
                await self._clock.sleep(PAGE_INTERVAL_SECONDS)
            response = await self._channels(cursor)
            found |= {str(channel.get("id")) for channel in response.get("channels") or ()}
            cursor = (response.get("response_metadata") or {}).get("next_cursor")
        return found & channel_ids

    async def _channels(self, cursor: str | None) -> AsyncSlackResponse:
        if code := self._client.token_health.refused_token:
            raise TokenRejected(code)
        params = {"types": "public_channel,private_channel", "exclude_archived": True, "limit": PAGE_SIZE}
        if cursor:
            params["cursor"] = cursor
        return await self._client.call("users.conversations", params=params)

    def edits_ready(self) -> int:
        """Return how many edits the token bucket allows right now."""
        return self._rate_limiter.edits_ready()

    async def _with_deadline(self, operation: str, seconds: float, call: Coroutine[Any, Any, str]) -> str:
        if seconds == float("inf"):
            return await call
        try:
            return await within(self._clock, seconds, call)
        except TimeoutError:
            self._count(operation, "unconfirmed")
            raise Unconfirmed("out_of_time") from None

    async def _acquire(self, operation: str, acquire: Callable[[], float], max_wait: float = MAX_WAIT_SECONDS) -> None:
        if code := self._client.token_health.refused_token:
            self._count(operation, "waiting")
            raise TokenRejected(code)
        waited = 0.0
        while wait := acquire():
            waited += wait
            if waited > max_wait:
                self._count(operation, "waiting")
                raise Throttled("throttled", wait)
            await self._clock.sleep(wait)

    async def _write(
        self,
        operation: str,
        method: str,
        message: Message,
        arguments: dict[str, Any],
        on_repeat: Callable[[], None] | None = None,
    ) -> str:
        try:
            ts = await self._client.write(method, message, on_repeat=on_repeat, **arguments)
        except DeliveryError as error:
            self._count(operation, _outcome(error))
            self._on_error(operation, error, arguments["channel"])
            raise
        self._count(operation, "sent")
        accepted = self._rate_limiter.edit_accepted if operation == "edit" else self._rate_limiter.post_accepted
        accepted(arguments["channel"])
        return ts

    def _on_error(self, operation: str, error: DeliveryError, channel: str) -> None:
        match error:
            case SlackRateLimited(seconds=float(seconds)) if operation == "edit":
                self._rate_limiter.on_edit_limited(seconds, channel)
            case SlackRateLimited(seconds=float(seconds)):
                self._rate_limiter.on_post_limited(channel, seconds)
            case TransientError(permanent_after=float()):
                log.error("slack_api_error", code=error.code, operation=operation, channel=channel)

    def _count(self, operation: str, outcome: str) -> None:
        self._metrics.announcements.labels(operation, outcome).inc()


def _outcome(error: DeliveryError) -> str:
    match error:
        case Unconfirmed():
            return "unconfirmed"
        case TransientError():
            return "waiting"
    return "refused"
