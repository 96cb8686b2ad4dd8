"""Which posts the bot can't know the outcome of, observed between the bot and Slack."""

import json
from collections.abc import Callable
from urllib.parse import parse_qsl

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class UnconfirmedPosts:
    """ASGI middleware in front of Slack: records each post whose response did not arrive in full and in time.

    `max_wait` is in real seconds, as in the bot's client; `monotonic` measures them.
    """

    def __init__(self, app: ASGIApp, max_wait: float, monotonic: Callable[[], float]) -> None:
        self.app = app
        self.unconfirmed: set[str] = set()
        """The client_msg_id of each."""
        self._max_wait = max_wait
        self._monotonic = monotonic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not str(scope["path"]).endswith("/chat.postMessage"):
            await self.app(scope, receive, send)
            return
        began, body, complete = self._monotonic(), b"", False

        async def recording_receive() -> Message:
            nonlocal body
            message = await receive()
            body += message.get("body", b"") if message["type"] == "http.request" else b""
            return message

        async def recording_send(message: Message) -> None:
            nonlocal complete
            await send(message)
            complete = message["type"] == "http.response.body" and not message.get("more_body")

        try:
            await self.app(scope, recording_receive, recording_send)
        finally:
            message_id = _message_id(body)
            if message_id and not (complete and self._monotonic() - began < self._max_wait):
                self.unconfirmed.add(message_id)


def _message_id(body: bytes) -> str:
    try:
        fields = json.loads(body) if body.startswith(b"{") else dict(parse_qsl(body.decode()))
    except ValueError:
        return ""
    return str(fields.get("client_msg_id") or "")
