"""The floor: a bare ASGI function that does the minimum and nothing else.

It verifies the signature, acknowledges, requests the meeting's livestream from Cloudflare, and answers: two calls. With
`--same-questions` it sends every request that the bot sends for a live meeting whose livestream has no name (start and
title, too): four calls. It has no deadlines, retries, metrics, logs or limits, and doesn't check Cloudflare's answers.
The server, event loop and HTTP parser are the same as the bot's.
"""

import asyncio
import hashlib
import hmac
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

import aiohttp
import uvloop

from bench.contenders.settings import Settings, from_environment
from bench.contenders.words import answer
from bot.uvicorn_server import listen, serving

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Floor:
    """The whole program as an ASGI app."""

    def __init__(self, settings: Settings, session: aiohttp.ClientSession, *, same_requests: bool) -> None:
        self._settings = settings
        self._secret = settings.signing_secret.encode()
        self._headers = {"Authorization": f"Bearer {settings.cloudflare_api_token}"}
        self._session = session
        self._same_requests = same_requests
        self._serving: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Acknowledge a command, then answer it in a task of its own."""
        if scope["path"] != "/slack/events":
            await _respond(send, 200)
            return
        body = await _body(receive)
        if not self._signed(dict(scope["headers"]), body):
            await _respond(send, 401)
            return
        fields = parse_qs(body.decode())
        task = asyncio.create_task(self._serve(fields["text"][0], fields["response_url"][0]))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        await _respond(send, 200)

    def _signed(self, headers: dict[bytes, bytes], body: bytes) -> bool:
        timestamp = headers.get(b"x-slack-request-timestamp", b"0")
        if abs(time.time() - int(timestamp)) > 300:
            return False
        expected = hmac.new(self._secret, b"v0:" + timestamp + b":" + body, hashlib.sha256).hexdigest()
        return hmac.compare_digest(f"v0={expected}".encode(), headers.get(b"x-slack-signature", b""))

    async def _serve(self, meeting_id: str, response_url: str) -> None:
        livestream = await self._ask(f"/meetings/{meeting_id}/active-livestream")
        name, since = livestream["name"], None
        if self._same_requests:
            meeting, session = await asyncio.gather(
                self._ask(f"/meetings/{meeting_id}"),
                self._ask(f"/livestreams/{livestream['id']}/active-livestream-session"),
            )
            name, since = meeting["title"], session["session"]["started_time"]
        payload = answer(name, livestream["status"], livestream["playback_url"], since)
        async with self._session.post(response_url, json=payload) as response:
            await response.read()

    async def _ask(self, path: str) -> Any:
        async with self._session.get(self._settings.app_url + path, headers=self._headers) as response:
            return json.loads(await response.read())["data"]


async def _body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return body


async def _respond(send: Send, status: int) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


async def main() -> None:
    """Serve until the process is killed."""
    settings = from_environment()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=300)) as session:
        floor = Floor(settings, session, same_requests="--same-questions" in sys.argv)
        async with serving(floor, listen(port=settings.port)):
            await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
