"""People who type commands and press buttons, one at a time, and count the answers."""

import asyncio
import itertools
import random
import string
import uuid
from collections import Counter
from dataclasses import dataclass, field

from bench.soak.answers import Answers
from bench.soak.workspace import BROADCAST, LOOKED_UP, Workspace
from bot.slack.messages import lookup_card
from sandbox.slack import Message, Outcome, Slack

ANSWER_SECONDS = 30.0
THINK_SECONDS = 2.5
_ANSWERED_BUTTONS = (lookup_card.REFRESH, lookup_card.FOLLOW_HERE, lookup_card.POST_HERE)


@dataclass(slots=True)
class Tally:
    """Counts of what people did, and of the answers. Lost: not acknowledged, or acknowledged but not answered."""

    done: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    answered: int = 0
    longest_ack_ms: float = 0.0
    lost: Counter[str] = field(default_factory=Counter)

    @property
    def asked(self) -> int:
        """The number of commands and clicks."""
        return self.done.total()


class Person:
    """A worker that does one thing at a time, each as another user, so that a late message can't pass for an answer."""

    def __init__(self, slack: Slack, answers: Answers, workspace: Workspace, names: list[str], tally: Tally) -> None:
        self._slack = slack
        self._answers = answers
        self._workspace = workspace
        self._names = itertools.cycle(names)
        self._tally = tally
        self._rng = random.Random(names[0])
        self._last: Message | None = None

    async def live(self, until: asyncio.Event) -> None:
        """Work until the given time, and finish the last action."""
        while not until.is_set():
            await asyncio.sleep(self._rng.expovariate(1 / THINK_SECONDS))
            await (self._click() if self._rng.random() < 0.25 else self._type())

    async def _type(self) -> None:
        what, text = self._command()
        await self._do(what, next(self._names), self._rng.choice(self._workspace.channels), text)

    def _command(self) -> tuple[str, str]:
        """Return a command's kind and its text."""
        rng = self._rng
        followed = rng.choice(BROADCAST)
        return rng.choice(
            [
                ("lookup", rng.choice([*BROADCAST, *LOOKED_UP])),
                ("lookup", rng.choice(LOOKED_UP)),
                ("lookup of a missing meeting", str(uuid.UUID(int=rng.getrandbits(128), version=4))),
                ("follow", f"follow {followed} {rng.choice(['', 'quiet', 'loud'])}"),
                ("unfollow", f"unfollow {followed}"),
                ("following", "following"),
                ("following", "following"),
                ("help", "help"),
                ("nonsense", _nonsense(rng)),
                ("nonsense", f"follow {_nonsense(rng)}"),
                ("several IDs", " ".join(rng.sample(BROADCAST, 3))),
            ]
        )

    async def _do(self, what: str, name: str, channel: str, text: str) -> None:
        answer = self._answers.expect(name)
        delivery = await self._slack.command(text, user=name, channel=channel)
        await self._count(what, delivery.outcome, delivery.ack_ms, name, answer)

    async def _click(self) -> None:
        """Press a button of the last answer, or choose an option from a card's menu."""
        if self._rng.random() < 0.3:
            await self._choose()
        elif self._last is not None and self._last.ephemeral_to is not None:
            message, self._last = self._last, None
            await self._press(message)

    async def _press(self, message: Message) -> None:
        there = [button for button in (*_ANSWERED_BUTTONS, lookup_card.WATCH) if f"'{button}'" in str(message.blocks)]
        if not there:
            return
        button, name = self._rng.choice(there), message.ephemeral_to or ""
        answer = self._answers.expect(name)
        if button == lookup_card.WATCH:
            answer.set_result(message)
        await self._clicked(button, message, name, None, answer)

    async def _choose(self) -> None:
        found = self._workspace.random_card(self._rng)
        if found is None:
            return
        card, value = found
        name = next(self._names)
        await self._clicked("menu", card, name, value, self._answers.expect(name))

    async def _clicked(
        self, what: str, message: Message, name: str, value: str | None, answer: asyncio.Future[Message]
    ) -> None:
        action = lookup_card.FOLLOW_MENU if what == "menu" else what
        try:
            delivery = await self._slack.click(message, action, user=name, value=value)
        except LookupError:  # another person was faster
            self._answers.forget(name)
            return
        await self._count(f"click {what}", delivery.outcome, delivery.ack_ms, name, answer)

    async def _count(
        self, what: str, outcome: Outcome, ack_ms: float, name: str, answer: asyncio.Future[Message]
    ) -> None:
        tally = self._tally
        tally.done[what] += 1
        if outcome is not Outcome.OK:
            tally.lost[f"{what}: {outcome.value}"] += 1
            self._answers.forget(name)
            return
        tally.acknowledged += 1
        tally.longest_ack_ms = max(tally.longest_ack_ms, ack_ms)
        try:
            self._last = await asyncio.wait_for(answer, ANSWER_SECONDS)
            tally.answered += 1
        except TimeoutError:
            tally.lost[f"{what}: no answer"] += 1
        finally:
            self._answers.forget(name)


def _nonsense(rng: random.Random) -> str:
    letters = string.ascii_letters + " <>&*_`äß漢🎥\u202e-"
    return "".join(rng.choices(letters, k=rng.choice([1, 20, 200, 3000])))
