"""HTTP exchanges with bounded answers, and with the bot's own errors."""

from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import aiohttp
import httpx

from bot.errors import InvalidResponse, Unreachable
from bot.network import describe

MAX_RESPONSE_BYTES = 4 * 1024 * 1024
_ENCODINGS = "gzip, deflate"
"""What httpx can decode; by default aiohttp, the transport, would offer more."""


class HttpClient:
    """An HTTP API: its base URL, the headers of each request, and the timeout.

    Requests go straight to httpx's transport. httpx's client would add cookies, redirects, hooks and authentication,
    which the bot does not need and which cost as much CPU time as the request itself.
    """

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport,
        base_url: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        timeout: httpx.Timeout | None = None,
    ) -> None:
        self.timeout = timeout or httpx.Timeout(None)
        self._transport = transport
        self._base_url = base_url.rstrip("/")
        self._headers = httpx.Headers({"Accept-Encoding": _ENCODINGS, **(headers or {})})
        self._extensions = {"timeout": self.timeout.as_dict()}

    async def send(self, method: str, path: str, json: Any = None) -> httpx.Response:
        """Send a request and return the response with its body unread; the caller closes it.

        Raises the transport's errors.
        """
        url = self._base_url + path
        request = httpx.Request(method, url, headers=self._headers, json=json, extensions=self._extensions)
        return await self._transport.handle_async_request(request)

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A complete answer. Its repr omits the body, which may contain a stream key."""

    status: int
    headers: httpx.Headers
    body: bytes = field(repr=False)


async def exchange(http: HttpClient, method: str, path: str, json: Any = None) -> HttpResponse:
    """Send a request and read the answer. Raises Unreachable if none arrives, and InvalidResponse if it is too long."""
    try:
        response = await http.send(method, path, json)
        try:
            return HttpResponse(response.status_code, response.headers, await _bounded_body(response))
        finally:
            await response.aclose()
    # For an answer that is not HTTP the transport raises aiohttp's own errors, and for a status line in another
    # encoding a UnicodeError.
    except (httpx.HTTPError, aiohttp.ClientError, UnicodeError) as error:
        # httpx's own error is often the wrong one: it reports a refused connection as a ConnectTimeout.
        raise Unreachable(detail=f"{describe(error.__cause__ or error)} for {path}") from None


def app_path(account_id: str, app_id: str) -> str:
    """Return the path of a RealtimeKit app below the API's base URL."""
    return f"/accounts/{segment(account_id)}/realtime/kit/{segment(app_id)}"


def segment(text: str) -> str:
    """Quote a text as one segment of a path."""
    return quote(text, safe="", errors="replace")


async def _bounded_body(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in _iter_body(response):
        body += chunk
        if len(body) > MAX_RESPONSE_BYTES:
            raise InvalidResponse(detail=f"an answer of more than {MAX_RESPONSE_BYTES} bytes")
    return bytes(body)


def _iter_body(response: httpx.Response) -> AsyncIterable[bytes]:
    if "content-encoding" in response.headers or not isinstance(response.stream, httpx.AsyncByteStream):
        return response.aiter_bytes()
    # Nothing to decode.
    return response.stream
