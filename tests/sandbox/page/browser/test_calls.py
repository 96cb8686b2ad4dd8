"""The drawer with the calls between the bot, Slack and Cloudflare."""

import re

import pytest
from playwright.async_api import expect

from sandbox.realtimekit.seeds import LIVE
from sandbox.running import Sandbox
from tests.sandbox.page.browser.tab import Tab

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_each_call_is_a_row_with_status_and_time(tab: Tab) -> None:
    """Accounts are masked."""
    await tab.ask(LIVE)
    await tab.page.get_by_role("button", name="Calls").click()
    rows = tab.page.locator("#call-rows tr")

    await expect(rows.filter(has_text="slash command /livestream").last).to_contain_text("Slack → Bot")
    lookup_row = rows.filter(has_text=f"/meetings/{LIVE}/active-livestream").last
    await expect(lookup_row).to_have_text(re.compile(r"Bot → Cloudflare\s*GET /accounts/•••/.*200.* ms"))
    await expect(rows.filter(has_text="response_url").last).to_contain_text("200")


async def test_calls_can_be_filtered_by_failure_and_text(sandbox: Sandbox, tab: Tab) -> None:
    meeting_id = sandbox.kit.add_meeting("Never looked up").id  # a cached answer would cause no call
    await tab.set_fault("Cloudflare", "unauthorized")
    await tab.ask(meeting_id)
    sandbox.kit.remove_meeting(meeting_id)
    await tab.page.get_by_role("button", name="Calls").click()
    rows = tab.page.locator("#call-rows tr")

    await tab.page.get_by_label("Show").select_option("failed")
    await expect(rows.filter(has_text="Bot → Cloudflare").filter(has_text="401").last).to_be_visible()
    await expect(tab.page.locator("#call-rows tr:not(.is-failed)")).to_have_count(0)
    await tab.page.get_by_label("Search the calls").fill("nothing like this")
    await expect(tab.page.get_by_text("No call fits the filter.")).to_be_visible()


async def test_call_log_keeps_200_rows(tab: Tab) -> None:
    await tab.evaluate("""async () => {
        const { Store } = await import("/static/js/store.js");
        const store = new Store();
        for (let id = 0; id < 500; id += 1) store.apply({ kind: "call_logged", subject: { id } });
        if (store.calls.size !== 200 || !store.calls.has(499)) throw new Error(`${store.calls.size} calls`);
    }""")
