"""Menus: of a card, of a message, of a channel; with a mouse, with keys, and when what is below them changes."""

import asyncio
from typing import Any

import pytest
from playwright.async_api import Locator, expect

from sandbox.running import Sandbox
from sandbox.slack import ANN, BEN, BOT, Message
from sandbox.slack.conversations import direct_message
from tests.sandbox.page.browser.conftest import OpenTab, Tabs
from tests.sandbox.page.browser.tab import Tab

pytestmark = pytest.mark.asyncio(loop_scope="session")

SCROLLED = "() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(() => drawn())))"
"""A function of JavaScript: done when the scroll event has been handled, before the next frame."""


def plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text}


def card(*words: str, block: str = "card") -> tuple[dict[str, Any]]:
    """Return a card with a menu of these options."""
    options = [{"text": plain(word), "value": word, "description": plain(f"About {word}")} for word in words]
    menu = {"type": "overflow", "action_id": "follow_menu", "options": options}
    return ({"type": "section", "block_id": block, "text": plain("Launch keynote"), "accessory": menu},)


def post(sandbox: Sandbox, room: str, text: str = "Launch keynote", **fields: Any) -> Message:
    """Post a message of the bot."""
    ts = sandbox.slack.workspace.next_ts(sandbox.clock.now())
    return sandbox.slack.workspace.post(Message(room, ts, BOT, text, **fields))


def edit(sandbox: Sandbox, message: Message, *blocks: dict[str, Any]) -> None:
    """Let the bot edit a message."""
    edited = sandbox.slack.workspace.next_ts(sandbox.clock.now())
    sandbox.slack.workspace.edit(message, message.text, blocks, edited)


async def clicks(tab: Tab) -> asyncio.Queue[Any]:
    """Record the clicks from now on; the server accepts them all."""
    sent: asyncio.Queue[Any] = asyncio.Queue()

    async def take(route: Any) -> None:
        sent.put_nowait(route.request.post_data_json)
        await route.fulfill(json={"outcome": "ok"})

    await tab.page.route("**/api/clicks", take)
    return sent


def menu(tab: Tab) -> Locator:
    return tab.page.get_by_role("menu")


async def test_card_menu_has_a_name_and_described_choices(tab: Tab, sandbox: Sandbox, room: str) -> None:
    post(sandbox, room, blocks=card("Quieter", "Unfollow"))
    sent = await clicks(tab)

    await tab.latest.get_by_role("button", name="More actions").click()

    await expect(menu(tab)).to_have_accessible_name("More actions")
    await expect(menu(tab).get_by_role("menuitem")).to_have_text(["QuieterAbout Quieter", "UnfollowAbout Unfollow"])
    await menu(tab).get_by_role("menuitem", name="Unfollow").click()
    await expect(menu(tab)).to_have_count(0)
    click = await asyncio.wait_for(sent.get(), 30)
    assert sent.empty()
    assert (click["action_id"], click["value"], click["block_id"]) == ("follow_menu", "Unfollow", "card")


async def test_letter_selects_the_choice_that_begins_with_it(tab: Tab, sandbox: Sandbox, room: str) -> None:
    post(sandbox, room, blocks=card("Louder", "Refresh", "Reset"))
    await tab.latest.get_by_role("button", name="More actions").press("Enter")
    item = menu(tab).get_by_role("menuitem")

    for key, place in (("r", 1), ("R", 2), ("r", 1), ("x", 1)):
        await tab.page.keyboard.press(key)
        await expect(item.nth(place)).to_be_focused()


async def test_open_menu_survives_an_edit_of_its_card(tab: Tab, sandbox: Sandbox, room: str) -> None:
    message = post(sandbox, room, blocks=card("Quieter", "Unfollow"))
    sent = await clicks(tab)
    await tab.latest.get_by_role("button", name="More actions").press("Enter")
    await tab.page.keyboard.press("ArrowDown")

    edit(sandbox, message, *card("Louder", "Unfollow"))

    await expect(tab.latest).to_contain_text("(edited)")
    await expect(tab.latest.get_by_role("button", name="More actions")).to_have_attribute("aria-expanded", "true")
    await expect(menu(tab).get_by_role("menuitem", name="Unfollow")).to_be_focused()
    await tab.page.keyboard.press("Enter")
    await expect(tab.latest.get_by_role("button", name="More actions")).to_be_focused()
    assert (await asyncio.wait_for(sent.get(), 30))["value"] == "Unfollow"
    assert sent.empty()


async def test_open_menu_closes_with_its_button(tab: Tab, sandbox: Sandbox, room: str) -> None:
    for go in (lambda it: edit(sandbox, it), sandbox.slack.delete_message):
        message = post(sandbox, room, blocks=card("Quieter"))
        await tab.latest.get_by_role("button", name="More actions").click()
        await expect(menu(tab)).to_be_visible()

        go(message)

        await expect(menu(tab)).to_have_count(0)


