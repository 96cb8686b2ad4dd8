"""One HTTP request and the whole of its answer, or an error of ours."""

from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import aiohttp
import httpx

from bot.errors import Malformed, Unreachable
from bot.network import describe

LONGEST_ANSWER = 4 * 1024 * 1024
_ENCODINGS = "gzip, deflate"
"""What httpx decodes; aiohttp, which sends it, would ask for more."""


class Http:
    """One HTTP API: where it is, what each request carries, how long its answer may take.

    Requests go to httpx's transport without httpx's client, whose cookies, redirects, hooks and authentication nobody
    needs here: they take as much CPU time as the request itself.
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
        """The answer, whose body is still to be read; close it. Raises as the transport does."""
        url = self._base_url + path
        request = httpx.Request(method, url, headers=self._headers, json=json, extensions=self._extensions)
        return await self._transport.handle_async_request(request)

    async def close(self) -> None:
        """Close its connections."""
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Its body is not shown: there may be a stream key in it."""

    status: int
    headers: httpx.Headers
    body: bytes = field(repr=False)


async def exchange(http: Http, method: str, path: str, json: Any = None) -> Answer:
    """Send it. Raises Unreachable when no answer comes, and Malformed when it does not end."""
    try:
        response = await http.send(method, path, json)
        try:
            return Answer(response.status_code, response.headers, await _bounded_body(response))
        finally:
            await response.aclose()
    # What is no HTTP at all comes through the transport as aiohttp's own error, and a status line in another
    # encoding as a UnicodeError.
    except (httpx.HTTPError, aiohttp.ClientError, UnicodeError) as error:
        # httpx's own name for it is often a wrong one: a refused connection is a ConnectTimeout there.
        raise Unreachable(detail=f"{describe(error.__cause__ or error)} for {path}") from None


def app_path(account_id: str, app_id: str) -> str:
    """Where everything of one RealtimeKit app is, behind the API's base."""
    return f"/accounts/{segment(account_id)}/realtime/kit/{segment(app_id)}"


def segment(text: str) -> str:
    """The text as one segment of a path."""
    return quote(text, safe="", errors="replace")


async def _bounded_body(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in _chunks(response):
        body += chunk
        if len(body) > LONGEST_ANSWER:
            raise Malformed(detail=f"an answer of more than {LONGEST_ANSWER} bytes")
    return bytes(body)


def _chunks(response: httpx.Response) -> AsyncIterable[bytes]:
    if "content-encoding" in response.headers or not isinstance(response.stream, httpx.AsyncByteStream):
        return response.aiter_bytes()
    # As they come: there is nothing to decode.
    return response.stream
