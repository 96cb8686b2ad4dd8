"""A channel follows a meeting, and somebody at the panel lets its livestream start, drop, fail and end."""

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
    """A meeting of this test's own, that was never live; followed no longer when the test is over."""
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
    """The cards that everybody in the channel sees, oldest first."""
    return tab.messages.filter(has=tab.page.get_by_role("button", name="More actions"))


async def follow(tab: Tab, meeting_id: str, how: str = "") -> Locator:
    """Type the command; the card."""
    known = await cards(tab).count()
    await tab.say(f"/livestream follow {meeting_id} {how}".rstrip())
    card = cards(tab).nth(known)
    await expect(card).to_be_visible(timeout=TAKES)
    await expect(tab.message("Now following")).to_contain_text("here")
    return card


async def open_thread(tab: Tab, card: Locator) -> Locator:
    """Open the card's thread; the replies in it."""
    await card.hover()
    await card.get_by_role("button", name="Reply in thread").click()
    await expect(tab.thread).to_be_visible()
    return tab.thread.locator(".thread-count ~ .message")


async def direct(tab: Tab, meeting_id: str, *steps: str) -> None:
    """Press buttons of the meeting in the panel, each when the one before has done what it does."""
    for step in steps:
        async with tab.page.expect_response(f"**/api/meetings/{meeting_id}/*"):
            await tab.meeting(meeting_id).get_by_role("button", name=step, exact=True).click()


async def drop(tab: Tab, meeting_id: str, card: Locator, sandbox: Sandbox) -> None:
    """Drop for as long as the card takes to say so: meanwhile the sandbox's time stands still."""
    sandbox.clock.speed = 0
    await direct(tab, meeting_id, "Drop 5 s")
    await says(card, "Reconnecting")
    await expect(card.get_by_role("link", name="Watch")).to_have_count(0)
    sandbox.clock.speed = 1
    sandbox.clock.advance(DROP_SECONDS)


async def choose(tab: Tab, card: Locator, choice: str) -> None:
    """Choose from the menu of a card."""
    await card.get_by_role("button", name="More actions").click()
    await tab.page.get_by_role("menuitem", name=choice).click()


async def says(message: Locator, words: str, within: float = TAKES) -> None:
    """`within` is in milliseconds."""
    await expect(message).to_contain_text(words, timeout=within)


async def test_a_whole_run_shows_on_the_card_and_in_the_open_thread(tab: Tab, meeting: str, sandbox: Sandbox) -> None:
    """Starting, live, ended, as the buttons are pressed, without a reload; a drop shows on the card alone, and the next
    run has a card of its own."""
    card = await follow(tab, meeting)
    await says(card, "Not live yet")
    replies = await open_thread(tab, card)

    await direct(tab, meeting, "Start")
    await says(card, "No video yet.")
    await says(card, "Starting")
    await says(replies.last, "Town hall is starting.")
    await direct(tab, meeting, "Go live")
    await says(card, "Live · started")
    await expect(card.get_by_role("link", name="Watch")).to_be_visible()
    await says(replies.last, "Town hall is live")
    await drop(tab, meeting, card, sandbox)
    await says(card, "Live · started")
    await expect(replies).to_have_count(2)
    await direct(tab, meeting, "End")
    await says(replies.last, "Town hall has ended. It was live for less than a minute.", AN_END_TAKES)
    await says(card, "Ended")
    await expect(card.get_by_role("link", name="Watch")).to_have_count(0)
    await expect(replies).to_have_count(3)

    await direct(tab, meeting, "Go live")

    await expect(cards(tab)).to_have_count(2, timeout=TAKES)
    await says(cards(tab).last, "Live · started")
    await says(cards(tab).last, "1 reply")
    await says(cards(tab).first, "Ended")


async def test_an_error_is_told_with_its_reason(tab: Tab, meeting: str) -> None:
    """No webhook tells of it: Refresh in the menu has the bot look. Mended, it is live again."""
    await direct(tab, meeting, "Go live")
    card = await follow(tab, meeting)
    await says(card, "Live · started")
    replies = await open_thread(tab, card)

    await direct(tab, meeting, "Error")
    await choose(tab, card, "Refresh")
    await says(card, FAILURE)
    await says(replies.last, f"Town hall hit an error: {FAILURE}.")
    await direct(tab, meeting, "Go live")

    await says(replies.last, "Town hall is live again.")
    await says(card, "Live · started")
    await expect(replies).to_have_count(2)


