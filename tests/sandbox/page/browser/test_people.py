"""Several tabs are several people, in channels that are open to them or not."""

import re

import pytest
from playwright.async_api import expect

from sandbox.realtimekit.seeds import LIVE
from sandbox.slack import BACKSTAGE, BEN, CHRIS, GENERAL
from tests.sandbox.page.browser.conftest import OpenTab, Room, Tabs
from tests.sandbox.page.browser.tab import Tab

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_chosen_person_and_all_messages_survive_a_reload(tab: Tab) -> None:
    await tab.page.get_by_role("radio", name="Ben").check(force=True)
    await expect(tab.page).to_have_url(re.compile(f"user={BEN}"))
    await tab.say("Ben here")
    await expect(tab.latest.locator(".author")).to_have_text("Ben")
    await tab.ask(LIVE)

    await tab.page.reload()
    await tab.connected()

    await expect(tab.page.get_by_role("radio", name="Ben")).to_be_checked()
    await expect(tab.messages).to_have_count(2)
    await expect(tab.latest).to_contain_text("Launch keynote")


async def test_post_here_without_the_bot_explains_the_invitation(tab: Tab, room: Room) -> None:
    room.sandbox.slack.remove_bot(room.id)
    about = tab.page.locator("#channel-about")
    await expect(about).to_contain_text("Livestream is not in this channel")
    card = await tab.ask(LIVE)

    await tab.press(card, "Post here")

    await expect(tab.latest).to_contain_text("Type /invite @livestream, then try again.")
    await tab.say("/invite @Livestream")
    await expect(about).to_contain_text("and Livestream")
    await tab.press(card, "Post here")
    await expect(tab.latest).to_contain_text("Posted by ann")


async def test_private_channel_is_hidden_from_non_members(open_tab: OpenTab) -> None:
    chris = await open_tab(CHRIS, BACKSTAGE)

    await expect(chris.page.get_by_role("button", name="general")).to_be_visible()
    assert await chris.page.get_by_role("button", name="backstage").count() == 0
    await expect(chris.page.locator("#channel-title")).to_have_text("general")


async def test_channel_with_unread_messages_is_bold(tab: Tab, room: Room) -> None:
    general = tab.page.locator(f"[data-channel={GENERAL}]")
    room.post("Look here", BEN, channel=GENERAL)
    await expect(general.locator(".unread")).to_have_text("1 new")
    await general.click()

    await expect(tab.latest).to_contain_text("Look here")
    await expect(general.locator(".unread")).to_have_count(0)


async def test_draft_stays_with_its_channel(tab: Tab, room: Room) -> None:
    await tab.composer.fill("Not yet")
    await tab.page.locator(f"[data-channel={GENERAL}]").click()
    await expect(tab.composer).to_have_value("")

    await tab.page.locator(f"[data-channel={room.id}]").click()

    await expect(tab.composer).to_have_value("Not yet")


async def test_typed_formatting_is_rendered_as_in_slack(tab: Tab) -> None:
    await tab.composer.fill("*bold* `code` https://example.com/x.")
    await tab.composer.press("Shift+Enter")
    await tab.composer.press_sequentially("> quoted <!channel> <b>")
    await tab.composer.press("Enter")

    await expect(tab.latest.locator("strong")).to_have_text("bold")
    await expect(tab.latest.locator("code")).to_have_text("code")
    await expect(tab.latest.locator("a")).to_have_attribute("href", "https://example.com/x")
    await expect(tab.latest.locator("blockquote")).to_have_text("quoted <!channel> <b>")


async def test_rejected_text_stays_in_the_composer(tab: Tab, tabs: Tabs) -> None:
    tabs.expected.append("400")
    await tab.say("long " * 1_000)

    await expect(tab.page.locator("#notices")).to_contain_text("Slack takes 4,000")
    await expect(tab.composer).to_have_value(re.compile("^(long ?){1000}$"))
