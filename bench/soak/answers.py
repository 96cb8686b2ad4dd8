"""Waits for what people are told, person by person."""

import asyncio
import contextlib
from collections.abc import Iterator

from bot.sandbox.slack import BOT, Event, EventKind, Message, Slack

_TOLD = (EventKind.MESSAGE_POSTED, EventKind.MESSAGE_CHANGED, EventKind.MESSAGE_DELETED)


class Answers:
    """Knows who waits for the bot's word. One subscription for all, so that many people cost little."""

    def __init__(self, slack: Slack) -> None:
        self._slack = slack
        self._waiting: dict[str, asyncio.Future[Message]] = {}

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """Listen until the block ends."""
        unsubscribe = self._slack.events.subscribe(self._hear)
        try:
            yield
        finally:
            unsubscribe()

    def expect(self, user: str) -> asyncio.Future[Message]:
        """Wait for the next message that is sent, changed or deleted for this person, or posted in their name."""
        self._waiting[user] = asyncio.get_running_loop().create_future()
        return self._waiting[user]

    def forget(self, user: str) -> None:
        """Nobody waits for it any more."""
        self._waiting.pop(user, None)

    def _hear(self, event: Event) -> None:
        message = event.subject
        if event.kind not in _TOLD or not isinstance(message, Message) or message.author != BOT:
            return
        waiting = self._waiting.pop(message.ephemeral_to or self._posted_by(message), None)
        if waiting is not None and not waiting.done():
            waiting.set_result(message)

    def _posted_by(self, message: Message) -> str:
        content = str(message.blocks)
        return next((name for name in self._waiting if f"<@{name}>" in content), "")
