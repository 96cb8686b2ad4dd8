"""The response_urls of commands and clicks, valid for five uses within thirty minutes."""

import json
import secrets
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from sandbox.slack.answers import rate_limited
from sandbox.slack.content import Content, read_content
from sandbox.slack.faults import RESPONSE_URL
from sandbox.slack.front import Front
from sandbox.slack.refusal import RateLimited, Refusal, SoftRefusal
from sandbox.slack.workspace import Message, Workspace

USES = 5
LIFETIME = 30 * 60
KEPT_URLS = 5_000

_STATUS = {"expired_url": 404, "used_url": 404, "channel_not_found": 404, "channel_is_archived": 410}


@dataclass(frozen=True, slots=True)
class ResponseUrl:
    """A response_url: the person, the channel, and the message that was clicked, if any."""

    trigger_id: str
    channel: str
    user: str
    original_ts: str | None
    expires_at: float
    uses_left: int = USES


class ResponseUrls:
    """Issues response_urls and handles the bot's requests to them."""

    def __init__(self, workspace: Workspace, author: str, front: Front, unreachable: Collection[str]) -> None:
        self._workspace = workspace
        self._author = author
        self._front = front
        self._unreachable = unreachable
        self._urls: OrderedDict[str, ResponseUrl] = OrderedDict()

    def issue(self, trigger_id: str, kind: str, channel: str, user: str, original: Message | None = None) -> str:
        """Issue a new URL and return its path; `kind` is `commands` or `actions`."""
        token = secrets.token_urlsafe(18)
        expires_at = self._front.clock.now() + LIFETIME
        original_ts = original.ts if original else None
        self._urls[token] = ResponseUrl(trigger_id, channel, user, original_ts, expires_at)
        if len(self._urls) > KEPT_URLS:
            self._urls.popitem(last=False)
        return f"/{kind}/{token}"

    def expire_all(self) -> None:
        """Expire every URL issued so far."""
        for token, url in self._urls.items():
            self._urls[token] = replace(url, expires_at=self._front.clock.now())

    async def endpoint(self, request: Request) -> Response:
        """Handle one request to a response_url."""
        token, body = request.path_params["token"], await request.body()
        self._front.log.body(RESPONSE_URL, body.decode(errors="replace"))
        url = self._urls.get(token)
        about = (url.channel, url.user) if url is not None else ()
        return self._front.answer(RESPONSE_URL, lambda: self._take(token, body), _refused, about)

    def _take(self, token: str, body: bytes) -> Response:
        url = self._usable(token)
        # A command's URL has no original message, even after it has posted one: see slackapi/bolt-python#1268.
        self._apply(url, _payload(body))
        self._urls[token] = replace(url, uses_left=url.uses_left - 1)
        return PlainTextResponse("ok")

    def _usable(self, token: str) -> ResponseUrl:
        url = self._urls.get(token)
        if url is None or self._front.clock.now() >= url.expires_at:
            raise Refusal("expired_url")
        if url.uses_left == 0:
            raise Refusal("used_url")
        channel = self._workspace.channels[url.channel]
        if channel.is_deleted or channel.is_archived:
            raise Refusal("channel_not_found" if channel.is_deleted else "channel_is_archived")
        return url

    def _apply(self, url: ResponseUrl, payload: dict[str, Any]) -> None:
        original = self._original(url)
        if payload.get("delete_original") and original is not None:
            self._workspace.delete(original)
            return
        content = read_content(payload, self._unreachable)
        if payload.get("replace_original") and original is not None:
            edited = self._workspace.next_ts(self._front.clock.now())
            self._workspace.edit(original, content.text, content.blocks, edited)
            return
        self._post(url, content, payload)

    def _original(self, url: ResponseUrl) -> Message | None:
        message = self._workspace.find(url.channel, url.original_ts) if url.original_ts else None
        return None if message is None or message.deleted else message

    def _post(self, url: ResponseUrl, content: Content, payload: dict[str, Any]) -> Message:
        in_channel = payload.get("response_type") == "in_channel"
        thread_ts = payload.get("thread_ts")
        only_to = None if in_channel else url.user
        in_thread = thread_ts if isinstance(thread_ts, str) else None
        return self.say(url.trigger_id, url.channel, content, only_to, in_thread)

    def say(
        self, trigger_id: str, channel: str, content: Content, only_to: str | None, thread_ts: str | None = None
    ) -> Message:
        """Post for the app in any channel, because responses need no membership."""
        message = Message(
            channel,
            self._workspace.next_ts(self._front.clock.now()),
            self._author,
            content.text,
            content.blocks,
            ephemeral_to=only_to,
            thread_ts=thread_ts,
            trigger_id=trigger_id,
        )
        return self._workspace.post(message)


def _payload(body: bytes) -> dict[str, Any]:
    try:
        payload = json.loads(body)
    except ValueError:
        raise Refusal("invalid_payload") from None
    if not isinstance(payload, dict):
        raise Refusal("invalid_payload")
    return payload


def _refused(refusal: Refusal) -> Response:
    if isinstance(refusal, RateLimited):
        return rate_limited("rate_limited", refusal.retry_after)
    if isinstance(refusal, SoftRefusal):
        return JSONResponse({"ok": False, "error": refusal.error})
    return PlainTextResponse(refusal.error, _STATUS.get(refusal.error, 400))
