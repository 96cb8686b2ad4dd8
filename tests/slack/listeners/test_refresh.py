"""*Refresh*, on a private answer and on a public card."""

import pytest

from bot.errors import MeetingNotFound, ServerError
from bot.realtimekit.lookup import ANSWER_SECONDS
from bot.slack.messages import lookup_card
from sandbox.realtimekit import Fault, seeds
from sandbox.slack import ANN, BEN, GENERAL, RESPONSE_URL, Delivery, Message
from tests.conftest import World
from tests.slack.helpers import is_public
from tests.slack.listeners.helpers import BOTH_MODES, changed, follow, spoil_buttons


async def refresh(world: World, message: Message, user: str = ANN) -> Delivery:
    """Press *Refresh* when the last lookup is not cached anymore."""
    world.slack.clock.advance(ANSWER_SECONDS)
    return await world.slack.click(message, lookup_card.REFRESH, user=user)


async def post_card(world: World) -> Message:
    await world.slack.click(await world.ask(seeds.LIVE), lookup_card.POST_HERE)
    return await world.next_message(is_public)


@BOTH_MODES
async def test_refresh_updates_a_private_answer_in_place(connected: World) -> None:
    """After the end, nothing is left to watch."""
    answer = await connected.ask(seeds.LIVE)
    connected.kit.end(seeds.LIVE)

    await refresh(connected, answer)
    now = await changed(connected, answer)

    assert (now.ephemeral_to, now.text) == (ANN, "Launch keynote is not live.")
    assert "cloudflarestream" not in str(now.blocks)
    assert len(connected.slack.messages(GENERAL, ANN)) == 1


async def test_private_answer_shows_an_outage_its_end_and_that_the_meeting_was_deleted(connected: World) -> None:
    answer = await connected.ask(seeds.LIVE)
    connected.kit.fault = Fault.SERVER_ERROR
    await refresh(connected, answer)
    unknown = await changed(connected, answer)
    connected.kit.fault = Fault.NONE
    await refresh(connected, unknown)
    known = await changed(connected, unknown)
    connected.kit.remove_meeting(seeds.LIVE)
    await refresh(connected, known)
    missing = await changed(connected, known)

    assert unknown.text == ServerError(500).sentence
    assert known.text.startswith("Launch keynote is live")
    assert missing.text == MeetingNotFound().sentence


async def test_anyone_can_refresh_a_public_card_which_an_outage_does_not_change(connected: World) -> None:
    """It changes for everyone, and still names the person who posted it. Of an outage, only who clicked gets a note."""
    card = await post_card(connected)
    connected.kit.fault = Fault.SERVER_ERROR
    told = await connected.answer(await refresh(connected, card, BEN))

    assert told.text == ServerError(500).sentence
    assert card in connected.slack.messages(GENERAL, ANN)

    connected.kit.fault = Fault.NONE
    connected.kit.end(seeds.LIVE)
    await refresh(connected, card, BEN)
    now = await changed(connected, card)

    assert (now.ephemeral_to, now.text) == (None, "Launch keynote is not live.")
    assert f"Posted by <@{ANN}>" in str(now.blocks)


async def test_crowd_that_presses_one_card_costs_one_edit(connected: World) -> None:
    card = await post_card(connected)
    connected.kit.end(seeds.LIVE)
    connected.slack.clock.advance(ANSWER_SECONDS)
    connected.slack.clock.speed = 0

    for user in (ANN, BEN) * 10:
        await connected.slack.click(card, lookup_card.REFRESH, user=user)
    await connected.idle()

    assert [call.method for call in connected.slack.calls].count("chat.update") == 1
    (now,) = [message for message in connected.slack.messages(GENERAL) if message.ts == card.ts]
    assert now.text == "Launch keynote is not live."


async def test_refresh_with_an_expired_response_url_gives_a_new_answer(connected: World) -> None:
    answer = await connected.ask(seeds.LIVE)
    connected.slack.refuse_next(RESPONSE_URL, "expired_url")

    await refresh(connected, answer)

    assert (await connected.told_beside(answer)).text.startswith("Launch keynote is live")
    assert "chat.postEphemeral" in [call.method for call in connected.slack.calls]


async def test_button_of_another_version_is_answered_with_what_to_do(connected: World) -> None:
    answer = await connected.ask(seeds.LIVE)
    spoil_buttons(answer)

    for button in (lookup_card.REFRESH, lookup_card.POST_HERE, lookup_card.FOLLOW_HERE):
        told = await connected.answer(await connected.slack.click(answer, button))

        assert "This message is too old to use" in told.text
        assert "Type `/livestream` and the meeting ID" in told.text


@pytest.mark.parametrize("by", ["command", "refresh"])
async def test_card_shows_what_a_person_found_out(world: World, by: str) -> None:
    """Where the list of livestreams leaves it out for good."""
    world.kit.freeze_list()
    async with world.bot():
        _, card = await follow(world, seeds.IDLE)
        await world._until("/metrics", 'livestream_bot_meeting_checks_total{outcome="not_broadcasting"}')
        private = await world.ask(seeds.IDLE)
        world.slack.clock.advance(ANSWER_SECONDS)
        world.kit.go_live(seeds.IDLE)

        if by == "command":
            await world.ask(seeds.IDLE)
        else:
            await world.slack.click(private, lookup_card.REFRESH)

        await changed(world, card, " is live.")


@pytest.mark.parametrize("what", ["title", "deletion"])
async def test_lookup_of_a_waiting_meeting_updates_its_card(connected: World, what: str) -> None:
    """No list shows a new title, or that the meeting no longer exists. Clients remember a title for 45 seconds."""
    _, card = await follow(connected, seeds.IDLE)
    await connected._until("/metrics", 'livestream_bot_meeting_checks_total{outcome="not_broadcasting"}')
    await connected.ask(seeds.IDLE)
    connected.slack.clock.advance(60)
    if what == "title":
        connected.kit.change(seeds.IDLE, title="Launch rehearsal")
    else:
        connected.kit.remove_meeting(seeds.IDLE)

    await connected.ask(seeds.IDLE)

    await changed(connected, card, "Launch rehearsal" if what == "title" else "not found")
