"""RealtimeKit's webhooks: signed requests, each of which only makes the bot check a meeting.

A webhook's body contains the stream key, so only the event's name and the meeting's ID leave this module.
"""

import asyncio
import base64
import json
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx

from bot.errors import CloudflareUnavailable, RealtimeKitError
from bot.realtimekit.http import AiohttpTransport, HttpClient, exchange
from bot.realtimekit.responses import parse_data

if TYPE_CHECKING:
    from bot.realtimekit.public_key import PublicKey

SIGNATURE = "rtk-signature"
SIGNATURE_BYTES = range(64, 1025)
"""A signature has as many bytes as the RSA key: 256 for one of 2,048 bits."""
STATUS_EVENT = "livestreaming.statusUpdate"
LIVESTREAM_EVENTS = (STATUS_EVENT, "meeting.started", "meeting.ended")
"""The events after which a meeting's livestream may have changed. The first reports only LIVE, OFFLINE and IDLE. The
other two matter, too: a livestream may begin with its meeting, as INVOKED, and cannot outlast it."""
KEY_SECONDS = 2.0
_MIN_REFETCH_SECONDS = 60.0
_RETRY_SECONDS = 5.0


class InvalidSignature(Exception):
    """A webhook that RealtimeKit did not sign."""


class InvalidPayload(Exception):
    """A webhook whose body is not a JSON object."""


class PublicKeyUnavailable(Exception):
    """The public key that verifies webhooks is missing; the message says why."""


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """The useful content of a webhook: a request to check a meeting."""

    event: str
    meeting_id: UUID | None
    """The meeting to check; None if the event names none, or does not concern livestreams."""


def parse_event(body: bytes) -> WebhookEvent:
    """Parse a webhook's body. Raises InvalidPayload."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidPayload from None
    if not isinstance(value, dict):
        raise InvalidPayload
    event = value.get("event")
    if not isinstance(event, str) or event not in LIVESTREAM_EVENTS:
        return WebhookEvent("other", None)
    return WebhookEvent(event, _meeting_id(value.get("meeting")))


def check_headers(headers: Mapping[str, str]) -> None:
    """Raise InvalidSignature if the signature is missing, before the bot reads the body of an unsigned webhook."""
    if len(_signature(headers)) not in SIGNATURE_BYTES:
        raise InvalidSignature


def open_key_http(url: str, proxy: str | None = None, tls: ssl.SSLContext | None = None) -> HttpClient:
    """Open the HTTP connection for fetching the key from this URL.

    It sends no API token, because the key is on another host than the API.
    """
    return HttpClient(AiohttpTransport(httpx.Timeout(KEY_SECONDS), tls=tls, proxy=proxy), url)


class WebhookVerifier:
    """RealtimeKit's public key, fetched at first use, and again if a signature does not match.

    Cloudflare documents neither a key ID nor when keys change. The bot fetches a newer key at most once a minute, so
    that forged webhooks cause no traffic.
    """

    def __init__(
        self,
        http: HttpClient,
        *,
        timer: Callable[[], float] = time.monotonic,
        key_seconds: float = KEY_SECONDS,
    ) -> None:
        self._http = http
        self._timer = timer
        self._key_seconds = key_seconds
        self._fetching = asyncio.Lock()
        self._key: PublicKey | None = None
        self._problem: str | None = None
        self._fresh_until = float("-inf")

    async def verify(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Verify the signature over the raw body. Raises InvalidSignature, or PublicKeyUnavailable without a key."""
        signature = _signature(headers)
        key = self._key or await self._fresh_key()
        if not key.fits(signature, body) and not (await self._fresh_key()).fits(signature, body):
            raise InvalidSignature

    async def fetch(self) -> None:
        """Fetch the key unless there is one. Raises PublicKeyUnavailable."""
        if self._key is None:
            await self._fresh_key()

    async def _fresh_key(self) -> "PublicKey":
        """Return a key that is at most a minute old, fetching it if necessary. Raises PublicKeyUnavailable."""
        async with self._fetching:
            if self._timer() >= self._fresh_until:
                await self._fetch()
            if self._problem is not None or self._key is None:
                raise PublicKeyUnavailable(self._problem)
            return self._key

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(self._key_seconds):
                answer = await exchange(self._http, "GET")
            self._key, self._problem = _key(parse_data(answer.status, answer.headers, answer.body)), None
        except TimeoutError:
            self._problem = f"no answer within {self._key_seconds:g} s"
        except RealtimeKitError as error:
            self._problem = error.detail if isinstance(error, CloudflareUnavailable) else type(error).__name__
        self._fresh_until = self._timer() + (_RETRY_SECONDS if self._problem else _MIN_REFETCH_SECONDS)


def _meeting_id(meeting: Any) -> UUID | None:
    try:
        return UUID(meeting["id"])
    except (TypeError, KeyError, ValueError, AttributeError):
        return None


def _signature(headers: Mapping[str, str]) -> bytes:
    try:
        return base64.b64decode(headers[SIGNATURE], validate=True)
    except (KeyError, ValueError):
        raise InvalidSignature from None


def _key(data: Any) -> "PublicKey":
    from bot.realtimekit.public_key import load_public_key  # noqa: PLC0415 - large, and not needed without webhooks

    pem = data.get("publicKey") if isinstance(data, dict) else None
    if not isinstance(pem, str):
        raise CloudflareUnavailable(detail="no data.publicKey in the answer")
    return load_public_key(pem)
