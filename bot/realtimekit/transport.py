"""One HTTP request and the whole of its answer, or an error of ours."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import aiohttp
import httpx

from bot.errors import Malformed, Unreachable

LONGEST_ANSWER = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Its body is not shown: there may be a stream key in it."""

    status: int
    headers: httpx.Headers
    body: bytes = field(repr=False)


async def exchange(http: httpx.AsyncClient, method: str, path: str, json: Any = None) -> Answer:
    """Send it. Raises Unreachable when no answer comes, and Malformed when it does not end."""
    try:
        async with http.stream(method, path, json=json) as response:
            return Answer(response.status_code, response.headers, await _bounded_body(response))
    # What is no HTTP at all comes through the transport as aiohttp's own error, and a status line in another
    # encoding as a UnicodeError.
    except (httpx.HTTPError, aiohttp.ClientError, UnicodeError) as error:
        # httpx's own name for it is often a wrong one: a refused connection is a ConnectTimeout there.
        raise Unreachable(detail=f"{type(error.__cause__ or error).__name__} for {path}") from None


def app_path(account_id: str, app_id: str) -> str:
    """Where everything of one RealtimeKit app is, behind the API's base."""
    return f"/accounts/{segment(account_id)}/realtime/kit/{segment(app_id)}"


def segment(text: str) -> str:
    """The text as one segment of a path."""
    return quote(text, safe="", errors="replace")


async def _bounded_body(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > LONGEST_ANSWER:
            raise Malformed(detail=f"an answer of more than {LONGEST_ANSWER} bytes")
    return bytes(body)
