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


async def test_reply_is_in_the_thread_and_counted_in_the_channel(tab: Tab, open_tab: OpenTab) -> None:
    ben = await open_tab(BEN)
    await start_thread(tab)

    await reply(tab, "On my way")
    await reply(tab, "Parking now")

    await expect(ben.messages).to_have_count(1)
    link = ben.latest.get_by_role("button", name="2 replies")
    await link.click()
    await expect(ben.thread).to_contain_text("Parking now")
    await expect(ben.thread.locator("textarea")).to_be_focused()


async def test_escape_closes_the_thread_and_restores_the_focus(tab: Tab) -> None:
    await start_thread(tab)
    await reply(tab, "On my way")
    await expect(tab.latest.get_by_role("button", name="1 reply")).to_be_visible()

    await tab.page.keyboard.press("Escape")

    await expect(tab.thread).to_be_hidden()
    await expect(tab.latest.get_by_role("button", name="1 reply")).to_be_focused()


async def test_command_in_a_thread_is_rejected_by_slackbot(tab: Tab) -> None:
    await start_thread(tab)

    await reply(tab, "/livestream x")

    await expect(tab.thread).to_contain_text("/livestream is not supported in threads. Sorry!")


async def test_thread_outlives_its_deleted_message(tab: Tab, sandbox: Sandbox, room: str) -> None:
    """Without replies, it is gone."""
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


async def test_open_thread_gets_new_replies(tab: Tab, sandbox: Sandbox, room: str) -> None:
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
