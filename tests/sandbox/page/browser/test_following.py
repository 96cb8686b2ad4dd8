"""A channel follows a meeting, and somebody at the panel lets its livestream start, fail and end."""

import pytest
from playwright.async_api import Locator, expect

from bot.sandbox.realtimekit.seeds import LIVE, NEVER_LIVE
from bot.sandbox.running import Sandbox
from bot.sandbox.slack import ANN
from tests.sandbox.page.browser.conftest import OpenTab
from tests.sandbox.page.browser.tab import TAKES, Tab

pytestmark = pytest.mark.asyncio(loop_scope="session")



async def follow(tab: Tab, meeting_id: str, how: str = "") -> Locator:
    """Type the command; the card."""
    await tab.say(f"/livestream follow {meeting_id} {how}".rstrip())
    await expect(tab.message("This channel follows")).to_be_visible(timeout=TAKES)
    found = tab.messages.filter(has_text="told in the thread")
    await expect(found).to_be_visible(timeout=TAKES)
    return found


async def direct(tab: Tab, meeting_id: str, step: str) -> None:
    """Press a button of the meeting's in the panel."""
    await tab.meeting(meeting_id).get_by_role("button", name=step, exact=True).click()


async def test_go_live_changes_the_card_and_arrives_in_the_thread(tab: Tab) -> None:
    """From not broadcasting to live, off and on again, on the card and in the open thread, without a reload; what was
    off the air for a moment pings nobody."""
    followed = await follow(tab, NEVER_LIVE)
    await expect(followed).to_contain_text("Not broadcasting")

    await direct(tab, NEVER_LIVE, "Go live")

    await expect(followed).to_contain_text("Live since", timeout=TAKES)
    await expect(followed.get_by_role("link", name="Watch")).to_be_visible()
    await followed.get_by_role("button", name="1 reply").click()
    await expect(tab.thread).to_contain_text("is live since")
    await direct(tab, NEVER_LIVE, "End")
    await expect(followed).to_contain_text("Reconnecting", timeout=TAKES)
    await expect(followed.get_by_role("link", name="Watch")).to_have_count(0)
    await direct(tab, NEVER_LIVE, "Go live")
    await expect(followed).to_contain_text("Live since", timeout=TAKES)
    await expect(tab.thread.locator(".message")).to_have_count(2)


async def test_follow_here(tab: Tab) -> None:
    """The button on a private answer follows the meeting in this channel; who asks for it again is shown its card."""
    answer = await tab.ask(LIVE)
    await tab.press(answer, "Follow here")
    await expect(tab.messages.filter(has_text="told in the thread")).to_be_visible(timeout=TAKES)

    await tab.say(f"/livestream follow {LIVE}")

    await expect(tab.message("already")).to_contain_text("See its card")


async def test_the_menu_makes_it_louder_and_unfollows(tab: Tab) -> None:
    """The card says how loud it is, and in the end that it is not followed any more."""
    followed = await follow(tab, LIVE)
    await followed.get_by_role("button", name="More actions").click()
    await tab.page.get_by_role("menuitem", name="Louder").click()
    card = tab.messages.filter(has_text="Loud:")
    await expect(card).to_be_visible(timeout=TAKES)

    await card.get_by_role("button", name="More actions").click()
    await tab.page.get_by_role("menuitem", name="Unfollow").click()

    await expect(tab.message("No longer followed here")).to_be_visible(timeout=TAKES)


async def test_a_channel_without_the_bot(tab: Tab, open_tab: OpenTab, sandbox: Sandbox, room: str) -> None:
    """Who follows is told by the bot in private; invited again, it tells what was missed."""
    sandbox.kit.end(LIVE)
    await follow(tab, LIVE)
    sandbox.slack.remove_bot(room)
    sandbox.kit.go_live(LIVE)

    notice = tab.page.get_by_role("navigation").get_by_role("button", name="Livestream")
    await expect(notice).to_be_visible(timeout=40_000)
    await notice.click()
    await expect(tab.latest).to_contain_text("I cannot tell you there how it goes")
    sandbox.slack.invite_bot(room)
    back = await open_tab(ANN, room)

    await expect(back.messages.filter(has_text="Live since")).to_be_visible(timeout=TAKES)
