"""A channel follows a meeting whose livestream starts, drops, fails and ends from the panel."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Locator, expect

from sandbox.page.panel import DROP_SECONDS, FAILURE
from sandbox.running import GRACE_SECONDS, Sandbox
from sandbox.slack import ANN, Message
from tests.sandbox.page.browser.conftest import Tabs
from tests.sandbox.page.browser.tab import TAKES, Tab

pytestmark = pytest.mark.asyncio(loop_scope="session")

AN_END_TAKES = TAKES + GRACE_SECONDS * 1_000


@pytest_asyncio.fixture(loop_scope="session")
async def meeting(sandbox: Sandbox, tabs: Tabs, room: str) -> AsyncIterator[str]:
    """A meeting of this test's own that was never live; unfollowed when the test is over."""
    meeting_id = sandbox.kit.add_meeting("Town hall").id
    yield meeting_id
    sandbox.kit.webhooks_held = False
    sandbox.slack.invite_bot(room)
    await sandbox.slack.command(f"unfollow {meeting_id}", user=ANN, channel=room)

    def is_over(message: Message) -> bool:
        return message.channel == room and "Stopped following" in message.text

    await sandbox.slack.wait_for_message(is_over, timeout=15)
    sandbox.kit.remove_meeting(meeting_id)


def cards(tab: Tab) -> Locator:
    """Return the public cards in the channel, oldest first."""
    return tab.messages.filter(has=tab.page.get_by_role("button", name="More actions"))


async def follow(tab: Tab, meeting_id: str, how: str = "") -> Locator:
    """Type the command; return the card."""
    known = await cards(tab).count()
    await tab.say(f"/livestream follow {meeting_id} {how}".rstrip())
    card = cards(tab).nth(known)
    await expect(card).to_be_visible(timeout=TAKES)
    await expect(tab.message("Now following")).to_contain_text("here")
    return card


async def open_thread(tab: Tab, card: Locator) -> Locator:
    """Open the card's thread; return its replies."""
    await card.hover()
    await card.get_by_role("button", name="Reply in thread").click()
    await expect(tab.thread).to_be_visible()
    return tab.thread.locator(".thread-count ~ .message")


async def direct(tab: Tab, meeting_id: str, *steps: str) -> None:
    """Press the meeting's buttons in the panel, each after the effect of the one before."""
    for step in steps:
        async with tab.page.expect_response(f"**/api/meetings/{meeting_id}/*"):
            await tab.meeting(meeting_id).get_by_role("button", name=step, exact=True).click()


async def drop(tab: Tab, meeting_id: str, card: Locator, sandbox: Sandbox) -> None:
    """Drop for as long as the card needs to show it; the sandbox's clock is stopped meanwhile."""
    sandbox.clock.speed = 0
    await direct(tab, meeting_id, "Drop 5 s")
    await shows_text(card, "Reconnecting")
    await expect(card.get_by_role("link", name="Watch")).to_have_count(0)
    sandbox.clock.speed = 1
    sandbox.clock.advance(DROP_SECONDS)


async def choose(tab: Tab, card: Locator, choice: str) -> None:
    """Choose from the menu of a card."""
    await card.get_by_role("button", name="More actions").click()
    await tab.page.get_by_role("menuitem", name=choice).click()


async def shows_text(message: Locator, words: str, within: float = TAKES) -> None:
    """Wait for the text; `within` is in milliseconds."""
    await expect(message).to_contain_text(words, timeout=within)


async def test_whole_episode_is_shown_live_on_the_card_and_in_the_thread(
    tab: Tab, meeting: str, sandbox: Sandbox
) -> None:
    """A drop is only on the card, and the next episode has its own card."""
    card = await follow(tab, meeting)
    await shows_text(card, "Not live yet")
    replies = await open_thread(tab, card)

    await direct(tab, meeting, "Start")
    await shows_text(card, "No video yet.")
    await shows_text(card, "Starting")
    await shows_text(replies.last, "Town hall is starting.")
    await direct(tab, meeting, "Go live")
    await shows_text(card, "Live · started")
    await expect(card.get_by_role("link", name="Watch")).to_be_visible()
    await shows_text(replies.last, "Town hall is live")
    await drop(tab, meeting, card, sandbox)
    await shows_text(card, "Live · started")
    await expect(replies).to_have_count(2)
    await direct(tab, meeting, "End")
    await shows_text(replies.last, "Town hall has ended. It was live for less than a minute.", AN_END_TAKES)
    await shows_text(card, "Ended")
    await expect(card.get_by_role("link", name="Watch")).to_have_count(0)
    await expect(replies).to_have_count(3)

    await direct(tab, meeting, "Go live")

    await expect(cards(tab)).to_have_count(2, timeout=TAKES)
    await shows_text(cards(tab).last, "Live · started")
    await shows_text(cards(tab).last, "1 reply")
    await shows_text(cards(tab).first, "Ended")


