"""A person types the command and uses the answer."""

import re
from typing import Any

import pytest
from playwright.async_api import expect

from sandbox.realtimekit.seeds import LIVE, NASTY_NAME
from sandbox.slack import BEN
from tests.sandbox.page.browser.conftest import OpenTab, Room
from tests.sandbox.page.browser.tab import Tab

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_slash_offers_the_commands_and_enter_completes_one(tab: Tab) -> None:
    """Arrow keys choose another one, Escape closes the list, and the hint stays visible."""
    await tab.composer.press_sequentially("/")
    offers = tab.page.get_by_role("listbox", name="Commands")
    await expect(offers.get_by_role("option").first).to_contain_text("/livestream <meeting-id>")
    await tab.composer.press("ArrowDown")
    await expect(offers.get_by_role("option", selected=True)).to_contain_text("/invite")
    await tab.composer.press("Escape")
    await expect(offers).to_be_hidden()
    await expect(tab.composer).to_have_value("/")

    await tab.composer.fill("")
    await tab.composer.press_sequentially("/")
    await tab.composer.press("Enter")

    await expect(tab.composer).to_have_value("/livestream ")
    await expect(offers).to_be_hidden()
    await expect(tab.page.locator("#composer .command-hint")).to_contain_text("<meeting-id>")


async def test_command_is_answered_with_a_private_card(tab: Tab) -> None:
    card = await tab.ask(LIVE)

    await expect(card).to_contain_text("Only visible to you")
    await expect(card).to_contain_text("Launch keynote")
    await expect(card).to_contain_text(re.compile(r"Live · started .*\d\d:\d\d"))
    await expect(card.get_by_text("APP", exact=True)).to_be_visible()
    watch = card.get_by_role("link", name="Watch")
    await expect(watch).to_have_attribute(
        "href", re.compile(r"^https://customer-\w+\.cloudflarestream\.com/\w+/iframe$")
    )
    await expect(watch).to_have_attribute("rel", "noopener noreferrer")


async def test_edited_card_keeps_the_focus_of_its_button(tab: Tab, room: Room) -> None:
    def card(text: str) -> dict[str, Any]:
        button = {"type": "button", "action_id": "refresh", "text": {"type": "plain_text", "text": text}}
        return {"type": "actions", "elements": [button]}

    message = room.post(blocks=(card("Refresh"),))
    await tab.latest.get_by_role("button", name="Refresh").focus()

    room.edit(message, card("Refreshed"))

    await expect(tab.messages).to_have_count(1)
    await expect(tab.latest.get_by_role("button", name="Refreshed")).to_be_focused()


async def test_post_here_replaces_the_private_card_by_a_public_one(tab: Tab, open_tab: OpenTab) -> None:
    ben = await open_tab(BEN)
    card = await tab.ask(LIVE)
    await tab.say("Is it on?")
    await expect(ben.latest).to_contain_text("Is it on?")
    await expect(ben.messages).to_have_count(1)

    await tab.press(card, "Post here")

    await expect(tab.latest).to_contain_text("Posted by ann")
    await expect(tab.messages).to_have_count(2)
    await expect(ben.latest).to_contain_text("Posted by ann")
    await ben.press(ben.latest, "Refresh")
    await expect(tab.latest).to_contain_text("(edited)")


async def test_hostile_name_is_shown_as_text(tab: Tab) -> None:
    card = await tab.ask(NASTY_NAME)

    await expect(card).to_contain_text("<script>alert(1)</script> <!channel> & *\u200bbold\u200b*")
    assert await card.locator("strong", has_text="bold").count() == 0
    assert await card.locator("script").count() == 0
    assert await card.locator(".mention").count() == 0
