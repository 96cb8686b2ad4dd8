"""What people read when Cloudflare or Slack fails."""

from collections.abc import Iterator

import pytest
from playwright.async_api import expect

from bot.errors import ServerError, Unreachable
from bot.realtimekit.lookup import FAILURE_SECONDS
from sandbox.realtimekit.seeds import LIVE
from sandbox.running import Sandbox
from tests.sandbox.page.browser.tab import Tab

pytestmark = pytest.mark.asyncio(loop_scope="session")

CLOUDFLARE = [
    ("unauthorized", "I can't access Cloudflare right now"),
    ("rate_limited", "Cloudflare is rate-limiting this bot. Try again in 3 seconds."),
    ("server_error", ServerError(500).sentence),
    ("html", ServerError(502).sentence),
    ("drop", Unreachable().sentence),
    ("half", Unreachable().sentence),
    ("hang", Unreachable().sentence),
]


@pytest.fixture
def meeting(sandbox: Sandbox) -> Iterator[str]:
    """A meeting of this test's own: a cached answer would hide the fault."""
    meeting_id = sandbox.kit.add_meeting("Town hall").id
    yield meeting_id
    sandbox.kit.remove_meeting(meeting_id)


@pytest.mark.parametrize(("fault", "sentence"), CLOUDFLARE)
async def test_cloudflare_fault_is_explained_until_it_is_switched_off(
    sandbox: Sandbox, tab: Tab, meeting: str, fault: str, sentence: str
) -> None:
    sandbox.kit.retry_after = 3
    await tab.set_fault("Cloudflare", fault)
    banner = tab.page.locator("#fault-banners")

    answer = await tab.ask(meeting)

    await expect(answer).to_contain_text(sentence, timeout=20_000)
    await banner.get_by_role("button", name="Let Cloudflare work again").click()
    await expect(banner).to_be_empty()
    if await answer.get_by_role("button", name="Try again").count():
        # The bot obeys Cloudflare's Retry-After; and a failure is cached for a second.
        await tab.page.wait_for_timeout(3_000 if fault == "rate_limited" else 1_000 * FAILURE_SECONDS + 500)
        await tab.press(answer, "Try again")
        await expect(answer).to_contain_text("Town hall")


async def test_slow_cloudflare_response_is_shown(tab: Tab, meeting: str) -> None:
    await tab.set_fault("Cloudflare", "slow")

    answer = await tab.ask(meeting)

    await expect(answer).to_contain_text("Town hall")


async def test_rate_limited_post_here_posts_nothing(tab: Tab) -> None:
    card = await tab.ask(LIVE)
    await tab.set_fault("Slack", "rate_limited")
    posts = tab.page.locator("#call-rows tr").filter(has_text="chat.postMessage")

    await tab.press(card, "Post here")

    await expect(card.get_by_role("button", name="Post here")).to_be_enabled()
    await expect(posts.last).to_contain_text("429")
    await expect(tab.messages).to_have_count(1)
