"""What RealtimeKit sends by itself: believed where it is signed, and then no more than a hint to look again.

Its body holds the stream key, so nothing of it goes any further than the name of its event and the meeting's ID.
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
from httpx_aiohttp import AiohttpTransport

from bot.errors import CouldNotAsk, RealtimeKitError
from bot.realtimekit.envelope import data_of
from bot.realtimekit.transport import Http, exchange

if TYPE_CHECKING:
    from bot.realtimekit.public_key import PublicKey

SIGNATURE = "rtk-signature"
SIGNATURE_BYTES = range(64, 1025)
"""A signature has as many bytes as the RSA key: 256 for one of 2,048 bits."""
HINTING = frozenset({"livestreaming.statusUpdate", "meeting.started", "meeting.ended"})
"""The events after which a livestream may be another one than before."""
KEY_SECONDS = 2.0
_NEWER_KEY_SECONDS = 60.0
_AGAIN_SECONDS = 5.0


class Forged(Exception):
    """A webhook that RealtimeKit did not sign."""


class NotJson(Exception):
    """A webhook that is no JSON object."""


class KeyUnreachable(Exception):
    """Without the public key nobody knows whether a webhook is RealtimeKit's. The text says why it is not there."""


@dataclass(frozen=True, slots=True)
class Hint:
    """What a webhook is good for."""

    event: str
    meeting_id: UUID | None
    """The meeting to look at; None where the event has none, or tells nothing about livestreams."""


def read(body: bytes) -> Hint:
    """What a webhook says. Raises NotJson."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise NotJson from None
    if not isinstance(value, dict):
        raise NotJson
    event = value.get("event")
    if not isinstance(event, str) or event not in HINTING:
        return Hint("other", None)
    return Hint(event, _meeting_id(value.get("meeting")))


def check_headers(headers: Mapping[str, str]) -> None:
    """Raise Forged where there is no signature, so that the body of an unsigned webhook is not read."""
    if len(_signature(headers)) not in SIGNATURE_BYTES:
        raise Forged


def open_key_http(proxy: str | None = None, tls: ssl.SSLContext | None = None) -> Http:
    """The way to the key. It has no token, since the key is not at the address that the token is for."""
    transport = AiohttpTransport(verify=tls or True, proxy=httpx.Proxy(proxy) if proxy else None)
    return Http(transport, timeout=httpx.Timeout(KEY_SECONDS))


class WebhookKey:
    """RealtimeKit's public key: fetched when it is first needed, and again when a signature does not fit it.

    Cloudflare names no way to tell its keys apart and no time at which they change. A newer one is looked for once a
    minute at most, so that who sends forged webhooks makes no traffic.
    """

    def __init__(
        self,
        http: Http,
        url: str,
        *,
        timer: Callable[[], float] = time.monotonic,
        key_seconds: float = KEY_SECONDS,
    ) -> None:
        self._http = http
        self._url = url
        self._timer = timer
        self._key_seconds = key_seconds
        self._turn = asyncio.Lock()
        self._key: PublicKey | None = None
        self._problem: str | None = None
        self._keep_until = float("-inf")

    async def verify(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Check the signature over the raw body. Raises Forged, and KeyUnreachable where that cannot be told."""
        signature = _signature(headers)
        key = self._key or await self._newer()
        if not key.fits(signature, body) and not (await self._newer()).fits(signature, body):
            raise Forged

    async def fetch(self) -> None:
        """Make sure that there is a key. Raises KeyUnreachable."""
        if self._key is None:
            await self._newer()

    async def _newer(self) -> "PublicKey":
        """The key as it is now, or as it was a moment ago. Raises KeyUnreachable."""
        async with self._turn:
            if self._timer() >= self._keep_until:
                await self._fetch()
            if self._problem is not None or self._key is None:
                raise KeyUnreachable(self._problem)
            return self._key

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(self._key_seconds):
                answer = await exchange(self._http, "GET", self._url)
            self._key, self._problem = _key(data_of(answer.status, answer.headers, answer.body)), None
        except TimeoutError:
            self._problem = f"no answer within {self._key_seconds:g} s"
        except RealtimeKitError as error:
            self._problem = error.detail if isinstance(error, CouldNotAsk) else type(error).__name__
        self._keep_until = self._timer() + (_AGAIN_SECONDS if self._problem else _NEWER_KEY_SECONDS)


def _meeting_id(meeting: Any) -> UUID | None:
    try:
        return UUID(meeting["id"])
    except (TypeError, KeyError, ValueError, AttributeError):
        return None


def _signature(headers: Mapping[str, str]) -> bytes:
    try:
        return base64.b64decode(headers[SIGNATURE], validate=True)
    except (KeyError, ValueError):
        raise Forged from None


def _key(data: Any) -> "PublicKey":
    from bot.realtimekit.public_key import read_key  # noqa: PLC0415 - only here, so that who gets no webhooks is spared it

    pem = data.get("publicKey") if isinstance(data, dict) else None
    if not isinstance(pem, str):
        raise CouldNotAsk(detail="no data.publicKey in the answer")
    return read_key(pem)
