"""*Refresh*, on a private answer and on a public card."""

import io

from bot.errors import MeetingNotFound, ServerError
from bot.slack.messages import lookup_card
from sandbox.realtimekit import Fault, seeds
from sandbox.slack import ANN, BEN, BOT, GENERAL, RESPONSE_URL, Message, Slack
from tests.conftest import PATIENCE, World

MEMORY = 3
"""Seconds after which an answer is not kept any longer."""


async def changed(slack: Slack, message: Message) -> Message:
    """Wait until the message changes, and return it."""
    return await slack.wait_for_message(lambda now: now.ts == message.ts and now != message, timeout=PATIENCE)


async def post_card(world: World, meeting_id: str) -> Message:
    answer = await world.ask(meeting_id)
    await world.slack.click(answer, lookup_card.POST_HERE)
    return await world.next_message(lambda message: message.ephemeral_to is None and message.author == BOT)


async def test_refresh_updates_a_private_answer_in_place(connected: World) -> None:
    answer = await connected.ask(seeds.LIVE)
    connected.kit.end(seeds.LIVE)

    connected.slack.clock.advance(MEMORY)
    await connected.slack.click(answer, lookup_card.REFRESH)
    now = await changed(connected.slack, answer)

    assert now.ephemeral_to == ANN
    assert now.text == "Launch keynote is not live."
    assert len(connected.slack.messages(GENERAL, ANN)) == 1


async def test_no_stale_watch(connected: World) -> None:
    """After the end there is nothing left to watch on the refreshed answer."""
    answer = await connected.ask(seeds.LIVE)
    connected.kit.end(seeds.LIVE)

    connected.slack.clock.advance(MEMORY)
    await connected.slack.click(answer, lookup_card.REFRESH)
    now = await changed(connected.slack, answer)

    assert "cloudflarestream" not in str(now.blocks) + now.text


async def test_anyone_can_refresh_a_public_card(connected: World) -> None:
    """It changes for everyone, and still names the person who posted it."""
    card = await post_card(connected, seeds.LIVE)
    connected.kit.end(seeds.LIVE)

    connected.slack.clock.advance(MEMORY)
    await connected.slack.click(card, lookup_card.REFRESH, user=BEN)
    now = await changed(connected.slack, card)

    assert now.text == "Launch keynote is not live."
    assert f"Posted by <@{ANN}>" in str(now.blocks)
    assert now.ephemeral_to is None


async def test_a_crowd_that_presses_one_card_costs_one_edit(connected: World) -> None:
    card = await post_card(connected, seeds.LIVE)
    connected.kit.end(seeds.LIVE)
    connected.slack.clock.advance(MEMORY)
    connected.slack.clock.speed = 0

    for user in (ANN, BEN) * 10:
        await connected.slack.click(card, lookup_card.REFRESH, user=user)
    await connected.idle()

    assert [call.method for call in connected.slack.calls].count("chat.update") == 1
    (now,) = [message for message in connected.slack.messages(GENERAL) if message.ts == card.ts]
    assert now.text == "Launch keynote is not live."


async def test_private_answer_in_an_outage(connected: World) -> None:
    """When Cloudflare is unreachable the private answer says so, and can be tried again until it is back."""
    answer = await connected.ask(seeds.LIVE)
    connected.kit.fault = Fault.SERVER_ERROR
    connected.slack.clock.advance(MEMORY)
    await connected.slack.click(answer, lookup_card.REFRESH)
    unknown = await changed(connected.slack, answer)
    connected.kit.fault = Fault.NONE

    connected.slack.clock.advance(MEMORY)
    await connected.slack.click(unknown, lookup_card.REFRESH)
    known = await changed(connected.slack, unknown)

    assert unknown.text == ServerError(500).sentence
    assert known.text.startswith("Launch keynote is live")


async def test_public_card_in_an_outage(connected: World) -> None:
    """If Cloudflare is unreachable, the public card does not change, and only the person who clicked gets a message."""
    card = await post_card(connected, seeds.LIVE)
    connected.kit.fault = Fault.SERVER_ERROR

    connected.slack.clock.advance(MEMORY)
    told = await connected.answer(await connected.slack.click(card, lookup_card.REFRESH, user=BEN))

    assert told.text == ServerError(500).sentence
    assert card in connected.slack.messages(GENERAL, ANN)


async def test_meeting_deleted_meanwhile(connected: World) -> None:
    """The card says that a deleted meeting is gone."""
    answer = await connected.ask(seeds.LIVE)
    connected.kit.remove_meeting(seeds.LIVE)

    connected.slack.clock.advance(MEMORY)
    await connected.slack.click(answer, lookup_card.REFRESH)
    now = await changed(connected.slack, answer)

    assert now.text == MeetingNotFound().sentence


async def test_used_up_response_url(connected: World) -> None:
    """If the response_url has expired, there is a new private answer."""
    answer = await connected.ask(seeds.LIVE)
    connected.slack.refuse_next(RESPONSE_URL, "expired_url")

    connected.slack.clock.advance(MEMORY)
    await connected.slack.click(answer, lookup_card.REFRESH)
    anew = await connected.told_beside(answer)

    assert anew.text.startswith("Launch keynote is live")


async def test_button_of_another_version(connected: World, log: io.StringIO) -> None:
    """A button whose value is not understood is answered with what to do."""
    answer = await connected.ask(seeds.LIVE)
    [actions] = [block for block in answer.blocks if block["type"] == "actions"]
    actions["elements"][1]["value"] = '{"from": "long ago"}'

    connected.slack.clock.advance(MEMORY)
    await connected.slack.click(answer, lookup_card.REFRESH)
    told = await connected.told_beside(answer)

    assert "Type `/livestream` and the meeting ID" in told.text
