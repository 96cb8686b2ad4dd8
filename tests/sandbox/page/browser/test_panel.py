"""The RealtimeKit panel: meetings, the clock, webhooks, and the bot's state."""

import pytest
from playwright.async_api import expect

from sandbox.realtimekit.seeds import IDLE, LIVE, STARTING
from sandbox.running import Sandbox
from tests.sandbox.page.browser.conftest import OpenTab
from tests.sandbox.page.browser.tab import Tab

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_panel_shows_each_state_and_disables_impossible_steps(tab: Tab) -> None:
    card = tab.meeting(IDLE)
    await expect(card.get_by_role("button", name="End")).to_be_disabled()
    await expect(card.locator(".meeting-about s")).to_have_count(0)

    for step, status in (("Start", "INVOKED"), ("Go live", "LIVE"), ("Error", "ERRORED"), ("End", "OFFLINE")):
        button = card.get_by_role("button", name=step)
        await button.click()
        await expect(card.locator(".pill")).to_have_text(status)
        await expect(card.locator(".meeting-about s")).to_contain_text("Not broadcasting (IDLE)")
        await expect(button).to_be_disabled()


async def test_chosen_speed_is_the_clocks(tab: Tab, sandbox: Sandbox) -> None:
    async with tab.page.expect_response("**/api/conditions"):
        await tab.page.get_by_role("radio", name="60\N{MULTIPLICATION SIGN}").check(force=True)

    assert sandbox.clock.speed == 60


async def test_try_it_fills_in_the_command(tab: Tab) -> None:
    await tab.meeting(STARTING).get_by_role("button", name="Try it").click()

    await expect(tab.composer).to_be_focused()
    await expect(tab.composer).to_have_value(f"/livestream {STARTING}")
    await tab.composer.press("Enter")
    await expect(tab.latest).to_contain_text("Starting")


async def test_meeting_id_can_be_copied(open_tab: OpenTab) -> None:
    tab = await open_tab(permissions=["clipboard-read", "clipboard-write"])

    await tab.meeting(LIVE).get_by_role("button", name="Copy meeting ID").click()

    await expect(tab.page.locator("#notices")).to_contain_text("copied")
    assert await tab.evaluate("navigator.clipboard.readText()") == LIVE


async def test_state_of_the_bot_is_shown(tab: Tab, sandbox: Sandbox) -> None:
    state = tab.page.locator("#bot-state")
    await expect(state).to_contain_text("Bot is running · HTTP")

    sandbox.page.bot_runs(running=False)

    await expect(state).to_contain_text("Bot is not running")
    sandbox.page.bot_runs(running=True)
    await expect(state).to_contain_text("Bot is running")


async def test_webhooks_can_be_held_back_and_signed_with_a_new_key(tab: Tab, sandbox: Sandbox) -> None:
    about, hold = tab.page.locator("#webhooks-about"), tab.page.get_by_role("button", name="Hold back")
    await expect(about).to_contain_text("delivered")
    key = sandbox.kit.public_key

    await hold.click()
    await expect(hold).to_have_attribute("aria-pressed", "true")
    sandbox.kit.go_live(IDLE)
    await expect(about).to_contain_text("waiting")
    await hold.click()
    await expect(hold).to_have_attribute("aria-pressed", "false")
    await expect(about).not_to_contain_text("waiting")
    await tab.page.get_by_role("button", name="Rotate key").click()

    await expect(tab.page.locator("#notices")).to_contain_text("new key")
    assert sandbox.kit.public_key != key
