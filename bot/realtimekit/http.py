"""HTTP exchanges with bounded answers, and with the bot's own errors."""

import contextlib
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import aiohttp
import httpx
import yarl

from bot.errors import InvalidResponse, Unreachable
from bot.network import describe

MAX_RESPONSE_BYTES = 4 * 1024 * 1024
_ENCODINGS = "gzip, deflate"
"""What httpx can decode; by default aiohttp, the transport, would offer more."""
_NO_BODY = httpx.ByteStream(b"")
_CHUNK_BYTES = 16 * 1024


class AiohttpTransport(httpx.AsyncBaseTransport):
    """A transport for httpx over aiohttp's connections, whose parser and pool use a fraction of the CPU time.

    As in httpx's own transport, the extension `target` replaces the URL's path and query. Raises httpx's errors.
    """

    def __init__(
        self,
        timeout: httpx.Timeout,
        *,
        tls: ssl.SSLContext | None = None,
        proxy: str | None = None,
        max_connections: int = 100,
        keepalive_seconds: float = 15.0,
    ) -> None:
        """Create the transport.

        The timeouts to connect and to read apply to every request; the one for the pool covers all until a request can
        be sent, also a proxy's answer.
        """
        self._timeout = aiohttp.ClientTimeout(
            connect=timeout.pool, sock_connect=timeout.connect, sock_read=timeout.read
        )
        self._tls = tls
        self._proxy = proxy
        self._max_connections = max_connections
        self._keepalive_seconds = keepalive_seconds
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; the response's body is unread, and still encoded."""
        target: bytes = request.extensions.get("target", request.url.raw_path)
        url = yarl.URL(f"{request.url.scheme}://{request.url.netloc.decode()}{target.decode()}", encoded=True)
        with _httpx_errors():
            response = await self._open_session().request(
                request.method, url, headers=request.headers, data=await request.aread() or None, allow_redirects=False
            )
        return httpx.Response(response.status, headers=response.raw_headers, stream=_Body(response))

    async def aclose(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _open_session(self) -> aiohttp.ClientSession:
        # Not in the constructor, since it needs the running event loop.
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=self._max_connections, keepalive_timeout=self._keepalive_seconds, ssl=self._tls or True
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=self._timeout,
                proxy=self._proxy,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        return self._session


class _Body(httpx.AsyncByteStream):
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _httpx_errors():
            async for chunk in self._response.content.iter_chunked(_CHUNK_BYTES):
                yield chunk

    async def aclose(self) -> None:
        self._response.release()


@contextlib.contextmanager
def _httpx_errors() -> Iterator[None]:
    """Raise aiohttp's errors as httpx's; the original is the cause."""
    try:
        yield
    except aiohttp.ConnectionTimeoutError as error:
        raise httpx.ConnectTimeout(str(error)) from error
    except TimeoutError as error:
        raise httpx.ReadTimeout(str(error)) from error
    except aiohttp.ClientConnectorError as error:
        raise httpx.ConnectError(str(error)) from error
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
        raise httpx.UnsupportedProtocol(str(error)) from error
    except aiohttp.ClientConnectionError as error:
        raise httpx.ReadError(str(error)) from error
    # aiohttp raises a UnicodeError for a status line in another encoding.
    except (aiohttp.ClientError, UnicodeError) as error:
        raise httpx.RemoteProtocolError(str(error)) from error


class HttpClient:
    """An HTTP API: its base URL and the headers of each request.

    Requests go straight to httpx's transport. httpx's client would add cookies, redirects, hooks and authentication,
    which the bot does not need and which cost as much CPU time as the request itself.
    """

    def __init__(
        self, transport: httpx.AsyncBaseTransport, base_url: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        self._transport = transport
        self.base_url = base_url
        self._base = httpx.URL(base_url)
        self._path = self._base.raw_path.decode().rstrip("/")
        host = self._base.netloc.decode()
        self._headers = httpx.Headers({"Host": host, "Accept-Encoding": _ENCODINGS, **(headers or {})})

    async def send(self, method: str, path: str, json: Any = None) -> httpx.Response:
        """Send a request and return the response with its body unread; the caller closes it.

        `path` is below the base URL, and quoted. Raises httpx's errors.
        """
        # Parsing a URL takes as long as the rest of a request, so it is parsed once.
        target = {"target": f"{self._path}{path}".encode()}
        if json is None:
            request = httpx.Request(method, self._base, headers=self._headers, stream=_NO_BODY, extensions=target)
        else:
            request = httpx.Request(method, self._base, headers=self._headers, json=json, extensions=target)
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


async def exchange(http: HttpClient, method: str, path: str = "", json: Any = None) -> HttpResponse:
    """Send a request and read the answer. Raises Unreachable if none arrives, and InvalidResponse if it is too long."""
    try:
        response = await http.send(method, path, json)
        try:
            return HttpResponse(response.status_code, response.headers, await _bounded_body(response))
        finally:
            await response.aclose()
    except httpx.HTTPError as error:
        raise Unreachable(detail=f"{describe(error.__cause__ or error)} for {path or http.base_url}") from None


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
