"""The terminal's walk-through: the commands that Ann types and the replies that she reads, line by line."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from bot.slack.responder import STILL_CHECKING
from sandbox import terminal
from sandbox.realtimekit import SEEDS, Meeting, RealtimeKit
from sandbox.realtimekit.seeds import NEVER_LIVE
from sandbox.slack import ANN, GENERAL, Message, Outcome, Slack

GRACE_SECONDS = 5
"""Longer than the interval between a card's edits, so that a drop shows, but short."""

_NO_SUCH_MEETING = "00000000-0000-4000-8000-000000000000"
_PATIENCE = 15.0


@dataclass(frozen=True, slots=True)
class _Step:
    """A change to a meeting, and what a following channel then sees: a reply, the card, or both."""

    about: str
    act: Callable[[str], Meeting]
    reply: str = ""
    card: str = ""


async def questions(slack: Slack) -> AsyncIterator[str]:
    """Have Ann look up each meeting, a meeting that does not exist, and two at once."""
    for text, why in _questions():
        yield ""
        yield f"# {why}"
        async for line in _ask(slack, text):
            yield line


async def following(slack: Slack, kit: RealtimeKit) -> AsyncIterator[str]:
    """Have Ann follow a meeting whose livestream then starts, drops, comes back and ends."""
    yield ""
    yield "# Follow a meeting: its card stays up to date, and each change is a reply in its thread"
    text = f"follow {NEVER_LIVE}"
    yield f"Ann: {slack.command_name} {text}"
    await slack.command(text, user=ANN, channel=GENERAL)
    card = await _public(slack, lambda message: "is not live yet" in message.text)
    for line in terminal.lines(card, _names(slack)):
        yield f"    {line}"
    for step in _steps(kit):
        yield ""
        yield f"# {step.about}"
        step.act(NEVER_LIVE)
        async for line in _seen(slack, card, step):
            yield line
    yield ""
    yield "Done. `make demo` opens the page."


async def _seen(slack: Slack, card: Message, step: _Step) -> AsyncIterator[str]:
    if step.reply:
        reply = await _public(slack, lambda message: message.thread_ts == card.ts and step.reply in message.text)
        for number, line in enumerate(terminal.lines(reply, _names(slack))):
            yield f"      {'↳' if number == 0 else ' '} {line}"
    if step.card:
        edited = await _public(slack, lambda message: message.ts == card.ts and step.card in message.text)
        for line in terminal.lines(edited, _names(slack)):
            yield f"    {line}"


def _steps(kit: RealtimeKit) -> list[_Step]:
    grace = f"within the grace period: {GRACE_SECONDS} seconds here, normally a minute"
    return [
        _Step("The livestream is requested", kit.start, reply="is starting"),
        _Step("It goes live", kit.go_live, reply="is live", card="is live"),
        _Step("It drops: the card says so, without a ping", kit.drop, card="has been reconnecting"),
        _Step(f"It is back {grace}", kit.go_live, card="is live"),
        _Step("It ends, and doesn't come back in time", kit.end, reply="has ended", card="has ended"),
    ]


def _questions() -> list[tuple[str, str]]:
    return [
        ("", "No arguments: shows the help"),
        *((seed.id, seed.about) for seed in SEEDS),
        (_NO_SUCH_MEETING, "A meeting that does not exist"),
        (f"{SEEDS[0].id} or {SEEDS[1].id}", "Two meetings at once"),
    ]


async def _ask(slack: Slack, text: str) -> AsyncIterator[str]:
    known = {message.ts for message in slack.messages(GENERAL, ANN)}
    yield f"Ann: {slack.command_name} {text}".rstrip()
    delivery = await slack.command(text, user=ANN, channel=GENERAL)
    if delivery.outcome is not Outcome.OK:
        yield f"    ({delivery.outcome})"
        return

    def is_new(message: Message) -> bool:
        return message.ephemeral_to == ANN and message.ts not in known and message.text != STILL_CHECKING

    answer = await slack.wait_for_message(is_new, timeout=_PATIENCE)
    for line in terminal.lines(answer, _names(slack)):
        yield f"    {line}"


def _names(slack: Slack) -> dict[str, str]:
    return {user.id: user.real_name for user in slack.workspace.users.values()}


async def _public(slack: Slack, predicate: Callable[[Message], bool]) -> Message:
    return await slack.wait_for_message(
        lambda message: message.ephemeral_to is None and predicate(message), timeout=_PATIENCE
    )
