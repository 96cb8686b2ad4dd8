"""Delivery of replies to commands and clicks."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable
from types import UnionType
from typing import Any

import aiohttp
import structlog
from cachetools import TTLCache

from bot.clock import Clock
from bot.errors import (
    ChannelArchived,
    DirectMessageNotSupported,
    NotInChannel,
    SlackAccessDenied,
    SlackBusy,
    SlackError,
    SlackRejected,
    SlackUnconfirmed,
    SlackUnreachable,
)
from bot.realtimekit.lookup import ANSWER_SECONDS
from bot.slack.api_client import NOT_CONNECTED, TIMEOUT_SECONDS, TRANSPORT_ERRORS, SlackClient
from bot.slack.errors import (
    ContentRejected,
    DeliveryError,
    NotSent,
    SlackRateLimited,
    Throttled,
    TokenRejected,
    Unconfirmed,
    error_class,
    retry_after,
)
from bot.slack.messages import lookup_card
from bot.slack.messages.message import Message
from bot.slack.payloads import Request
from bot.slack.publisher import MAX_PERSON_WAIT_SECONDS, Publisher

MAX_NOTE_SECONDS = 3.0
"""How long an answer waits for the note that is being sent before it."""
SLOW_AFTER_SECONDS = 1.5
MAX_BODY_BYTES = 2_000
_EDIT_CACHE_SIZE = 1_000
RESPONSE_URL = "response_url"
OK, UNCONFIRMED, NOT_SENT = "ok", "unconfirmed", "not_sent"

STILL_CHECKING = "Cloudflare is slow to answer right now. Hang on, I'm still checking."

log = structlog.get_logger(__name__)


class Responder:
    """The sender of answers to people: private ones by response_url, public ones by the publisher."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        client: SlackClient,
        publisher: Publisher,
        clock: Clock,
        slow_after: float = SLOW_AFTER_SECONDS,
    ) -> None:
        """Create the sender.

        After `slow_after` real seconds without an answer the person gets a note that the bot is still checking.
        """
        self._session = session
        self._client = client
        self._publisher = publisher
        self._clock = clock
        self._slow_after = slow_after
        self._edits: TTLCache[tuple[str, str], tuple[Message, asyncio.Task[None]]] = TTLCache(
            _EDIT_CACHE_SIZE, ANSWER_SECONDS, clock.monotonic
        )
        """The last edit of each message, by channel ID and ts."""

    async def respond(self, request: Request, message: Message, *, replace: bool = False) -> None:
        """Send a message that only the requester sees; `replace` puts it in place of the message with the button.

        A response_url is valid for 30 minutes and 5 uses, so an ephemeral message is the fallback. If that fails too,
        log it: no way to reach the person is left.
        """
        outcome = await self._send_privately(request, message, replace=replace)
        if outcome == UNCONFIRMED:
            # Slack may already show the message; a duplicate would only confuse.
            log.info("reply_unconfirmed")
        elif outcome != OK:
            log.warning("response_url_failed", outcome=outcome)
            await self._post_ephemeral(request, message)

    @contextlib.asynccontextmanager
    async def note_if_slow(self, request: Request) -> AsyncIterator[None]:
        """Send a note that the bot is still checking if the block takes long.

        The note is a separate message and stays: a command's response_url cannot replace what it posted
        (slackapi/bolt-python#1268), and after a click the note must not replace the card.
        """
        sending: list[asyncio.Task[None]] = []
        timer = asyncio.get_running_loop().call_later(
            self._slow_after, lambda: sending.append(asyncio.create_task(self._send_note(request)))
        )
        try:
            yield
        finally:
            timer.cancel()
            # The answer must not overtake a note that is on its way to Slack.
            for task in sending:
                await asyncio.wait({task}, timeout=MAX_NOTE_SECONDS)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _send_note(self, request: Request) -> None:
        outcome = await self._send_privately(request, lookup_card.notice(STILL_CHECKING), replace=False)
        log.info("slow_lookup_noted", outcome=outcome)

    async def _send_privately(self, request: Request, message: Message, *, replace: bool) -> str:
        """Send the message by response_url, its text alone if Slack rejects the blocks; return `_respond`'s result."""
        payload = {"response_type": "ephemeral", "replace_original": replace, **_content(message)}
        outcome = await self._respond(request.response_url, payload)
        if error_class(outcome) is ContentRejected:
            log.warning("blocks_rejected", code=outcome, method=RESPONSE_URL, channel=request.channel_id)
            outcome = await self._respond(request.response_url, {**payload, "blocks": []})
        return outcome

    async def delete_original(self, request: Request) -> None:
        """Remove the message whose button was pressed."""
        outcome = await self._respond(request.response_url, {"delete_original": True})
        if outcome != OK:
            log.warning("response_url_failed", outcome=outcome)

    async def edit(self, channel_id: str, ts: str, message: Message) -> None:
        """Edit a public message of the bot's. Raises the same errors as `post`.

        A crowd that presses one card's *Refresh* gets one answer of Cloudflare's, so it shares one edit, and its error.
        """
        content, editing = self._edits.get((channel_id, ts), (None, None))
        has_failed = editing is not None and editing.done() and (editing.cancelled() or editing.exception() is not None)
        if editing is None or content != message or has_failed:
            edit = self._publisher.edit_for_person(channel_id, ts, message)
            editing = asyncio.create_task(_raising_for_people(channel_id, edit), name="edit for people")
            self._edits[channel_id, ts] = message, editing
        await asyncio.shield(editing)

    async def post(self, channel_id: str, message: Message, *, client_msg_id: str) -> None:
        """Post a message that everyone in the channel sees.

        `client_msg_id` identifies this one post: where Slack honors it, a post sent twice appears once. Raises
        NotInChannel, DirectMessageNotSupported, ChannelArchived, SlackBusy, SlackUnconfirmed, SlackUnreachable,
        SlackAccessDenied or SlackRejected.
        """
        await _raising_for_people(channel_id, self._publisher.post_for_person(channel_id, message, client_msg_id))

    async def _respond(self, url: str, payload: dict[str, Any]) -> str:
        """Post to a response_url; return OK, UNCONFIRMED, or a code for what went wrong.

        A payload that replaces or deletes a message is safe to send twice, so it is repeated if it got no answer. A
        new message would appear twice: it uses a new connection, and is repeated only if nothing was sent.
        """
        is_repeatable = bool(payload.get("replace_original") or payload.get("delete_original"))
        outcome = await self._post_once(self._session if is_repeatable else self._client.fresh_session, url, payload)
        if isinstance(outcome, float) and outcome <= MAX_PERSON_WAIT_SECONDS:
            await self._clock.sleep(outcome)
        elif not (outcome == NOT_SENT or (outcome == UNCONFIRMED and is_repeatable)):
            return _outcome_code(outcome)
        return _outcome_code(await self._post_once(self._client.fresh_session, url, payload))

    async def _post_once(self, session: aiohttp.ClientSession, url: str, payload: dict[str, Any]) -> str | float:
        """Post once; return OK, UNCONFIRMED, NOT_SENT, the seconds to wait, or a code for what went wrong."""
        try:
            async with (
                asyncio.timeout(TIMEOUT_SECONDS),
                session.post(url, json=payload, allow_redirects=False) as response,
            ):
                body = (await response.content.read(MAX_BODY_BYTES)).decode("utf-8", "replace")
                outcome: str | float = _response_url_outcome(response.status, body, response.headers)
        except NOT_CONNECTED:
            outcome = NOT_SENT
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError, ValueError) as error:
            outcome = type(error).__name__
        except TRANSPORT_ERRORS:
            outcome = UNCONFIRMED
        code = _outcome_code(outcome)
        self._client.count_call(RESPONSE_URL, code if code in (OK, "ratelimited") else "failed")
        return outcome

    async def _post_ephemeral(self, request: Request, message: Message) -> None:
        try:
            await self._publisher.post_to_person(request.channel_id, request.user_id, message)
        except DeliveryError as error:
            log.warning("reply_failed", outcome=error.code)


