"""What people read when Cloudflare, Slack or the page's server refuses."""

import pytest
from playwright.async_api import expect

from bot.errors import ServerError
from sandbox.realtimekit.seeds import LIVE
from tests.sandbox.page.browser.conftest import Room, Tabs
from tests.sandbox.page.browser.tab import Tab

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_chosen_cloudflare_fault_is_explained_until_it_is_switched_off(tab: Tab, room: Room) -> None:
    meeting_id = room.sandbox.kit.add_meeting("Town hall").id  # of another one, a cached answer would hide the fault
    await tab.set_fault("Cloudflare", "server_error")
    banner, rows = tab.page.locator("#fault-banners"), tab.page.locator("#call-rows tr")

    answer = await tab.ask(meeting_id)

    await expect(answer).to_contain_text(ServerError(500).sentence)
    await expect(answer.get_by_role("button", name="Try again")).to_be_visible()
    await tab.page.get_by_role("button", name="Calls").click()
    await tab.page.get_by_label("Show").select_option("failed")
    await expect(rows.filter(has_text="Bot → Cloudflare").filter(has_text="500").last).to_be_visible()
    await expect(tab.page.locator("#call-rows tr:not(.is-failed)")).to_have_count(0)
    await tab.page.get_by_label("Search the calls").fill("nothing like this")
    await expect(tab.page.get_by_text("No call fits the filter.")).to_be_visible()
    await banner.get_by_role("button", name="Let Cloudflare work again").click()
    await expect(banner).to_be_empty()
    await expect(tab.page.get_by_label("Cloudflare", exact=True)).to_be_focused()
    room.sandbox.kit.remove_meeting(meeting_id)


async def test_rate_limited_post_here_posts_nothing(tab: Tab) -> None:
    card = await tab.ask(LIVE)
    await tab.set_fault("Slack", "rate_limited")
    posts = tab.page.locator("#call-rows tr").filter(has_text="chat.postMessage")

    await tab.press(card, "Post here")

    await expect(card.get_by_role("button", name="Post here")).to_be_enabled()
    await expect(posts.last).to_contain_text("429")
    await expect(tab.messages).to_have_count(1)


async def test_unreachable_bot_is_reported(tab: Tab, room: Room) -> None:
    """By Slackbot for a command, by a notice for a click."""
    slack = room.sandbox.slack
    card = await tab.ask(LIVE)
    address, slack.request_url = slack.request_url, "http://127.0.0.1:1/"
    try:
        await tab.press(card, "Refresh")
        await expect(tab.page.locator("#notices")).to_contain_text("could not be reached")
        await tab.say(f"/livestream {LIVE}")
        await expect(tab.latest).to_contain_text("/livestream failed with the error")
    finally:
        slack.request_url = address


async def test_rejected_action_is_explained(tab: Tab, tabs: Tabs, room: Room) -> None:
    """On the meeting's card for a step of its livestream, otherwise by a notice."""
    tabs.expected.append("409")
    notices = tab.page.locator("#notices")
    await tab.page.route("**/api/meetings/**", lambda route: route.fulfill(status=409, json={"error": "It is over."}))
    await tab.page.route("**/api/webhooks/**", lambda route: route.fulfill(status=409, json={"error": "None yet."}))
    await tab.page.route("**/api/deletions", lambda route: route.fulfill(status=409, json={"error": "It is gone."}))
    room.post("The card")

    await tab.meeting(LIVE).get_by_role("button", name="End").click()
    await expect(tab.meeting(LIVE).get_by_role("status")).to_have_text("It is over.")
    await tab.page.get_by_role("button", name="Repeat last").click()
    await expect(notices).to_contain_text("None yet.")
    await tab.latest.hover()
    await tab.latest.get_by_role("button", name="Message menu").click()
    await tab.page.get_by_role("menuitem").click()
    await tab.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(notices).to_contain_text("It is gone.")
