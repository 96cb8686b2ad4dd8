"""A person types the command and uses the answer."""

import re

import pytest
from playwright.async_api import expect

from sandbox.realtimekit.seeds import LIVE, NASTY_NAME, UNKNOWN_STATUS
from sandbox.running import Sandbox
from sandbox.slack import BEN
from tests.sandbox.page.browser.conftest import OpenTab
from tests.sandbox.page.browser.tab import Tab

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_slash_offers_the_commands_and_enter_completes_one(tab: Tab) -> None:
    """The hint stays visible."""
    await tab.composer.press_sequentially("/")
    offers = tab.page.get_by_role("listbox", name="Commands")
    await expect(offers.get_by_role("option").first).to_contain_text("/livestream <meeting-id>")

    await tab.composer.press("Enter")

    await expect(tab.composer).to_have_value("/livestream ")
    await expect(offers).to_be_hidden()
    await expect(tab.page.locator("#composer .command-hint")).to_contain_text("<meeting-id>")


async def test_arrow_keys_choose_a_command_and_escape_closes_the_list(tab: Tab) -> None:
    await tab.composer.press_sequentially("/")
    await tab.composer.press("ArrowDown")
    chosen = tab.page.get_by_role("listbox", name="Commands").get_by_role("option", selected=True)
    await expect(chosen).to_contain_text("/invite")

    await tab.composer.press("Escape")

    await expect(chosen).to_be_hidden()
    await expect(tab.composer).to_have_value("/")


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


async def test_refresh_updates_the_card_and_keeps_the_focus(tab: Tab) -> None:
    card = await tab.ask(LIVE)
    await tab.meeting(LIVE).get_by_role("button", name="End").click()
    await expect(tab.meeting(LIVE).locator(".pill")).to_have_text("OFFLINE")
    await tab.page.wait_for_timeout(3_000)  # an answer is kept for some seconds, so that a crowd costs one request

    await tab.press(card, "Refresh")

    await expect(card).to_contain_text("Not live")
    await expect(tab.messages).to_have_count(1)
    await expect(card.get_by_role("button", name="Refresh")).to_be_focused()


async def test_post_here_replaces_the_private_card_by_a_public_one(tab: Tab, open_tab: OpenTab) -> None:
    ben = await open_tab(BEN)
    card = await tab.ask(LIVE)

    await tab.press(card, "Post here")

    await expect(tab.latest).to_contain_text("Posted by ann")
    await expect(tab.messages).to_have_count(1)
    await expect(ben.latest).to_contain_text("Posted by ann")
    await ben.press(ben.latest, "Refresh")
    await expect(tab.latest).to_contain_text("(edited)")


async def test_hostile_name_is_shown_as_text(tab: Tab) -> None:
    card = await tab.ask(NASTY_NAME)

    await expect(card).to_contain_text("<script>alert(1)</script> <!channel> & *\u200bbold\u200b*")
    assert await card.locator("strong", has_text="bold").count() == 0
    assert await card.locator("script").count() == 0
    assert await card.locator(".mention").count() == 0


async def test_unknown_command_is_reported_by_slackbot(tab: Tab) -> None:
    await tab.say("/dance")

    await expect(tab.latest).to_contain_text("/dance is not a valid command")
    await expect(tab.latest).to_contain_text("Only visible to you")


async def test_empty_command_shows_the_usage(tab: Tab) -> None:
    card = await tab.ask("")

    await expect(card.locator("code").first).to_have_text("/livestream <meeting-id>")


async def test_unknown_status_is_shown_in_cloudflares_word(tab: Tab) -> None:
    card = await tab.ask(UNKNOWN_STATUS)

    await expect(card).to_contain_text("Cloudflare reports “PAUSED”")


async def test_unreachable_bot_is_reported(tab: Tab, sandbox: Sandbox) -> None:
    """By Slackbot for a command, by a notice for a click."""
    card = await tab.ask(LIVE)
    address, sandbox.slack.request_url = sandbox.slack.request_url, "http://127.0.0.1:1/"
    try:
        await tab.press(card, "Refresh")
        await expect(tab.page.locator("#notices")).to_contain_text("could not be reached")
        await tab.say(f"/livestream {LIVE}")
        await expect(tab.latest).to_contain_text("/livestream failed with the error")
    finally:
        sandbox.slack.request_url = address
