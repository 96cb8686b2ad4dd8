"""A channel follows a meeting whose livestream starts, drops and ends from the panel."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Locator, expect

from sandbox.page.panel import DROP_SECONDS
from sandbox.running import GRACE_SECONDS, Sandbox
from sandbox.slack import ANN, Message
from tests.sandbox.page.browser.conftest import Room
from tests.sandbox.page.browser.tab import TAKES, Tab

pytestmark = pytest.mark.asyncio(loop_scope="session")

AN_END_TAKES = TAKES + GRACE_SECONDS * 1_000


@pytest_asyncio.fixture(loop_scope="session")
async def meeting(sandbox: Sandbox, room: Room) -> AsyncIterator[str]:
    """Yield a meeting of this test's own that was never live; unfollowed when the test is over."""
    meeting_id = sandbox.kit.add_meeting("Town hall").id
    yield meeting_id
    await sandbox.slack.command(f"unfollow {meeting_id}", user=ANN, channel=room.id)

    def is_over(message: Message) -> bool:
        return message.channel == room.id and "Stopped following" in message.text

    await sandbox.slack.wait_for_message(is_over, timeout=15)
    sandbox.kit.remove_meeting(meeting_id)


def cards(tab: Tab) -> Locator:
    """Return the public cards in the channel, oldest first."""
    return tab.messages.filter(has=tab.page.get_by_role("button", name="More actions"))


async def follow(tab: Tab, meeting_id: str) -> Locator:
    """Type the command; return the card."""
    await tab.say(f"/livestream follow {meeting_id}")
    await expect(cards(tab)).to_have_count(1)
    await expect(tab.message("Now following")).to_contain_text("here")
    return cards(tab).first


async def direct(tab: Tab, meeting_id: str, step: str) -> None:
    """Press a button of the meeting in the panel, and wait until that is done."""
    async with tab.page.expect_response(f"**/api/meetings/{meeting_id}/*"):
        await tab.meeting(meeting_id).get_by_role("button", name=step, exact=True).click()


async def choose(tab: Tab, card: Locator, choice: str) -> None:
    """Choose from the menu of a card."""
    await card.get_by_role("button", name="More actions").click()
    await tab.page.get_by_role("menuitem", name=choice).click()


async def test_whole_episode_is_shown_live_on_the_card_and_in_the_thread(
    tab: Tab, meeting: str, sandbox: Sandbox
) -> None:
    """A drop is only on the card, and the next episode has its own card."""
    card = await follow(tab, meeting)
    await expect(card).to_contain_text("Not live yet")
    await card.hover()
    await card.get_by_role("button", name="Reply in thread").click()
    replies = tab.thread.locator(".thread-count ~ .message")

    await direct(tab, meeting, "Start")
    await expect(card).to_contain_text("No video yet.")
    await expect(card).to_contain_text("Starting")
    await expect(replies.last).to_contain_text("Town hall is starting.")
    await direct(tab, meeting, "Go live")
    await expect(card).to_contain_text("Live · started")
    await expect(card.get_by_role("link", name="Watch")).to_be_visible()
    await expect(replies.last).to_contain_text("Town hall is live")
    sandbox.clock.speed = 0  # dropped for as long as the card needs to show it
    await direct(tab, meeting, "Drop 5 s")
    await expect(card).to_contain_text("Reconnecting")
    await expect(card.get_by_role("link", name="Watch")).to_have_count(0)
    sandbox.clock.speed = 1
    sandbox.clock.advance(DROP_SECONDS)
    await expect(card).to_contain_text("Live · started")
    await expect(replies).to_have_count(2)
    await direct(tab, meeting, "End")
    await expect(replies.last).to_contain_text(
        "Town hall has ended. It was live for less than a minute.", timeout=AN_END_TAKES
    )
    await expect(card).to_contain_text("Ended")
    await expect(card.get_by_role("link", name="Watch")).to_have_count(0)
    await expect(replies).to_have_count(3)

    await direct(tab, meeting, "Go live")

    await expect(cards(tab)).to_have_count(2)
    await expect(cards(tab).last).to_contain_text("Live · started")
    await expect(cards(tab).last).to_contain_text("1 reply")
    await expect(cards(tab).first).to_contain_text("Ended")


async def test_menu_changes_the_level_and_unfollows(tab: Tab, meeting: str) -> None:
    card = await follow(tab, meeting)
    await choose(tab, card, "Loud – also post in channel")
    await expect(card).to_contain_text("Loud: thread and channel")
    await direct(tab, meeting, "Go live")
    notice = tab.message("replied to a thread")
    await expect(notice).to_contain_text("Town hall is live")

    await choose(tab, card, "Quiet – card only")
    await expect(card).to_contain_text("Quiet: card only")
    await choose(tab, card, "Unfollow")

    over = tab.message("No longer followed here")
    await expect(over).to_be_visible()
    await expect(cards(tab)).to_have_count(0)
    await tab.press(over, "Follow again")
    await expect(cards(tab)).to_have_count(1)
