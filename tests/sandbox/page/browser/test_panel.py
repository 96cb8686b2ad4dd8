"""The RealtimeKit panel: meetings, the clock, faults, and the bot's state."""

import asyncio

import pytest
from playwright.async_api import expect

from sandbox.realtimekit.seeds import IDLE, LIVE, STARTING
from sandbox.running import Sandbox
from sandbox.slack import BEN
from tests.sandbox.page.browser.conftest import OpenTab, Tabs
from tests.sandbox.page.browser.tab import TAKES, Tab

pytestmark = pytest.mark.asyncio(loop_scope="session")

SIXTYFOLD = "60\N{MULTIPLICATION SIGN}"


async def test_panel_shows_each_state_in_every_tab(tab: Tab, open_tab: OpenTab) -> None:
    """Impossible steps are disabled."""
    ben = await open_tab(BEN)
    card = tab.meeting(IDLE)
    await expect(card.get_by_role("button", name="End")).to_be_disabled()

    await expect(ben.meeting(IDLE).locator(".meeting-about s")).to_have_count(0)
    await card.get_by_role("button", name="Start").click()
    await expect(ben.meeting(IDLE).locator(".pill")).to_have_text("INVOKED")
    await expect(ben.meeting(IDLE).locator(".meeting-about s")).to_contain_text("Not broadcasting (IDLE)")
    await card.get_by_role("button", name="Go live").click()
    await expect(ben.meeting(IDLE).locator(".pill")).to_have_text("LIVE")
    await expect(card.get_by_role("button", name="Go live")).to_be_disabled()
    await card.get_by_role("button", name="Error").click()
    await expect(ben.meeting(IDLE).locator(".pill")).to_have_text("ERRORED")
    await card.get_by_role("button", name="End").click()
    await expect(ben.meeting(IDLE).locator(".pill")).to_have_text("OFFLINE")


async def test_drop_ends_after_five_sandbox_seconds(tab: Tab, sandbox: Sandbox) -> None:
    statuses: asyncio.Queue[str | None] = asyncio.Queue()
    unsubscribe = sandbox.kit.changes.subscribe(
        lambda meeting: statuses.put_nowait(meeting.livestream.status if meeting.livestream else None)
    )
    async with tab.page.expect_response("**/api/conditions"):
        await tab.page.get_by_role("radio", name=SIXTYFOLD).check(force=True)

    await tab.meeting(LIVE).get_by_role("button", name="Drop 5 s").click()

    async with asyncio.timeout(TAKES / 1_000):
        assert [await statuses.get() for _ in range(2)] == ["OFFLINE", "LIVE"]
    unsubscribe()
    await expect(tab.meeting(LIVE).locator(".pill")).to_have_text("LIVE")


async def test_rejected_step_is_explained_on_the_card(tab: Tab, tabs: Tabs) -> None:
    tabs.expected.append("409")
    await tab.page.route(
        "**/api/meetings/*/end", lambda route: route.fulfill(status=409, json={"error": "It is over."})
    )

    await tab.meeting(LIVE).get_by_role("button", name="End").click()

    await expect(tab.meeting(LIVE).get_by_role("status")).to_have_text("It is over.")


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


async def test_webhooks_can_be_held_repeated_and_signed_with_a_new_key(tab: Tab, tabs: Tabs, sandbox: Sandbox) -> None:
    about, hold = tab.page.locator("#webhooks-about"), tab.page.get_by_role("button", name="Hold back")
    await expect(about).to_contain_text("delivered")
    key = sandbox.kit.public_key

    await hold.click()
    await expect(hold).to_have_attribute("aria-pressed", "true")
    assert sandbox.kit.webhooks_held
    await hold.click()
    await expect(hold).to_have_attribute("aria-pressed", "false")
    await tab.page.get_by_role("button", name="Rotate key").click()

    await expect(tab.page.locator("#notices")).to_contain_text("new key")
    assert sandbox.kit.public_key != key


async def test_repeating_without_a_webhook_is_rejected(tab: Tab, tabs: Tabs) -> None:
    tabs.expected.append("409")
    await tab.page.route(
        "**/api/webhooks/repeat", lambda route: route.fulfill(status=409, json={"error": "No webhook was sent yet."})
    )

    await tab.page.get_by_role("button", name="Repeat last").click()

    await expect(tab.page.locator("#notices")).to_contain_text("No webhook was sent yet.")
