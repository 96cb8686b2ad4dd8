"""Waiting for the bot's answers, person by person."""

import asyncio
import contextlib
from collections.abc import Iterator

from sandbox.slack import BOT, Event, EventKind, Message, Slack

_MESSAGE_EVENTS = (EventKind.MESSAGE_POSTED, EventKind.MESSAGE_CHANGED, EventKind.MESSAGE_DELETED)


class Answers:
    """The people who wait for an answer. All share one listener, so that many people cost little."""

    def __init__(self, slack: Slack) -> None:
        self._slack = slack
        self._waiting: dict[str, asyncio.Future[Message]] = {}

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Listen for messages until the block ends."""
        unsubscribe = self._slack.events.subscribe(self._on_event)
        try:
            yield
        finally:
            unsubscribe()

    def expect(self, user: str) -> asyncio.Future[Message]:
        """Wait for the next message sent to, changed for, deleted for, or posted in the name of this person."""
        self._waiting[user] = asyncio.get_running_loop().create_future()
        return self._waiting[user]

    def forget(self, user: str) -> None:
        """Stop waiting for this person's answer."""
        self._waiting.pop(user, None)

    def _on_event(self, event: Event) -> None:
        message = event.subject
        if event.kind not in _MESSAGE_EVENTS or not isinstance(message, Message) or message.author != BOT:
            return
        waiting = self._waiting.pop(message.ephemeral_to or self._posted_by(message), None)
        if waiting is not None and not waiting.done():
            waiting.set_result(message)

    def _posted_by(self, message: Message) -> str:
        content = str(message.blocks)
        return next((name for name in self._waiting if f"<@{name}>" in content), "")
