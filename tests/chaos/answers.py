"""Which posts the bot could not know the end of, seen between it and Slack."""

import json
from collections.abc import Callable
from urllib.parse import parse_qsl

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Answers:
    """ASGI middleware in front of Slack: notes each post whose answer did not arrive whole, or not in time.

    `patience` is in real seconds, as the bot's client has it; `monotonic` tells them.
    """

    def __init__(self, app: ASGIApp, patience: float, monotonic: Callable[[], float]) -> None:
        self.app = app
        self.unconfirmed: set[str] = set()
        """The client_msg_id of each."""
        self._patience = patience
        self._monotonic = monotonic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not str(scope["path"]).endswith("/chat.postMessage"):
            await self.app(scope, receive, send)
            return
        began, body, whole = self._monotonic(), b"", False

        async def reading() -> Message:
            nonlocal body
            message = await receive()
            body += message.get("body", b"") if message["type"] == "http.request" else b""
            return message

        async def sending(message: Message) -> None:
            nonlocal whole
            await send(message)
            whole = message["type"] == "http.response.body" and not message.get("more_body")

        try:
            await self.app(scope, reading, sending)
        finally:
            message_id = _message_id(body)
            if message_id and not (whole and self._monotonic() - began < self._patience):
                self.unconfirmed.add(message_id)


def _message_id(body: bytes) -> str:
    try:
        fields = json.loads(body) if body.startswith(b"{") else dict(parse_qsl(body.decode()))
    except ValueError:
        return ""
    return str(fields.get("client_msg_id") or "")
