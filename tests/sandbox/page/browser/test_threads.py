"""Threads, in the panel beside the channel."""

import pytest
from playwright.async_api import expect

from sandbox.running import Sandbox
from sandbox.slack import BEN, BOT, Message
from tests.sandbox.page.browser.conftest import OpenTab
from tests.sandbox.page.browser.tab import Tab

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def reply(tab: Tab, text: str) -> None:
    await tab.thread.locator("textarea").fill(text)
    await tab.thread.locator("textarea").press("Enter")


async def start_thread(tab: Tab) -> None:
    await tab.say("Doors at nine")
    await tab.latest.hover()
    await tab.latest.get_by_role("button", name="Reply in thread").click()
    await expect(tab.thread).to_be_visible()


async def test_a_reply_shows_in_the_thread_and_is_counted_in_the_channel(tab: Tab, open_tab: OpenTab) -> None:
    """The channel shows how many replies there are, and the link opens them for others too."""
    ben = await open_tab(BEN)
    await start_thread(tab)

    await reply(tab, "On my way")
    await reply(tab, "Parking now")

    await expect(ben.messages).to_have_count(1)
    link = ben.latest.get_by_role("button", name="2 replies")
    await link.click()
    await expect(ben.thread).to_contain_text("Parking now")
    await expect(ben.thread.locator("textarea")).to_be_focused()


async def test_escape_closes_the_thread_and_gives_the_focus_back(tab: Tab) -> None:
    """The focus is on what leads into the thread again."""
    await start_thread(tab)
    await reply(tab, "On my way")
    await expect(tab.latest.get_by_role("button", name="1 reply")).to_be_visible()

    await tab.page.keyboard.press("Escape")

    await expect(tab.thread).to_be_hidden()
    await expect(tab.latest.get_by_role("button", name="1 reply")).to_be_focused()


async def test_a_command_in_a_thread_is_refused_as_slack_does(tab: Tab) -> None:
    """Slackbot says so, in the thread."""
    await start_thread(tab)

    await reply(tab, "/livestream x")

    await expect(tab.thread).to_contain_text("/livestream is not supported in threads. Sorry!")


async def test_the_thread_of_a_deleted_message_stays(tab: Tab, sandbox: Sandbox, room: str) -> None:
    """What was deleted is a line in its place, live and after a reload; without replies it is gone."""
    await start_thread(tab)
    await reply(tab, "On my way")
    await expect(tab.latest.get_by_role("button", name="1 reply")).to_be_visible()
    first = sandbox.slack.messages(room)[0]

    sandbox.slack.delete_message(first)

    await expect(tab.message("This message was deleted.")).to_contain_text("1 reply")
    await expect(tab.thread).to_contain_text("This message was deleted.")
    await tab.page.reload()
    await expect(tab.message("This message was deleted.")).to_contain_text("1 reply")
    for each in sandbox.slack.replies(first):
        sandbox.slack.delete_message(each)
    await expect(tab.messages).to_have_count(0)


async def test_an_open_thread_fills_live(tab: Tab, sandbox: Sandbox, room: str) -> None:
    """What the bot replies arrives in it, and what it broadcasts in the channel too, with the way back."""
    await start_thread(tab)
    [first] = sandbox.slack.messages(room)
    for number, broadcast in enumerate((False, True)):
        ts = sandbox.slack.workspace.next_ts(sandbox.clock.now())
        reply = Message(room, ts, BOT, f"Change {number}", thread_ts=first.ts, is_broadcast=broadcast)
        sandbox.slack.workspace.post(reply)

    await expect(tab.thread.locator(".thread-count")).to_have_text("2 replies")
    await expect(tab.thread.locator(".message")).to_have_count(3)
    await expect(tab.thread.locator(".message").last).to_contain_text("Change 1")
    await expect(tab.messages).to_have_count(2)
    await expect(tab.latest).to_contain_text("replied to a thread: Doors at nine")
