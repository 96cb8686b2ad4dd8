"""The drawer with the calls between the bot, Slack and Cloudflare."""

import re

import pytest
from playwright.async_api import expect

from sandbox.realtimekit.seeds import LIVE
from sandbox.running import Sandbox
from tests.sandbox.page.browser.tab import Tab

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_each_call_is_a_row_with_its_answer(tab: Tab) -> None:
    """The command, the question to Cloudflare and the reply, each with its status and time; accounts are masked."""
    await tab.ask(LIVE)
    await tab.page.get_by_role("button", name="Calls").click()
    rows = tab.page.locator("#call-rows tr")

    await expect(rows.filter(has_text="slash command /livestream").last).to_contain_text("Slack → Bot")
    asked = rows.filter(has_text=f"/meetings/{LIVE}/active-livestream").last
    await expect(asked).to_have_text(re.compile(r"Bot → Cloudflare\s*GET /accounts/•••/.*200.* ms"))
    await expect(rows.filter(has_text="response_url").last).to_contain_text("200")


async def test_the_calls_can_be_filtered(sandbox: Sandbox, tab: Tab) -> None:
    """By who is asked, by what failed, and by words."""
    meeting_id = sandbox.kit.add_meeting("Never asked for").id  # an answer that is kept for a moment would cost no call
    await tab.break_down("Cloudflare", "unauthorized")
    await tab.ask(meeting_id)
    sandbox.kit.remove_meeting(meeting_id)
    await tab.page.get_by_role("button", name="Calls").click()
    rows = tab.page.locator("#call-rows tr")

    await tab.page.get_by_label("Show").select_option("failed")
    await expect(rows.filter(has_text="Bot → Cloudflare").filter(has_text="401").last).to_be_visible()
    await expect(tab.page.locator("#call-rows tr:not(.is-failed)")).to_have_count(0)
    await tab.page.get_by_label("Search the calls").fill("nothing like this")
    await expect(tab.page.get_by_text("No call fits the filter.")).to_be_visible()


async def test_the_log_keeps_200_calls(tab: Tab) -> None:
    """Older rows leave the page."""
    await tab.evaluate("""async () => {
        const { Store } = await import("/static/js/store.js");
        const store = new Store();
        for (let id = 0; id < 500; id += 1) store.apply({ kind: "call_logged", subject: { id } });
        if (store.calls.size !== 200 || !store.calls.has(499)) throw new Error(`${store.calls.size} calls`);
    }""")
