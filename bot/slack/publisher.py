"""The one sender of the bot's messages: it writes no faster than Slack accepts, and reports Slack's limits."""

from collections.abc import Callable, Set
from math import inf
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
    NotSent,
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
MAX_PERSON_WAIT_SECONDS = 5.0
"""How long a person waits for a token bucket or for Slack's rate limit, at most."""
_EDIT = "chat.update"

log = structlog.get_logger(__name__)


class DeadlinePassed(Exception):
    """The call was not made, because its deadline had passed, as after a pause of the process."""


class Publisher:
    """The sender of everything that a channel or a thread shows.

    What the bot sends unprompted is counted, and has half of each token bucket to itself. What a person has requested
    is sent by the methods `..._for_person`, which wait and repeat as a person would.
    """

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
        deadline: float = inf,
    ) -> str:
        """Post a message, or a reply in a thread (`broadcast` shows it in the channel too), and return its ts.

        The call neither begins after the `deadline`, in monotonic time, nor outlives it. Raises DeadlinePassed,
        PermanentError, MessageNotFound, MessageDeleted or TransientError.
        """
        arguments: dict[str, Any] = {"channel": channel, "client_msg_id": client_msg_id}
        arguments |= {"unfurl_links": False, "unfurl_media": False}
        if thread_ts is not None:
            arguments |= {"thread_ts": thread_ts, "reply_broadcast": broadcast}
        operation = "post" if thread_ts is None else "reply"
        return await self._deliver(operation, "chat.postMessage", message, arguments, deadline=deadline)

    async def edit(
        self, channel: str, ts: str, message: Message, max_wait: float = MAX_WAIT_SECONDS, *, deadline: float = inf
    ) -> None:
        """Replace a message's content, waiting at most `max_wait` seconds for the token bucket.

        Raises the same errors as `post`.
        """
        await self._deliver("edit", _EDIT, message, {"channel": channel, "ts": ts}, max_wait, deadline=deadline)

    async def post_for_person(self, channel: str, message: Message, client_msg_id: str) -> None:
        """Post a message that a person has requested. Raises DeliveryError."""
        arguments = {"channel": channel, "client_msg_id": client_msg_id, "unfurl_links": False}
        await self._deliver_for_person("chat.postMessage", message, arguments)

    async def edit_for_person(self, channel: str, ts: str, message: Message) -> None:
        """Replace the content of a message whose button a person has pressed. Raises DeliveryError."""
        await self._deliver_for_person(_EDIT, message, {"channel": channel, "ts": ts})

    async def post_to_person(self, channel: str, user: str, message: Message) -> None:
        """Post a message that only this person sees in the channel. Raises DeliveryError."""
        await self._deliver_for_person("chat.postEphemeral", message, {"channel": channel, "user": user})

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
        self._check_token()
        params = {"types": "public_channel,private_channel", "exclude_archived": True, "limit": PAGE_SIZE}
        if cursor:
            params["cursor"] = cursor
        return await self._client.call("users.conversations", params=params)

    def edits_ready(self) -> int:
        """Return how many edits the token bucket allows right now."""
        return self._rate_limiter.edits_ready()

    async def _deliver(
        self,
        operation: str,
        method: str,
        message: Message,
        arguments: dict[str, Any],
        max_wait: float = MAX_WAIT_SECONDS,
        *,
        deadline: float,
    ) -> str:
        try:
            self._check_token()
            await self._acquire(method, arguments["channel"], max_wait)
            ts = await self._write(method, message, arguments, deadline)
        except DeliveryError as error:
            self._on_error(operation, arguments["channel"], error)
            raise
        self._count(operation, "sent")
        return ts

    async def _deliver_for_person(self, method: str, message: Message, arguments: dict[str, Any]) -> None:
        """Send once more after a short rate limit, or if nothing was sent.

        A person's request also finds out whether Slack accepts the bot token again.
        """
        await self._acquire(method, arguments["channel"], MAX_PERSON_WAIT_SECONDS, spare=True)
        try:
            await self._write(method, message, arguments)
            return
        except SlackRateLimited as error:
            if error.seconds is None or error.seconds > MAX_PERSON_WAIT_SECONDS:
                raise
            await self._clock.sleep(error.seconds)
        except NotSent:
            pass  # nothing was sent, so one more attempt is safe
        await self._write(method, message, arguments)

    def _check_token(self) -> None:
        if code := self._client.token_health.refused_token:
            raise TokenRejected(code)

    async def _acquire(self, method: str, channel: str, max_wait: float, *, spare: bool = False) -> None:
        """Wait for a token. Raises Throttled if that takes longer than `max_wait` seconds."""
        limiter = self._rate_limiter
        acquire: Callable[..., float] = limiter.acquire_edit if method == _EDIT else limiter.acquire_post
        waited = 0.0
        while wait := acquire(channel, spare=spare):
            waited += wait
            if waited > max_wait:
                raise Throttled("throttled", wait)
            await self._clock.sleep(wait)

    async def _write(self, method: str, message: Message, arguments: dict[str, Any], deadline: float = inf) -> str:
        channel, is_edit = arguments["channel"], method == _EDIT
        seconds = deadline - self._clock.monotonic()
        if seconds <= 0:
            raise DeadlinePassed
        write = self._client.write(method, message, **arguments)
        try:
            ts = await (write if deadline == inf else within(self._clock, seconds, write))
        except TimeoutError:
            raise Unconfirmed("out_of_time") from None
        except SlackRateLimited as error:
            if error.seconds is not None and is_edit:
                self._rate_limiter.on_edit_limited(error.seconds, channel)
            elif error.seconds is not None:
                self._rate_limiter.on_post_limited(channel, error.seconds)
            raise
        (self._rate_limiter.edit_accepted if is_edit else self._rate_limiter.post_accepted)(channel)
        return ts

    def _on_error(self, operation: str, channel: str, error: DeliveryError) -> None:
        self._count(operation, _outcome(error))
        if isinstance(error, TransientError) and error.permanent_after is not None:
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
