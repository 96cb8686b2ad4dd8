"""What people see of a followed meeting: which changes, in which thread, in which order."""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from sandbox.bot_process import BotProcess, bot_process, settings_for
from sandbox.slack import ANN, GENERAL, Message, Slack
from tests.conftest import World

T = TypeVar("T")
SPEED = 60.0
"""Sandbox seconds in a real one: a grace period is over in a second, and the bot's own work still takes almost none."""
SLOWLY = 4.0
"""For what ends with the grace period: it lasts a quarter of a minute, longer than a slow machine halts."""

_KINDS = {
    r" is starting": "starting",
    r" is live again": "back",
    r" is live\b| has been live since": "live",
    r" hit an error": "errored",
    r" has ended": "ended",
    r" hasn't been live for": "expired",
}
_CARDS = {
    r" is not live yet": "waiting",
    r" is starting": "starting",
    r" is live\b": "live",
    r" has been reconnecting since": "interrupted",
    r" has an error": "errored",
    r" has ended": "ended",
    r" is no longer followed": "unfollowed",
    r" is followed here again": "followed again",
}


def _word(text: str, words: dict[str, str]) -> str:
    for pattern, word in words.items():
        if re.search(pattern, text):
            return word
    raise AssertionError(f"unknown text: {text}")


def replies_in(slack: Slack, card: Message) -> list[str]:
    """Return the kinds of the changes in a card's thread, in order."""
    return [kind_of(reply.text) for reply in slack.replies(card)]


def kind_of(reply: str) -> str:
    """Return the kind of the change that a reply announces."""
    return _word(reply, _KINDS)


def shows(card: Message) -> str:
    """Return the phase that a card shows."""
    return _word(card.text, _CARDS)


def cards(slack: Slack, meeting_id: str, channel: str = GENERAL) -> list[Message]:
    """Return the cards of a meeting in a channel, oldest first, without deleted ones."""
    return [message for message in slack.messages(channel) if _is_card(message, meeting_id)]


def _is_card(message: Message, meeting_id: str) -> bool:
    public = message.ephemeral_to is None and message.thread_ts in (None, message.ts)
    return public and any(f"`{meeting_id}`" in str(block) for block in message.blocks if block["type"] == "context")


async def until(condition: Callable[[], T | None], seconds: float = 60) -> T:
    """Return the condition's result as soon as it is true. Raises TimeoutError after so many real seconds."""
    async with asyncio.timeout(seconds):
        while True:
            if found := condition():
                return found
            await asyncio.sleep(0.01)


@dataclass
class Scenario:
    """A bot that follows meetings, in a world with a fast clock."""

    world: World

    @property
    def slack(self) -> Slack:
        return self.world.slack

    async def follow(self, meeting_id: str, level: str = "", channel: str = GENERAL) -> Message:
        """Follow a meeting; return its card."""
        await self.world.ask(f"follow {meeting_id} {level}", channel=channel)
        return await until(lambda: self.card(meeting_id, channel))

    def card(self, meeting_id: str, channel: str = GENERAL) -> Message | None:
        """Return the newest card of the meeting."""
        return next(reversed(cards(self.slack, meeting_id, channel)), None)

    async def until_announced(self, meeting_id: str, *kinds: str, channel: str = GENERAL) -> Message:
        """Wait until the newest card's thread has exactly these changes; return the card."""

        def announced() -> Message | None:
            card = self.card(meeting_id, channel)
            return card if card and replies_in(self.slack, card) == list(kinds) else None

        try:
            return await until(announced)
        except TimeoutError:
            card = self.card(meeting_id, channel)
            raise AssertionError(f"{card and replies_in(self.slack, card)} instead of {list(kinds)}") from None

    async def until_shown(self, meeting_id: str, phase: str, channel: str = GENERAL) -> Message:
        """Wait until the newest card shows a phase; return the card."""

        def shown() -> Message | None:
            card = self.card(meeting_id, channel)
            return card if card and shows(card) == phase else None

        try:
            return await until(shown)
        except TimeoutError:
            card = self.card(meeting_id, channel)
            raise AssertionError(f"{card and card.text!r} does not show {phase}") from None

    async def pass_time(self, seconds: float) -> None:
        """Let sandbox time pass, without a jump."""
        await self.world.slack.clock.sleep(seconds)

    def private_messages(self, user: str = ANN) -> list[Message]:
        """Return what the bot has sent to one person in their direct message."""
        ours = [channel.id for channel in self.slack.workspace.channels.values() if channel.is_im]
        return [
            message
            for channel in ours
            for message in self.slack.messages(channel)
            if user in self.slack.workspace.channels[channel].members
        ]

    @contextlib.asynccontextmanager
    async def process(self, database_url: str, die_at: str = "") -> AsyncIterator[BotProcess]:
        """Run a bot in a process of its own with the same time, which kills itself at `die_at`.

        Raises BotDidNotStart if that is before it is ready.
        """
        clock = self.slack.clock
        environment = settings_for(self.slack, self.slack.base_url, self.world.kit, self.world.kit_url, "http")
        environment |= {"DATABASE_URL": database_url, "PYTHONPATH": str(_REPOSITORY), "LOG_LEVEL": "DEBUG"}
        arguments = ["-m", "tests.scenarios.fast_bot", str(clock.now()), str(time.time()), str(clock.speed)]
        async with bot_process(environment, [*arguments, *([die_at] if die_at else [])]) as bot:
            yield bot


_REPOSITORY = Path(__file__).parents[2]
