"""Delivery of the messages that the bot sends unprompted: paced, timed and counted."""

from collections.abc import Callable, Coroutine, Set
from typing import Any

import structlog
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.clock import Clock, within
from bot.metrics import Metrics
from bot.slack.api_client import TRANSPORT_ERRORS, SlackClient, lost
from bot.slack.errors import (
    Deleted,
    Later,
    MessageGone,
    Paced,
    Refused,
    SlackRateLimited,
    TokenRefused,
    Unconfirmed,
    Undelivered,
    undelivered,
)
from bot.slack.messages.message import Message
from bot.slack.rate_limiter import SlackRateLimiter

__all__ = ["Deleted", "Later", "MessageGone", "Publisher", "Refused", "Undelivered"]

PAGE = 200
"""Channels per page. Slack recommends no more."""
PAGE_SECONDS = 1.5
"""Slack allows about 50 pages a minute."""
MAX_PAGES = 100
PATIENCE_SECONDS = 2.0
"""Longest wait for the token bucket before a call gives up."""

log = structlog.get_logger(__name__)


def _unlimited() -> float:
    return float("inf")


class Publisher:
    """Posts and edits messages, no faster than Slack accepts them."""

    def __init__(self, client: SlackClient, pacing: SlackRateLimiter, clock: Clock, metrics: Metrics) -> None:
        self._client = client
        self._pacing = pacing
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
        raise to abort. Raises Refused, MessageGone, Deleted or Later.
        """
        what = "post" if thread_ts is None else "reply"
        await self._turn(what, lambda: self._pacing.acquire_post(channel))
        arguments: dict[str, Any] = {
            "channel": channel,
            "client_msg_id": client_msg_id,
            "unfurl_links": False,
            "unfurl_media": False,
        }
        if thread_ts is not None:
            arguments |= {"thread_ts": thread_ts, "reply_broadcast": broadcast}
        seconds = time_left()
        return await self._in_time(what, seconds, self._write(what, "chat.postMessage", message, arguments))

    async def edit(
        self,
        channel: str,
        ts: str,
        message: Message,
        patience: float = PATIENCE_SECONDS,
        time_left: Callable[[], float] = _unlimited,
        on_repeat: Callable[[], None] | None = None,
    ) -> None:
        """Replace a message's content, waiting at most `patience` seconds for the token bucket.

        `on_repeat` is called if the connection broke, before the edit is sent again: Slack may carry out the first
        attempt, too, even later. Raises the same errors as `post`.
        """
        await self._turn("edit", lambda: self._pacing.acquire_edit(channel), patience)
        seconds, arguments = time_left(), {"channel": channel, "ts": ts}
        write = self._write("edit", "chat.update", message, arguments, on_repeat)
        await self._in_time("edit", seconds, write)

    async def delete(self, channel: str, ts: str) -> None:
        """Delete a message of the bot's. Raises Undelivered."""
        try:
            await self._client.chat_delete(channel=channel, ts=ts)
        except SlackApiError as error:
            raise undelivered(error) from None
        except TRANSPORT_ERRORS as error:
            raise lost(error) from None

    async def joined(self, channel_ids: Set[str]) -> set[str]:
        """Return those of these channels that the bot is a member of and that are not archived. Raises Undelivered."""
        found: set[str] = set()
        cursor: str | None = None
        for page in range(MAX_PAGES):
            if channel_ids <= found or (page and not cursor):
                break
            if page:
                await self._clock.sleep(PAGE_SECONDS)
            response = await self._channels(cursor)
            found |= {str(channel.get("id")) for channel in response.get("channels") or ()}
            cursor = (response.get("response_metadata") or {}).get("next_cursor")
        return found & channel_ids

    async def _channels(self, cursor: str | None) -> AsyncSlackResponse:
        if code := self._client.access.refused_token:
            raise TokenRefused(code)
        which = {"types": "public_channel,private_channel", "exclude_archived": True, "limit": PAGE}
        if cursor:
            which["cursor"] = cursor
        try:
            return await self._client.api_call("users.conversations", params=which)
        except SlackApiError as error:
            raise undelivered(error) from None
        except TRANSPORT_ERRORS as error:
            raise lost(error) from None

    def edits_ready(self) -> int:
        """Return how many edits the token bucket allows right now."""
        return self._pacing.edits_ready()

    async def _in_time(self, what: str, seconds: float, call: Coroutine[Any, Any, str]) -> str:
        if seconds == float("inf"):
            return await call
        try:
            return await within(self._clock, seconds, call)
        except TimeoutError:
            self._count(what, "unconfirmed")
            raise Unconfirmed("out_of_time") from None

    async def _turn(self, what: str, take: Callable[[], float], patience: float = PATIENCE_SECONDS) -> None:
        if code := self._client.access.refused_token:
            self._count(what, "waiting")
            raise TokenRefused(code)
        waited = 0.0
        while wait := take():
            waited += wait
            if waited > patience:
                self._count(what, "waiting")
                raise Paced("paced", wait)
            await self._clock.sleep(wait)

    async def _write(
        self,
        what: str,
        method: str,
        message: Message,
        arguments: dict[str, Any],
        on_repeat: Callable[[], None] | None = None,
    ) -> str:
        try:
            ts = await self._client.write(method, message, on_repeat=on_repeat, **arguments)
        except Undelivered as error:
            self._count(what, _outcome(error))
            self._note(what, error, arguments["channel"])
            raise
        self._count(what, "sent")
        (self._pacing.edit_accepted if what == "edit" else self._pacing.post_accepted)(arguments["channel"])
        return ts

    def _note(self, what: str, error: Undelivered, channel: str) -> None:
        match error:
            case SlackRateLimited(seconds=float(seconds)) if what == "edit":
                self._pacing.on_edit_limited(seconds, channel)
            case SlackRateLimited(seconds=float(seconds)):
                self._pacing.on_post_limited(channel, seconds)
            case Later(permanent_after=float()):
                log.error("slack_api_error", code=error.code, operation=what, channel=channel)

    def _count(self, what: str, outcome: str) -> None:
        self._metrics.announcements.labels(what, outcome).inc()


def _outcome(error: Undelivered) -> str:
    match error:
        case Unconfirmed():
            return "unconfirmed"
        case Later():
            return "waiting"
    return "refused"
