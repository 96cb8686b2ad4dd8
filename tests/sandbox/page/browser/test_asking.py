"""Someone types the command, and uses the answer."""

import re

import pytest
from playwright.async_api import expect

from sandbox.realtimekit.seeds import LIVE, NASTY_NAME, UNKNOWN_STATUS
from sandbox.running import Sandbox
from sandbox.slack import BEN
from tests.sandbox.page.browser.conftest import OpenTab
from tests.sandbox.page.browser.tab import Tab

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_slash_offers_the_command_and_enter_completes_it(tab: Tab) -> None:
    """Typing "/" offers the commands with their hints; Enter takes the first one, and the hint stays in sight."""
    await tab.composer.press_sequentially("/")
    offers = tab.page.get_by_role("listbox", name="Commands")
    await expect(offers.get_by_role("option").first).to_contain_text("/livestream <meeting-id>")

    await tab.composer.press("Enter")

    await expect(tab.composer).to_have_value("/livestream ")
    await expect(offers).to_be_hidden()
    await expect(tab.page.locator("#composer .command-hint")).to_contain_text("<meeting-id>")


async def test_arrow_keys_choose_a_command_and_escape_closes_the_offer(tab: Tab) -> None:
    """The second command is one arrow key away, and Escape leaves what was typed."""
    await tab.composer.press_sequentially("/")
    await tab.composer.press("ArrowDown")
    chosen = tab.page.get_by_role("listbox", name="Commands").get_by_role("option", selected=True)
    await expect(chosen).to_contain_text("/invite")

    await tab.composer.press("Escape")

    await expect(chosen).to_be_hidden()
    await expect(tab.composer).to_have_value("/")


async def test_the_command_is_answered_with_a_card(tab: Tab) -> None:
    """The name, that it is live and since when in the reader's zone, the link, the buttons, and who sees it."""
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


async def test_refresh_tells_that_the_stream_has_ended(tab: Tab) -> None:
    """What is ended in the panel, Refresh tells in the same card, and the pressed button keeps the focus."""
    card = await tab.ask(LIVE)
    await tab.meeting(LIVE).get_by_role("button", name="End").click()
    await expect(tab.meeting(LIVE).locator(".pill")).to_have_text("OFFLINE")
    await tab.page.wait_for_timeout(3_000)  # an answer is kept for some seconds, so that a crowd costs one request

    await tab.press(card, "Refresh")

    await expect(card).to_contain_text("Not live")
    await expect(tab.messages).to_have_count(1)
    await expect(card.get_by_role("button", name="Refresh")).to_be_focused()


async def test_post_here_shows_the_card_to_all_and_takes_the_private_one_away(tab: Tab, open_tab: OpenTab) -> None:
    """Ben sees the card that Ann has posted, with her name, and may refresh it in place."""
    ben = await open_tab(BEN)
    card = await tab.ask(LIVE)

    await tab.press(card, "Post here")

    await expect(tab.latest).to_contain_text("Posted by ann")
    await expect(tab.messages).to_have_count(1)
    await expect(ben.latest).to_contain_text("Posted by ann")
    await ben.press(ben.latest, "Refresh")
    await expect(tab.latest).to_contain_text("(edited)")


async def test_a_hostile_name_is_shown_as_text(tab: Tab) -> None:
    """Neither a script nor a mention of the channel comes out of a livestream's name."""
    card = await tab.ask(NASTY_NAME)

    await expect(card).to_contain_text("<script>alert(1)</script> <!channel> & bold")
    assert await card.locator("script").count() == 0
    assert await card.locator(".mention").count() == 0


async def test_an_unknown_command_is_told_as_slack_does(tab: Tab) -> None:
    """Slackbot tells it, to the one who typed it."""
    await tab.say("/dance")

    await expect(tab.latest).to_contain_text("/dance is not a valid command")
    await expect(tab.latest).to_contain_text("Only visible to you")


async def test_an_empty_command_tells_how_to_use_it(tab: Tab) -> None:
    """The usage is drawn with its code."""
    card = await tab.ask("")

    await expect(card.locator("code").first).to_have_text("/livestream <meeting-id>")


async def test_a_status_that_nobody_knows_is_told(tab: Tab) -> None:
    """Unknown is said as such, with the word that Cloudflare used."""
    card = await tab.ask(UNKNOWN_STATUS)

    await expect(card).to_contain_text("Cloudflare reports “PAUSED”")


async def test_a_bot_that_does_not_answer_is_told(tab: Tab, sandbox: Sandbox) -> None:
    """As in Slack, a command that nobody acknowledges is told by Slackbot, and a click by a notice."""
    card = await tab.ask(LIVE)
    address, sandbox.slack.request_url = sandbox.slack.request_url, "http://127.0.0.1:1/"
    try:
        await tab.press(card, "Refresh")
        await expect(tab.page.locator("#notices")).to_contain_text("could not be reached")
        await tab.say(f"/livestream {LIVE}")
        await expect(tab.latest).to_contain_text("/livestream failed with the error")
    finally:
        sandbox.slack.request_url = address