async def test_error_is_announced_with_its_reason_after_a_refresh(tab: Tab, meeting: str) -> None:
    """No webhook reports it."""
    await direct(tab, meeting, "Go live")
    card = await follow(tab, meeting)
    await shows_text(card, "Live · started")
    replies = await open_thread(tab, card)

    await direct(tab, meeting, "Error")
    await choose(tab, card, "Refresh")
    await shows_text(card, FAILURE)
    await shows_text(replies.last, f"Town hall hit an error: {FAILURE}.")
    await direct(tab, meeting, "Go live")

    await shows_text(replies.last, "Town hall is live again.")
    await shows_text(card, "Live · started")
    await expect(replies).to_have_count(2)


async def test_menu_changes_the_level_and_unfollows(tab: Tab, meeting: str) -> None:
    card = await follow(tab, meeting)
    await choose(tab, card, "Loud – also post in channel")
    await shows_text(card, "Loud: thread and channel")
    await direct(tab, meeting, "Go live")
    notice = tab.message("replied to a thread")
    await shows_text(notice, "Town hall is live")

    await choose(tab, card, "Quiet – card only")
    await shows_text(card, "Quiet: card only")
    await direct(tab, meeting, "End")
    await shows_text(card, "Ended", AN_END_TAKES)
    await shows_text(card, "1 reply")
    await choose(tab, card, "Unfollow")

    over = tab.message("No longer followed here")
    await expect(over).to_be_visible(timeout=TAKES)
    await expect(cards(tab)).to_have_count(0)
    await tab.press(over, "Follow again")
    await expect(cards(tab)).to_have_count(1, timeout=TAKES)


async def test_follow_here_posts_a_card_and_the_list_shows_who_followed(tab: Tab, meeting: str) -> None:
    answer = await tab.ask(meeting)

    await tab.press(answer, "Follow here")

    await expect(cards(tab)).to_have_count(1, timeout=TAKES)
    await shows_text(tab.message("Only visible to you"), "Now following Town hall here.")
    await tab.say("/livestream following")
    listed = tab.message("This channel follows 1 meeting.")
    await shows_text(listed, "Town hall not live yet")
    await shows_text(listed, "updates in thread · added by @Ann")
    await tab.say(f"/livestream follow {meeting}")
    again = tab.message("This channel already follows Town hall.")
    await expect(again.get_by_role("link", name="See its card")).to_be_visible(timeout=TAKES)


async def test_deleted_card_is_posted_again_with_the_next_change(tab: Tab, meeting: str) -> None:
    card = await follow(tab, meeting)
    await card.hover()
    await card.get_by_role("button", name="Message menu").click()
    await tab.page.get_by_role("menuitem").click()
    await tab.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(cards(tab)).to_have_count(0)

    await direct(tab, meeting, "Go live")

    await expect(cards(tab)).to_have_count(1, timeout=TAKES)
    await shows_text(card, "Live · started")
    await shows_text(card, "1 reply")


async def test_follower_gets_a_direct_message_when_the_bot_is_removed(tab: Tab, meeting: str, room: str) -> None:
    """Once invited, the bot continues with the pending changes."""
    card = await follow(tab, meeting)
    await tab.say("/remove @Livestream")
    await expect(tab.page.locator("#channel-about")).to_contain_text("Livestream is not in this channel")
    await direct(tab, meeting, "Go live")

    chat = tab.page.locator("#direct-list").get_by_role("button", name="Livestream")
    await shows_text(chat, "1 new")
    await chat.click()
    await shows_text(tab.latest, f"Meeting {meeting}")
    await shows_text(tab.latest, "I'll pick up where I left off.")
    await tab.page.locator(f"[data-channel={room}]").click()
    await expect(card.get_by_role("button", name="1 reply")).to_have_count(0)
    await tab.say("/invite @Livestream")

    await shows_text(card, "1 reply")
    await shows_text(card, "Live · started")


async def test_change_without_a_webhook_is_found_by_polling(tab: Tab, meeting: str, sandbox: Sandbox) -> None:
    """Released webhooks announce nothing twice."""
    card = await follow(tab, meeting)
    hold = tab.page.get_by_role("button", name="Hold back")
    await hold.click()
    await expect(hold).to_have_attribute("aria-pressed", "true")
    replies = await open_thread(tab, card)
    await direct(tab, meeting, "Go live")
    await shows_text(tab.page.locator("#webhooks-about"), "waiting")

    await choose(tab, card, "Refresh")

    await shows_text(card, "Live · started")
    await hold.click()
    await expect(tab.page.locator("#webhooks-about")).not_to_contain_text("waiting")
    await drop(tab, meeting, card, sandbox)
    await expect(replies).to_have_count(1)