async def test_open_menu_stays_at_its_card_when_messages_arrive(tab: Tab, sandbox: Sandbox, room: str) -> None:
    for number in range(12):
        post(sandbox, room, f"Line {number}", blocks=card("Earlier"))
    post(sandbox, room, blocks=card("Quieter", block="last"))
    await expect(tab.messages).to_have_count(13)
    opener = tab.latest.get_by_role("button", name="More actions")
    await opener.press("Enter")
    last = tab.messages.nth(12)

    post(sandbox, room, "One more")
    await expect(tab.latest).to_contain_text("One more")
    await expect(menu(tab).get_by_role("menuitem", name="Quieter")).to_be_focused()
    await tab.evaluate(SCROLLED)
    box, below = await menu(tab).bounding_box(), await last.get_by_role("button", name="More actions").bounding_box()
    assert box is not None
    assert below is not None
    assert abs(box["y"] - below["y"] - below["height"]) < 12 or abs(box["y"] + box["height"] - below["y"]) < 12
    await tab.evaluate("document.getElementById('messages').scrollTop = 0")

    await expect(menu(tab)).to_have_count(0)


async def test_message_is_deleted_from_its_menu_after_a_confirmation(
    tab: Tab, open_tab: OpenTab, sandbox: Sandbox, room: str
) -> None:
    ben = await open_tab(BEN)
    post(sandbox, room, "The card")
    await tab.latest.hover()
    await tab.latest.get_by_role("button", name="Message menu").press("Enter")
    await expect(menu(tab)).to_have_accessible_name("Message menu")
    await tab.page.keyboard.press("Enter")
    dialog = tab.page.get_by_role("dialog", name="Delete this message?")
    await tab.page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)
    await expect(ben.messages).to_have_count(1)

    await tab.latest.get_by_role("button", name="Message menu").press("Enter")
    await tab.page.keyboard.press("Enter")
    await dialog.get_by_role("button", name="Delete").click()

    await expect(tab.messages).to_have_count(0)
    await expect(ben.messages).to_have_count(0)


async def test_reply_is_deleted_in_its_thread(tab: Tab, sandbox: Sandbox, room: str) -> None:
    first = post(sandbox, room, "The card")
    post(sandbox, room, "It is live", thread_ts=first.ts)
    await tab.latest.get_by_role("button", name="1 reply").click()
    reply = tab.thread.locator(".message").filter(has_text="It is live")

    await reply.hover()
    await reply.get_by_role("button", name="Message menu").click()
    await menu(tab).get_by_role("menuitem").click()
    await tab.page.get_by_role("dialog").get_by_role("button", name="Delete").click()

    await expect(tab.thread).to_contain_text("No replies yet")
    assert await tab.thread.get_by_role("button", name="Reply in thread").count() == 0


async def test_missing_message_cannot_be_deleted(tab: Tab, tabs: Tabs, sandbox: Sandbox, room: str) -> None:
    tabs.expected.append("409")
    message = post(sandbox, room, "The card")
    await tab.latest.hover()
    await tab.latest.get_by_role("button", name="Message menu").click()
    await menu(tab).get_by_role("menuitem").click()
    await tab.page.route("**/api/stream*", lambda route: route.abort())
    sandbox.slack.delete_message(message)

    await tab.page.get_by_role("dialog").get_by_role("button", name="Delete").click()

    await expect(tab.page.locator("#notices")).to_contain_text("This message is gone.")


async def test_channel_menu_invites_and_removes_the_bot(tab: Tab, sandbox: Sandbox, room: str) -> None:
    about, opener = tab.page.locator("#channel-about"), tab.page.get_by_role("button", name="Channel menu")

    await opener.click()
    await menu(tab).get_by_role("menuitem", name="Remove Livestream").click()
    await expect(about).to_contain_text("Livestream is not in this channel")
    await expect(tab.latest).to_contain_text("was removed")
    await opener.click()
    await menu(tab).get_by_role("menuitem", name="Invite Livestream").click()

    await expect(about).to_contain_text("and Livestream")
    await expect(tab.latest).to_contain_text("was added")
    await expect(opener).to_be_focused()


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


async def test_direct_message_is_in_its_recipients_sidebar_only(tab: Tab, open_tab: OpenTab, sandbox: Sandbox) -> None:
    ben = await open_tab(BEN)
    post(sandbox, direct_message(sandbox.slack.workspace, ANN).id, "Invite me to #room, and I continue.")

    chat = tab.page.locator("#direct-list").get_by_role("button", name="Livestream")
    await expect(chat.locator(".unread")).to_have_text("1 new")
    await chat.click()

    await expect(tab.latest).to_contain_text("Invite me")
    await expect(tab.page.locator("#channel-title")).to_have_text("Livestream")
    await expect(tab.page.get_by_role("button", name="Channel menu")).to_be_hidden()
    await tab.latest.hover()
    await tab.latest.get_by_role("button", name="Reply in thread").click()
    await expect(tab.page.locator("#thread-channel")).to_have_text("Livestream")
    await expect(ben.page.locator("#directs")).to_be_hidden()
