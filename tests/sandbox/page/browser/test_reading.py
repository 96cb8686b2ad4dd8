"""Whatever the screen, the scheme and the way of reading: the page can be used."""

from typing import Any

import pytest
from playwright.async_api import expect

from sandbox.page.stream import MOST_WAITING
from sandbox.realtimekit.seeds import LIVE
from sandbox.slack import BEN
from tests.sandbox.page.browser.conftest import OpenTab, Room, Tabs
from tests.sandbox.page.browser.contrast import CONTRAST
from tests.sandbox.page.browser.tab import Tab

pytestmark = pytest.mark.asyncio(loop_scope="session")

PHONE: dict[str, Any] = {"viewport": {"width": 400, "height": 800}, "has_touch": True, "is_mobile": True}
SCROLL_UP = """(list) => new Promise((scrolled) => {
    list.addEventListener("scroll", () => scrolled(), { once: true });
    list.scrollTop = 0;
})"""
"""A function of JavaScript: done when the list has handled it."""
SIDEWAYS = "document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth"


async def test_phone_layout_works_without_horizontal_scrolling(open_tab: OpenTab) -> None:
    tab = await open_tab(**PHONE)
    for part in ("Channels", "Calls", "RealtimeKit"):
        button = tab.page.get_by_role("button", name=part, exact=True)
        await button.tap()
        await expect(button).to_have_attribute("aria-current", "page")
        assert await tab.evaluate(SIDEWAYS) == 0, part

    await tab.meeting(LIVE).get_by_role("button", name="Try it").tap()
    await tab.page.get_by_role("button", name="Send", exact=True).tap()

    await expect(tab.latest).to_contain_text("Launch keynote")
    await tab.press(tab.latest, "Post here")
    await expect(tab.latest).to_contain_text("Posted by ann")
    assert await tab.evaluate(SIDEWAYS) == 0


async def test_no_width_needs_horizontal_scrolling(tab: Tab) -> None:
    await tab.ask(LIVE)

    for width in (320, 719, 900, 1100, 1600, 2560):
        await tab.page.set_viewport_size({"width": width, "height": 800})
        assert (width, await tab.evaluate(SIDEWAYS)) == (width, 0)
        sideways = await tab.page.locator("#messages").evaluate("(list) => list.scrollWidth - list.clientWidth")
        assert (width, sideways) == (width, 0)


async def test_everything_works_by_keyboard(tab: Tab) -> None:
    await tab.page.reload()
    await tab.connected()
    await tab.page.keyboard.press("Tab")
    await expect(tab.page.get_by_role("link", name="Skip to the message field")).to_be_focused()
    await tab.page.keyboard.press("Enter")
    await expect(tab.composer).to_be_focused()
    await tab.page.keyboard.type(f"/livestream {LIVE}")
    await tab.page.keyboard.press("Enter")
    await expect(tab.latest).to_contain_text("Launch keynote")

    await tab.page.keyboard.press("Shift+Tab")
    await expect(tab.latest.get_by_role("button", name="Follow here")).to_be_focused()
    await tab.page.keyboard.press("Shift+Tab")
    await expect(tab.latest.get_by_role("button", name="Post here")).to_be_focused()
    await tab.page.keyboard.press("Enter")
    await expect(tab.latest).to_contain_text("Posted by ann")
    await tab.composer.focus()
    await tab.page.keyboard.press("Shift+Tab")
    await expect(tab.latest.get_by_role("button", name="Message menu")).to_be_focused()
    await tab.page.keyboard.press("Shift+Tab")
    await expect(tab.latest.get_by_role("button", name="Reply in thread")).to_be_focused()
    await tab.page.keyboard.press("Enter")
    await expect(tab.thread.locator("textarea")).to_be_focused()
    await tab.page.keyboard.press("Escape")
    await expect(tab.latest.get_by_role("button", name="Reply in thread")).to_be_focused()


async def test_new_messages_are_announced_to_screen_readers(tab: Tab, room: Room) -> None:
    room.post("Is *it* on?", BEN)
    await tab.ask(LIVE)

    region = tab.page.get_by_role("log", name="New messages")
    await expect(region).to_contain_text("Ben: Is it on?")
    await expect(region).to_contain_text("Livestream, only visible to you: Launch keynote is live")
    await expect(region).to_have_attribute("aria-live", "polite")


async def test_every_control_has_a_name_and_the_parts_are_landmarks(tab: Tab) -> None:
    await tab.ask(LIVE)

    for landmark in ("nav", "main", "aside"):
        assert await tab.page.locator(f"{landmark}:visible").count() >= 1, landmark
    nameless = await tab.evaluate("""() => [...document.querySelectorAll("button, a, select, input, textarea")]
        .filter((e) => e.checkVisibility() && !(e.textContent.trim() || e.ariaLabel || e.labels?.length))
        .map((e) => e.outerHTML)""")
    assert nameless == []


async def test_text_has_enough_contrast_in_both_color_schemes(tab: Tab) -> None:
    await tab.set_fault("Cloudflare", "slow")
    await tab.say("*Hello* <!here> `code` https://example.com")
    await tab.ask(LIVE)
    await tab.page.get_by_role("button", name="Calls").click()

    assert await tab.evaluate(CONTRAST) == []
    await tab.page.emulate_media(color_scheme="dark")
    assert await tab.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    assert await tab.evaluate(CONTRAST) == []


async def test_lost_connection_is_shown_and_recovered_from(tabs: Tabs, room: Room) -> None:
    tabs.expected += ["net::ERR", "Failed to load resource"]
    tab = await tabs.open(offline=False)
    await tab.say("Before")
    await expect(tab.messages).to_have_count(1)
    await tab.page.context.set_offline(True)
    for _ in range(MOST_WAITING + 2):  # more at once than the server keeps for a page disconnects it
        room.sandbox.page.streams.publish("nothing", {})
    await expect(tab.page.get_by_text("Reconnecting…")).to_be_visible()
    room.post("Meanwhile")

    await tab.page.context.set_offline(False)

    await expect(tab.page.get_by_text("Reconnecting…")).to_be_hidden()
    await expect(tab.messages).to_have_count(2)
    await expect(tab.latest).to_contain_text("Meanwhile")


async def test_list_follows_the_latest_message_only_at_its_end(tab: Tab, room: Room) -> None:
    for number in range(40):
        room.post(f"line {number}", BEN)
    await expect(tab.messages).to_have_count(40)
    await expect(tab.latest).to_be_in_viewport()
    await tab.page.locator("#messages").evaluate(SCROLL_UP)

    room.post("something new", BEN)

    fresh = tab.page.get_by_role("button", name="New messages")
    await expect(fresh).to_be_visible()
    await expect(tab.latest).not_to_be_in_viewport()
    await fresh.click()
    await expect(tab.latest).to_be_in_viewport()
    await expect(fresh).to_be_hidden()
