"""Menus of a card, a message and a channel, when what is below them changes."""

import asyncio
from typing import Any

import pytest
from playwright.async_api import Locator, Route, expect

from sandbox.slack import CHRIS
from sandbox.slack.conversations import direct_message
from tests.sandbox.page.browser.conftest import OpenTab, Room, Tabs
from tests.sandbox.page.browser.tab import DRAWN, Tab

pytestmark = pytest.mark.asyncio(loop_scope="session")


def card(*words: str, block: str = "card") -> tuple[dict[str, Any]]:
    """Return a card with a menu of these options."""
    texts = [{"type": "plain_text", "text": word} for word in ("Launch keynote", *words)]
    options = [{"text": text, "value": text["text"]} for text in texts[1:]]
    menu = {"type": "overflow", "action_id": "follow_menu", "options": options}
    return ({"type": "section", "block_id": block, "text": texts[0], "accessory": menu},)


def menu(tab: Tab) -> Locator:
    return tab.page.get_by_role("menu")


def opener(message: Locator, name: str = "More actions") -> Locator:
    return message.get_by_role("button", name=name)


async def test_open_menu_survives_an_edit_of_its_card(tab: Tab, room: Room) -> None:
    sent: asyncio.Queue[Any] = asyncio.Queue()

    async def take(route: Route) -> None:
        sent.put_nowait(route.request.post_data_json)
        await route.fulfill(json={"outcome": "ok"})

    await tab.page.route("**/api/clicks", take)
    message = room.post(blocks=card("Quieter", "Unfollow"))
    await opener(tab.latest).press("Enter")
    await tab.page.keyboard.press("ArrowDown")

    room.edit(message, *card("Louder", "Unfollow"))

    await expect(tab.latest).to_contain_text("(edited)")
    await expect(opener(tab.latest)).to_have_attribute("aria-expanded", "true")
    await expect(menu(tab).get_by_role("menuitem", name="Unfollow")).to_be_focused()
    await tab.page.keyboard.press("Enter")
    await expect(opener(tab.latest)).to_be_focused()
    click = await asyncio.wait_for(sent.get(), 30)
    assert (click["action_id"], click["value"], click["block_id"]) == ("follow_menu", "Unfollow", "card")
    assert sent.empty()


async def test_open_menu_closes_with_its_button(tab: Tab, room: Room) -> None:
    for remove in (room.edit, room.sandbox.slack.delete_message):
        message = room.post(blocks=card("Quieter"))
        await opener(tab.latest).click()
        await expect(menu(tab)).to_be_visible()

        remove(message)

        await expect(menu(tab)).to_have_count(0)


async def test_open_menu_stays_at_its_card_when_messages_arrive(tab: Tab, room: Room) -> None:
    for number in range(12):
        room.post(f"Line {number}", blocks=card("Earlier"))
    room.post(blocks=card("Quieter", block="last"))
    await expect(tab.messages).to_have_count(13)
    last = opener(tab.messages.nth(12))
    await last.press("Enter")

    room.post("One more")
    await expect(tab.latest).to_contain_text("One more")
    await expect(menu(tab).get_by_role("menuitem", name="Quieter")).to_be_focused()
    await tab.evaluate(DRAWN)  # a scroll event comes before the next frame
    box, below = await menu(tab).bounding_box(), await last.bounding_box()
    assert box is not None
    assert below is not None
    assert abs(box["y"] - below["y"] - below["height"]) < 12 or abs(box["y"] + box["height"] - below["y"]) < 12
    await tab.evaluate("document.getElementById('messages').scrollTop = 0")

    await expect(menu(tab)).to_have_count(0)


async def test_message_is_deleted_from_its_menu_after_a_confirmation(tab: Tab, room: Room) -> None:
    dialog = tab.page.get_by_role("dialog", name="Delete this message?")
    room.post("The card")
    await tab.latest.hover()
    await opener(tab.latest, "Message menu").press("Enter")
    await expect(menu(tab)).to_have_accessible_name("Message menu")
    await tab.page.keyboard.press("Enter")
    await expect(dialog).to_be_visible()
    await tab.page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)
    await expect(tab.messages).to_have_count(1)

    await opener(tab.latest, "Message menu").press("Enter")
    await tab.page.keyboard.press("Enter")
    await dialog.get_by_role("button", name="Delete").click()

    await expect(tab.messages).to_have_count(0)


async def test_reply_is_deleted_in_its_thread(tab: Tab, room: Room) -> None:
    first = room.post("The card")
    room.post("It is live", thread_ts=first.ts)
    await tab.latest.get_by_role("button", name="1 reply").click()
    reply = tab.thread.locator(".message").filter(has_text="It is live")

    await reply.hover()
    await opener(reply, "Message menu").click()
    await menu(tab).get_by_role("menuitem").click()
    await tab.page.get_by_role("dialog").get_by_role("button", name="Delete").click()

    await expect(tab.thread).to_contain_text("No replies yet")
    assert await tab.thread.get_by_role("button", name="Reply in thread").count() == 0


async def test_channel_menu_invites_and_removes_the_bot(tab: Tab) -> None:
    about, button = tab.page.locator("#channel-about"), tab.page.get_by_role("button", name="Channel menu")

    await button.click()
    await menu(tab).get_by_role("menuitem", name="Remove Livestream").click()
    await expect(about).to_contain_text("Livestream is not in this channel")
    await expect(tab.latest).to_contain_text("was removed")
    await button.click()
    await menu(tab).get_by_role("menuitem", name="Invite Livestream").click()

    await expect(about).to_contain_text("and Livestream")
    await expect(tab.latest).to_contain_text("was added")
    await expect(button).to_be_focused()


async def test_channel_menu_archives_and_restores_the_channel(tab: Tab, tabs: Tabs) -> None:
    tabs.expected.append("409")
    about, opener = tab.page.locator("#channel-about"), tab.page.get_by_role("button", name="Channel menu")

    await opener.click()
    await menu(tab).get_by_role("menuitem", name="Archive this channel").click()
    await expect(about).to_contain_text("Archived")
    await tab.say("Anybody?")
    await expect(tab.page.locator("#notices")).to_contain_text("This channel is archived")
    await opener.click()
    await expect(menu(tab).get_by_role("menuitem")).to_have_count(1)
    await tab.page.keyboard.press("Enter")

    await expect(about).not_to_contain_text("Archived")
    await tab.say("Here again")
    await expect(tab.latest).to_contain_text("Here again")


async def test_direct_message_is_in_its_recipients_sidebar(open_tab: OpenTab, room: Room) -> None:
    tab = await open_tab(CHRIS)
    await expect(tab.page.locator("#directs")).to_be_hidden()
    chat = direct_message(room.sandbox.slack.workspace, CHRIS).id
    room.post("Invite me to #room, and I continue.", channel=chat)

    entry = tab.page.locator("#direct-list").get_by_role("button", name="Livestream")
    await expect(entry.locator(".unread")).to_have_text("1 new")
    await entry.click()

    await expect(tab.latest).to_contain_text("Invite me")
    await expect(tab.page.locator("#channel-title")).to_have_text("Livestream")
    await expect(tab.page.get_by_role("button", name="Channel menu")).to_be_hidden()
    await tab.latest.hover()
    await tab.latest.get_by_role("button", name="Reply in thread").click()
    await expect(tab.page.locator("#thread-channel")).to_have_text("Livestream")