def _content(message: Message) -> dict[str, Any]:
    return {"text": message.text, "blocks": list(message.blocks)}


def _response_url_outcome(status: int, body: str, headers: Any) -> str | float:
    if status == 429:
        return retry_after(headers)
    code = _error_in(body)
    is_ok = body.strip() in ("", OK) or _json_object(body).get("ok") is True
    if status == 200 and not code and is_ok:
        return OK
    if status >= 500 or error_class(code) is Unconfirmed:
        return UNCONFIRMED
    # A code of Slack's, such as expired_url; the "ok" of another server does not count.
    return code or f"http_{status}"


def _error_in(body: str) -> str:
    """Return Slack's error code, which is the whole body or in a JSON object; "" if there is none."""
    answer = _json_object(body)
    code = str(answer.get("error", "not_ok")) if answer.get("ok") is False else body.strip()
    return code if code.isascii() and code.isidentifier() and 2 < len(code) <= 40 else ""


def _json_object(body: str) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _outcome_code(outcome: str | float) -> str:
    return "ratelimited" if isinstance(outcome, float) else outcome


async def _raising_for_people(channel_id: str, call: Awaitable[None]) -> None:
    """Await a call to Slack in this channel. Raises an error that a person can read."""
    try:
        await call
    except DeliveryError as error:
        raise slack_error(error.code, channel_id, type(error)) from None


def slack_error(code: str, channel_id: str, kind: type[DeliveryError] | None = None) -> SlackError:
    """Return the error whose message a person reads when Slack rejects a post in this channel with `code`.

    `kind` is the code's class in the table of errors, by default looked up there.
    """
    kind = kind or error_class(code)
    if code in ("not_in_channel", "channel_not_found"):
        # The bot cannot be invited to a direct message, whose ID begins with D. `post_here` handles group messages.
        return DirectMessageNotSupported(detail=code) if channel_id.startswith("D") else NotInChannel(detail=code)
    if code in ("is_archived", "is_inactive"):
        return ChannelArchived(detail=code)
    return next((error for is_kind, error in _ERRORS if issubclass(kind, is_kind)), SlackRejected)(detail=code)


_ERRORS: tuple[tuple[type[DeliveryError] | UnionType, type[SlackError]], ...] = (
    (SlackRateLimited | Throttled, SlackBusy),
    (Unconfirmed, SlackUnconfirmed),
    (NotSent, SlackUnreachable),
    (TokenRejected, SlackAccessDenied),
)
