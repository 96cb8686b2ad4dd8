"""The drawer with the calls between the bot, Slack and Cloudflare."""

import re

import pytest
from playwright.async_api import expect

from sandbox.realtimekit.seeds import LIVE
from tests.sandbox.page.browser.drawing import Drawing
from tests.sandbox.page.browser.tab import Tab

pytestmark = pytest.mark.asyncio(loop_scope="session")

FULL_STORE = """async () => {
    const { Store } = await import("/static/js/store.js");
    const store = new Store();
    for (let number = 0; number < 520; number += 1) {
        store.apply({ kind: "call_logged", subject: { id: number } });
        store.apply({ kind: "message_posted", subject: { channel: "C1", ts: `${1000 + number}.0` } });
    }
    return [store.calls, store.messages.get("C1")].map((kept) => [kept.size, [...kept.keys()].at(-1)]);
}"""


async def test_each_call_is_a_row_with_status_and_time(tab: Tab) -> None:
    """Accounts are masked."""
    await tab.ask(LIVE)
    await tab.page.get_by_role("button", name="Calls").click()
    rows = tab.page.locator("#call-rows tr")

    await expect(rows.filter(has_text="slash command /livestream").last).to_contain_text("Slack → Bot")
    lookup_row = rows.filter(has_text=f"/meetings/{LIVE}/active-livestream").last
    await expect(lookup_row).to_have_text(re.compile(r"Bot → Cloudflare\s*GET /accounts/•••/.*200.* ms"))
    await expect(rows.filter(has_text="response_url").last).to_contain_text("200")


async def test_page_keeps_the_latest_200_calls_and_500_messages(drawing: Drawing) -> None:
    assert await drawing.page.evaluate(FULL_STORE) == [[200, 519], [500, "1519.0"]]
