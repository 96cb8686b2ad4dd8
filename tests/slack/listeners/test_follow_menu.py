"""The menu of a followed meeting's card."""

import pytest

from bot.errors import NotFollowed
from bot.sandbox.realtimekit import seeds
from bot.sandbox.slack import BEN, Message
from bot.slack import cards, follow_words
from bot.slack.messages import Choice
from tests.conftest import World
from tests.slack.listeners.acting import changed, choose, follow, following, told


@pytest.mark.parametrize(
    ("choice", "said"),
    [(Choice.QUIET, "From now on: quiet (the card alone)."), (Choice.LOUD, "From now on: loud (“live” and “ended”")],
)
async def test_volume(connected: World, choice: Choice, said: str) -> None:
    """Anyone may make it quieter or louder; who did is told, and the card offers what is left to choose."""
    _, card = await follow(connected)

    answer = await told(connected, card, choice, user=BEN)
    now = await changed(connected, card, lambda message: message != card)

    assert answer.startswith(said)
    assert f"{choice.value} (" in await following(connected)
    with pytest.raises(LookupError):
        await choose(connected, now, choice)


async def test_unfollow(connected: World) -> None:
    """The same as by command."""
    _, card = await follow(connected)

    answer = await told(connected, card, Choice.UNFOLLOW, user=BEN)
    await changed(connected, card, lambda message: "no longer followed" in message.text)

    assert answer == "This channel does not follow *Launch keynote* any more."
    assert await following(connected) == follow_words.NOTHING_FOLLOWED


async def test_refresh(connected: World) -> None:
    """Cloudflare is asked again at once, and the card shows what has changed."""
    _, card = await follow(connected)
    connected.kit.end(seeds.LIVE)

    answer = await told(connected, card, Choice.REFRESH)
    now = await changed(connected, card, lambda message: "reconnecting" in message.text)

    assert answer == follow_words.REFRESHING
    assert now.ts == card.ts


@pytest.mark.parametrize("choice", [Choice.QUIET, Choice.REFRESH, Choice.UNFOLLOW])
async def test_not_followed_any_more(connected: World, choice: Choice) -> None:
    """A card whose end could not be shown on it does nothing any more, and says so."""
    _, card = await follow(connected)
    connected.slack.refuse_next("chat.update", "cant_update_message")
    await connected.ask(f"unfollow {seeds.LIVE}")
    await connected.logged("card_left_as_it_was")

    assert await told(connected, card, choice) == NotFollowed().sentence


@pytest.mark.parametrize("value", ['{"from": "long ago"}', '{"m": "50c8940e-1b97-402a-97d6-2708b7feca41"}'])
async def test_option_of_another_version(connected: World, value: str) -> None:
    """An option that is not understood is answered with what to do."""
    _, card = await follow(connected)
    set_values(card, value)

    answer = await connected.answer(await connected.slack.click(card, cards.FOLLOW_MENU, value=value))

    assert "another version" in answer.text
    assert "Type `/livestream` and the meeting ID" in answer.text


def set_values(card: Message, value: str) -> None:
    for block in card.blocks:
        for option in block.get("accessory", {}).get("options", ()):
            option["value"] = value
