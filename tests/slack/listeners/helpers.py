"""What people do about follows, and what the channel then sees."""

from uuid import UUID

import pytest

from bot.notifications.timing import EDIT_DEBOUNCE_SECONDS
from bot.slack.messages import lookup_card
from bot.slack.messages.message import ActionValue, MenuAction
from sandbox.realtimekit import seeds
from sandbox.slack import ANN, GENERAL, Delivery, Message
from tests.conftest import PATIENCE, World
from tests.slack.helpers import elements, is_public

BOTH_MODES = pytest.mark.parametrize("mode", ["http", "socket"])
"""For one test of each kind of request: over HTTP and in Socket Mode, what people do is served the same."""


def actions(message: Message) -> list[str]:
    return [element["action_id"] for element in elements(message)]


def spoil_buttons(message: Message) -> None:
    """Give the buttons values of another version of the bot."""
    for element in elements(message):
        element["value"] = '{"from": "long ago"}'


async def press(world: World, message: Message, label: str, user: str = ANN) -> Delivery:
    """Press the button with this label."""
    (button,) = [element for element in elements(message) if element["text"]["text"] == label]
    return await world.slack.click(message, button["action_id"], user=user, value=button["value"])


async def follow(
    world: World, meeting_id: str = seeds.LIVE, how: str = "", *, channel: str = GENERAL
) -> tuple[Message, Message]:
    """Have a meeting followed by command; the private answer, and the card, which may be edited at once."""
    answer = await world.ask(f"follow {meeting_id} {how}", channel=channel)
    card = await world.next_message(is_public)
    world.slack.clock.advance(EDIT_DEBOUNCE_SECONDS)
    return answer, card


async def following(world: World, channel: str = GENERAL) -> str:
    """Return what the channel follows, in words."""
    return (await world.ask("following", channel=channel)).text


async def choose(
    world: World, card: Message, choice: MenuAction, *, user: str = ANN, meeting_id: str = seeds.LIVE
) -> Delivery:
    """Choose from the menu of a card as it is now."""
    state = ActionValue(m=str(UUID(meeting_id)), do=choice)
    return await world.slack.click(card, lookup_card.FOLLOW_MENU, user=user, value=state.value())


async def told(world: World, card: Message, choice: MenuAction, *, user: str = ANN) -> str:
    """Choose from a card's menu, and return the reply."""
    return (await world.answer(await choose(world, card, choice, user=user))).text


async def changed(world: World, card: Message, text: str = "") -> Message:
    """Wait until the card changes and has this text, and return it."""
    return await world.slack.wait_for_message(
        lambda now: now.ts == card.ts and now != card and text in now.text, timeout=PATIENCE
    )


async def unfollowed(world: World, card: Message) -> Message:
    """Unfollow the card's meeting by command, and return the card that says so."""
    await world.ask(f"unfollow {seeds.LIVE}")
    return await changed(world, card, "no longer followed")


async def paused(world: World, reason: str = "not_in_channel", channel: str = GENERAL) -> Message:
    """Return a card whose follow was set aside when it was to be edited, in a channel that the bot is in."""
    await world.logged("channels_checked")  # the first check would end the pause
    if not world.slack.workspace.channels[channel].has_bot:
        world.slack.invite_bot(channel)
        await world.logged("follows_resumed")  # later, the event would end the pause
    _, card = await follow(world, channel=channel)
    world.slack.refuse_next("chat.update", reason)
    await choose(world, card, MenuAction.LOUD)
    while "Paused" not in await following(world, channel):
        pass  # the announcer is at it
    return card