async def test_the_menu_makes_it_louder_and_quieter_and_unfollows(tab: Tab, meeting: str) -> None:
    """Loud: the channel hears that it is live, with the way into the thread. Quiet: an end shows on the card alone.
    Unfollowed, the card says so, and offers the way back."""
    card = await follow(tab, meeting)
    await choose(tab, card, "Loud – also post in channel")
    await says(card, "Loud: thread and channel")
    await direct(tab, meeting, "Go live")
    told = tab.message("replied to a thread")
    await says(told, "Town hall is live")

    await choose(tab, card, "Quiet – card only")
    await says(card, "Quiet: card only")
    await direct(tab, meeting, "End")
    await says(card, "Ended", AN_END_TAKES)
    await says(card, "1 reply")
    await choose(tab, card, "Unfollow")

    over = tab.message("No longer followed here")
    await expect(over).to_be_visible(timeout=TAKES)
    await expect(cards(tab)).to_have_count(0)
    await tab.press(over, "Follow again")
    await expect(cards(tab)).to_have_count(1, timeout=TAKES)


async def test_follow_here_and_what_is_followed(tab: Tab, meeting: str) -> None:
    """The button on a private answer puts the card into the channel; the list says who
    added it; who follows it once more is led to the card."""
    answer = await tab.ask(meeting)

    await tab.press(answer, "Follow here")

    await expect(cards(tab)).to_have_count(1, timeout=TAKES)
    await says(tab.message("Only visible to you"), "Now following Town hall here.")
    await tab.say("/livestream following")
    listed = tab.message("This channel follows 1 meeting.")
    await says(listed, "Town hall not live yet")
    await says(listed, "updates in thread · added by @Ann")
    await tab.say(f"/livestream follow {meeting}")
    again = tab.message("This channel already follows Town hall.")
    await expect(again.get_by_role("link", name="See its card")).to_be_visible(timeout=TAKES)


async def test_a_card_that_was_deleted_comes_back(tab: Tab, meeting: str) -> None:
    """With the next change, which is told in the new card's thread."""
    card = await follow(tab, meeting)
    await card.hover()
    await card.get_by_role("button", name="Message menu").click()
    await tab.page.get_by_role("menuitem").click()
    await tab.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(cards(tab)).to_have_count(0)

    await direct(tab, meeting, "Go live")

    await expect(cards(tab)).to_have_count(1, timeout=TAKES)
    await says(card, "Live · started")
    await says(card, "1 reply")


async def test_who_follows_is_told_that_the_bot_was_removed(tab: Tab, meeting: str, room: str) -> None:
    """The direct message shows in the sidebar, and says how to mend it; that done, the bot goes on with what it could
    not tell."""
    card = await follow(tab, meeting)
    await tab.say("/remove @Livestream")
    await expect(tab.page.locator("#channel-about")).to_contain_text("Livestream is not in this channel")
    await direct(tab, meeting, "Go live")

    chat = tab.page.locator("#direct-list").get_by_role("button", name="Livestream")
    await says(chat, "1 new")
    await chat.click()
    await says(tab.latest, f"Meeting {meeting}")
    await says(tab.latest, "I'll pick up where I left off.")
    await tab.page.locator(f"[data-channel={room}]").click()
    await expect(card.get_by_role("button", name="1 reply")).to_have_count(0)
    await tab.say("/invite @Livestream")

    await says(card, "1 reply")
    await says(card, "Live · started")


async def test_without_webhooks_a_change_comes_by_asking(tab: Tab, meeting: str, sandbox: Sandbox) -> None:
    """Held back, nothing tells the bot, so that it shows when it is asked; let go, they tell nothing twice, and the
    next change shows."""
    card = await follow(tab, meeting)
    hold = tab.page.get_by_role("button", name="Hold back")
    await hold.click()
    await expect(hold).to_have_attribute("aria-pressed", "true")
    replies = await open_thread(tab, card)
    await direct(tab, meeting, "Go live")
    await says(tab.page.locator("#webhooks-about"), "waiting")

    await choose(tab, card, "Refresh")

    await says(card, "Live · started")
    await hold.click()
    await expect(tab.page.locator("#webhooks-about")).not_to_contain_text("waiting")
    await drop(tab, meeting, card, sandbox)
    await expect(replies).to_have_count(1)
