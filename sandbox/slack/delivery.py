"""Delivery of payloads to the bot over HTTP or Socket Mode, with Slack's deadline for acknowledgements."""

import asyncio
import json
from collections.abc import Coroutine
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar
from urllib.parse import urlencode

import aiohttp

from sandbox.clock import Clock
from sandbox.slack.credentials import Credentials
from sandbox.slack.log import Call, Direction, Log
from sandbox.slack.socket_mode import NoConnection, SocketMode

T = TypeVar("T")
Payload = dict[str, Any]

ACK_SECONDS = 3.0


class Outcome(StrEnum):
    OK = "ok"
    OPERATION_TIMEOUT = "operation_timeout"
    DISPATCH_FAILED = "dispatch_failed"
    UNKNOWN_COMMAND = "unknown_command"


class Envelope(StrEnum):
    """The kinds of payloads, by their names in Socket Mode."""

    SLASH_COMMANDS = "slash_commands"
    INTERACTIVE = "interactive"
    EVENTS_API = "events_api"


@dataclass(frozen=True, slots=True)
class Delivery:
    """The outcome of a delivery, the time until its acknowledgement in milliseconds, and the HTTP status.

    `status` is None without an answer or over a WebSocket; `body` is the acknowledgement's payload; `trigger_id` is
    that of the command or click.
    """

    outcome: Outcome
    ack_ms: float
    status: int | None = None
    body: Payload | None = None
    trigger_id: str | None = field(default=None, repr=False)

    @property
    def acked(self) -> bool:
        """Whether the bot acknowledged in time."""
        return self.outcome is Outcome.OK


@dataclass(frozen=True, slots=True)
class Retry:
    """A repeated delivery of an event: the number of the retry, and the reason for it."""

    number: int
    reason: str


class Courier:
    """Delivers to `request_url`, or over Socket Mode if that is None. `ack_seconds` is in sandbox time."""

    def __init__(self, credentials: Credentials, sockets: SocketMode, log: Log, clock: Clock) -> None:
        self.request_url: str | None = None
        self.ack_seconds = ACK_SECONDS
        self._credentials = credentials
        self._sockets = sockets
        self._log = log
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    @property
    def reaches_somebody(self) -> bool:
        """Whether the bot is reachable: by a request URL or an open WebSocket."""
        return self.request_url is not None or self._sockets.open > 0

    async def deliver(self, envelope: Envelope, name: str, payload: Payload, retry: Retry | None = None) -> Delivery:
        """Deliver once, and log it as a call named `name`."""
        started = self._clock.now()
        status, body, outcome = await self._attempt(envelope, payload, retry)
        ms = round((self._clock.now() - started) * 1000, 1)
        self._log.body(name, json.dumps(body, ensure_ascii=False) if body else "")
        error = None if outcome is Outcome.OK else outcome.value
        self._log.call(Call(Direction.SLACK_TO_BOT, name, status, error, ms, started))
        return Delivery(outcome, ms, status, body, payload.get("trigger_id"))

    async def close(self) -> None:
        """Close the connections to the bot's HTTP server."""
        if self._session is not None:
            await self._session.close()

    async def _attempt(
        self, envelope: Envelope, payload: Payload, retry: Retry | None
    ) -> tuple[int | None, Payload | None, Outcome]:
        send = self._over_socket if self.request_url is None else self._over_http
        try:
            status, body = await within(send(envelope, payload, retry), self.ack_seconds, self._clock)
        except TimeoutError:
            return None, None, Outcome.OPERATION_TIMEOUT
        except (NoConnection, aiohttp.ClientError):
            return None, None, Outcome.DISPATCH_FAILED
        return status, body, Outcome.OK if status in (None, 200) else Outcome.DISPATCH_FAILED

    async def _over_socket(
        self, envelope: Envelope, payload: Payload, retry: Retry | None
    ) -> tuple[int | None, Payload]:
        return None, await self._sockets.deliver(envelope.value, payload, _socket_fields(envelope, retry))

    async def _over_http(self, envelope: Envelope, payload: Payload, retry: Retry | None) -> tuple[int | None, Payload]:
        assert self.request_url is not None
        body, content_type = _encoded(envelope, payload)
        headers = {"Content-Type": content_type, **self._credentials.sign(body), **_retry_headers(retry)}
        self._session = self._session or aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        async with self._session.post(self.request_url, data=body, headers=headers, allow_redirects=False) as answer:
            return answer.status, _decoded(await answer.text(errors="replace"), answer.content_type)


def _retry_headers(retry: Retry | None) -> dict[str, str]:
    return {} if retry is None else {"X-Slack-Retry-Num": str(retry.number), "X-Slack-Retry-Reason": retry.reason}


def _socket_fields(envelope: Envelope, retry: Retry | None) -> Payload:
    """Return the other fields of an envelope of this kind; events have a retry counter, from zero."""
    if envelope is not Envelope.EVENTS_API:
        return {"accepts_response_payload": True}
    number, reason = (0, "") if retry is None else (retry.number, retry.reason)
    return {"accepts_response_payload": False, "retry_attempt": number, "retry_reason": reason}


def _encoded(envelope: Envelope, payload: Payload) -> tuple[bytes, str]:
    if envelope is Envelope.EVENTS_API:
        return json.dumps(payload).encode(), "application/json"
    fields = payload if envelope is Envelope.SLASH_COMMANDS else {"payload": json.dumps(payload)}
    return urlencode(fields).encode(), "application/x-www-form-urlencoded"


def _decoded(body: str, content_type: str) -> Payload:
    """Return the fields of an acknowledgement; plain text counts as a message's text."""
    if content_type != "application/json":
        return {"text": body} if body else {}
    try:
        fields = json.loads(body) if body else {}
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


async def within(work: Coroutine[Any, Any, T], seconds: float, clock: Clock) -> T:
    """Return the result of `work`. Cancel it and raise TimeoutError if it takes more than `seconds` of sandbox time."""
    task, timer = asyncio.ensure_future(work), asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({task, timer}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise TimeoutError
        return task.result()
    finally:
        task.cancel()
        timer.cancel()
