"""Threads, in the panel beside the channel."""

import pytest
from playwright.async_api import expect

from tests.sandbox.page.browser.conftest import Room
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


async def test_reply_is_in_the_thread_and_counted_in_the_channel(tab: Tab) -> None:
    """Escape closes the thread, and its count opens it again; a command works only in the channel."""
    await start_thread(tab)
    await reply(tab, "On my way")
    await reply(tab, "Parking now")
    count = tab.latest.get_by_role("button", name="2 replies")
    await expect(count).to_be_visible()
    await expect(tab.messages).to_have_count(1)

    await tab.page.keyboard.press("Escape")
    await expect(tab.thread).to_be_hidden()
    await expect(count).to_be_focused()
    await tab.page.keyboard.press("Enter")

    await expect(tab.thread).to_contain_text("Parking now")
    await expect(tab.thread.locator("textarea")).to_be_focused()
    await reply(tab, "/livestream x")
    await expect(tab.thread).to_contain_text("/livestream is not supported in threads. Sorry!")


async def test_thread_outlives_its_deleted_message(tab: Tab, room: Room) -> None:
    """Without replies, it is gone."""
    await start_thread(tab)
    [first] = room.sandbox.slack.messages(room.id)
    answer = room.post("On my way", thread_ts=first.ts)
    await expect(tab.latest.get_by_role("button", name="1 reply")).to_be_visible()

    room.sandbox.slack.delete_message(first)

    await expect(tab.message("This message was deleted.")).to_contain_text("1 reply")
    await expect(tab.thread).to_contain_text("This message was deleted.")
    await tab.page.reload()
    await expect(tab.message("This message was deleted.")).to_contain_text("1 reply")
    room.sandbox.slack.delete_message(answer)
    await expect(tab.messages).to_have_count(0)


async def test_open_thread_gets_new_replies(tab: Tab, room: Room) -> None:
    await start_thread(tab)
    [first] = room.sandbox.slack.messages(room.id)
    for number, broadcast in enumerate((False, True)):
        room.post(f"Change {number}", thread_ts=first.ts, is_broadcast=broadcast)

    await expect(tab.thread.locator(".thread-count")).to_have_text("2 replies")
    await expect(tab.thread.locator(".message")).to_have_count(3)
    await expect(tab.thread.locator(".message").last).to_contain_text("Change 1")
    await expect(tab.messages).to_have_count(2)
    await expect(tab.latest).to_contain_text("replied to a thread: Doors at nine")
