"""Get what the bot says of its own accord to Slack, and say what came of it."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from slack_sdk.errors import SlackApiError

from bot.clock import Clock
from bot.metrics import Metrics
from bot.slack.client import OUTAGES, RATE_LIMITED, TRANSPORT_ERRORS, SlackClient, error_code
from bot.slack.messages import Message
from bot.slack.pacing import Pacing

PATIENCE_SECONDS = 2.0
"""A turn that comes so soon is waited for."""
RETRY_AFTER_SECONDS = 30.0
"""How long to wait where Slack says that, and not how long."""
LONGEST_RETRY_AFTER = 30 * 60.0

GONE = frozenset({"message_not_found", "thread_not_found", "cant_update_message", "cannot_reply_to_message"})
DUPLICATE = frozenset({"duplicate_message_not_found", "duplicate_channel_not_found"})
REFUSALS = frozenset(
    {
        "not_in_channel",
        "channel_not_found",
        "is_archived",
        "is_inactive",
        "restricted_action",
        "restricted_action_read_only_channel",
        "restricted_action_thread_only_channel",
        "restricted_action_non_threadable_channel",
        "restricted_action_thread_locked",
        "user_not_found",
        "user_disabled",
        "cannot_dm_bot",
        "messages_tab_disabled",
    }
)
UNREADABLE = frozenset({"invalid_blocks", "invalid_blocks_format", "invalid_attachments", "msg_blocks_too_long"})

_TS = re.compile(r"\d{1,20}\.\d{1,20}", re.ASCII)

log = structlog.get_logger(__name__)


class Undelivered(Exception):
    """Slack did not do it. `code` is Slack's word for why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Refused(Undelivered):
    """It will not, however often it is asked, until somebody changes something in Slack."""


class MessageGone(Undelivered):
    """The message that was to be edited, or in whose thread it was to be told, is not there."""


class Deleted(MessageGone):
    """This very message was posted before, and has been deleted since."""


class Later(Undelivered):
    """It is to be asked again: with the same `client_msg_id`, since it may have happened."""

    def __init__(self, code: str, seconds: float | None = None) -> None:
        super().__init__(code)
        self.seconds = seconds
        """How long to wait; None where nobody says, and who asks waits longer each time."""


class Delivery:
    """Posts and edits, no faster than Slack takes it."""

    def __init__(self, client: SlackClient, pacing: Pacing, clock: Clock, metrics: Metrics) -> None:
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
        broadcast: bool = False,
    ) -> str:
        """Post a message, or a reply in a thread, that `broadcast` shows in the channel too; its ts.

        Raises Refused, MessageGone, Deleted or Later.
        """
        what = "post" if thread_ts is None else "reply"
        await self._turn(what, lambda: self._pacing.post(channel))
        arguments: dict[str, Any] = {
            "channel": channel,
            "client_msg_id": client_msg_id,
            "unfurl_links": False,
            "unfurl_media": False,
        }
        if thread_ts is not None:
            arguments |= {"thread_ts": thread_ts, "reply_broadcast": broadcast}
        return await self._write(what, self._client.chat_postMessage, message, arguments)

    async def edit(self, channel: str, ts: str, message: Message, patience: float = PATIENCE_SECONDS) -> None:
        """Let a message show this instead; a turn that comes within `patience` seconds is waited for. Raises as `post`
        does."""
        await self._turn("edit", self._pacing.edit, patience)
        await self._write("edit", self._client.chat_update, message, {"channel": channel, "ts": ts})

    async def _turn(self, what: str, take: Callable[[], float], patience: float = PATIENCE_SECONDS) -> None:
        waited = 0.0
        while wait := take():
            waited += wait
            if waited > patience:
                self._count(what, "waiting")
                raise Later("paced", wait)
            await self._clock.sleep(wait)

    async def _write(
        self, what: str, call: Callable[..., Awaitable[Any]], message: Message, arguments: dict[str, Any]
    ) -> str:
        try:
            return await self._call(what, call, message, arguments)
        except _Unreadable as error:
            # Whatever is wrong with it, its text says everything, and nothing behind it has to wait.
            log.warning("blocks_refused", code=error.code, what=what, channel=arguments["channel"])
        try:
            return await self._call(what, call, Message(message.text), arguments)
        except _Unreadable as error:
            self._count(what, "waiting")
            raise Later(error.code) from None

    async def _call(
        self, what: str, call: Callable[..., Awaitable[Any]], message: Message, arguments: dict[str, Any]
    ) -> str:
        try:
            response = await call(text=message.text, blocks=list(message.blocks), **arguments)
        except SlackApiError as error:
            raise self._understood(what, error, arguments["channel"]) from None
        except TRANSPORT_ERRORS as error:
            self._count(what, "unconfirmed")
            raise Later(type(error).__name__) from None
        ts = str(response.get("ts"))
        if not _TS.fullmatch(ts):
            self._count(what, "unconfirmed")
            raise Later("answer_without_ts")
        self._count(what, "sent")
        return ts

    def _understood(self, what: str, error: SlackApiError, channel: str) -> Undelivered:
        code = error_code(error)
        if code in RATE_LIMITED:
            return self._told_to_wait(what, code, channel, error.response.headers)
        if code in UNREADABLE:
            return _Unreadable(code)
        if code in OUTAGES:
            self._count(what, "unconfirmed")
            return Later(code)
        kind = _kind(code)
        self._count(what, "waiting" if kind is Later else "refused")
        if kind is Later:
            log.error("slack_refused", code=code, what=what, channel=channel)
        return kind(code)

    def _told_to_wait(self, what: str, code: str, channel: str, headers: Any) -> Later:
        seconds = _retry_after(headers)
        if what == "edit":
            self._pacing.edit_refused(seconds)
        else:
            self._pacing.post_refused(channel, seconds)
        self._count(what, "waiting")
        return Later(code, seconds)

    def _count(self, what: str, outcome: str) -> None:
        self._metrics.announcements.labels(what, outcome).inc()


class _Unreadable(Undelivered):
    """Slack does not take the blocks."""


def _kind(code: str) -> type[Undelivered]:
    if code in REFUSALS:
        return Refused
    if code in DUPLICATE:
        return Deleted
    # Whatever else it is, whoever runs the bot may mend it: nothing is dropped.
    return MessageGone if code in GONE else Later


def _retry_after(headers: Any) -> float:
    value = str(headers.get("Retry-After", ""))
    seconds = float(value) if value.isascii() and value.isdigit() else RETRY_AFTER_SECONDS
    return min(max(seconds, 1.0), LONGEST_RETRY_AFTER)
