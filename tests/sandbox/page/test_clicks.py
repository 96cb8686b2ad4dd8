"""Clicks on messages."""

from typing import Any

from bot.realtimekit.lookup import ANSWER_SECONDS
from sandbox.realtimekit import seeds
from sandbox.slack import ANN, BACKSTAGE, BEN, BOT, CHRIS, GENERAL, Message
from tests.conftest import World
from tests.sandbox.page.conftest import Browser

OPTION = {"text": {"type": "plain_text", "text": "One"}, "value": "1"}
OVERFLOW = {"type": "overflow", "action_id": "more", "options": [OPTION]}
MENU = ({"type": "actions", "block_id": "b1", "elements": [OVERFLOW]},)


async def click(browser: Browser, message: dict[str, Any], action_id: str, **more: Any) -> tuple[int, str]:
    body = {"user": ANN, "channel": message["channel"], "ts": message["ts"], "action_id": action_id, **more}
    status, answer = await browser.ask("POST", "/api/clicks", body)
    return status, answer.get("error") or answer["outcome"]


async def test_answer_is_refreshed_and_posted_by_clicks(browser: Browser, world: World) -> None:
    async with world.bot(), browser.stream(ANN) as for_ann, browser.stream(BEN) as for_ben:
        typed = {"user": ANN, "channel": GENERAL, "text": f"/livestream {seeds.LIVE}"}
        await browser.ask("POST", "/api/messages", typed)
        answer = await for_ann.next("message_posted")

        await browser.ask("POST", f"/api/meetings/{seeds.LIVE}/end")  # refused: no content type
        await browser.ask("POST", f"/api/meetings/{seeds.LIVE}/end", {})
        world.slack.clock.advance(ANSWER_SECONDS)
        assert await click(browser, answer, "refresh") == (200, "ok")
        assert "is not live" in (await for_ann.next("message_changed"))["text"]

        assert await click(browser, answer, "post_here") == (200, "ok")
        assert (await for_ann.next("message_deleted"))["ts"] == answer["ts"]
        posted = await for_ben.next("message_posted")
    assert (posted["author"], posted["ephemeral_to"]) == (BOT, None)


async def test_link_button_is_acknowledged_and_an_unreachable_bot_reported(browser: Browser, world: World) -> None:
    async with world.bot():
        answer = (await world.ask(seeds.LIVE)).to_dict()
        assert await click(browser, answer, "watch") == (200, "ok")

    assert await click(browser, answer, "refresh") == (200, "dispatch_failed")


async def test_chosen_option_is_sent_to_the_bot(browser: Browser, world: World) -> None:
    """An option that is not in the menu is rejected."""
    message = world.slack.workspace.post(Message(GENERAL, "1.000000", BOT, "menu", MENU)).to_dict()

    assert await click(browser, message, "more", value="1", block_id="b1") == (200, "dispatch_failed")
    assert await click(browser, message, "more", value="2") == (409, "This button is gone.")
    assert [call.method for call in world.slack.calls] == ["block_actions more"]


async def test_missing_or_invisible_element_cannot_be_clicked(browser: Browser, world: World) -> None:
    post = world.slack.workspace.post
    here = post(Message(GENERAL, "1.000000", BOT, "menu", MENU)).to_dict()
    for_ben = post(Message(GENERAL, "2.000000", BOT, "menu", MENU, ephemeral_to=BEN)).to_dict()
    deleted = world.slack.delete_message(post(Message(GENERAL, "3.000000", BOT, "menu", MENU))).to_dict()
    private = post(Message(BACKSTAGE, "4.000000", BOT, "menu", MENU)).to_dict()

    assert await click(browser, here, "less") == (409, "This button is gone.")
    assert await click(browser, for_ben, "more", value="1") == (409, "This message is gone.")
    assert await click(browser, deleted, "more", value="1") == (409, "This message is gone.")
    assert await click(browser, here | {"ts": "9.000000"}, "more") == (409, "This message is gone.")
    assert await click(browser, private, "more", user=CHRIS) == (404, "There is no such channel here.")
    assert await click(browser, here, "more", user=BOT) == (404, "There is no person with this ID here.")
    assert not world.slack.calls


async def test_malformed_click_is_rejected(browser: Browser) -> None:
    click = {"user": ANN, "channel": GENERAL, "ts": "1.000000", "action_id": "more"}
    for change, sentence in (
        ({"value": 1}, "value: Input should be a valid string."),
        ({"action_id": ""}, "action_id: String should have at least 1 character."),
        ({"value": "x" * 2_001}, "value: String should have at most 2000 characters."),
    ):
        assert await browser.ask("POST", "/api/clicks", click | change) == (400, {"error": sentence})
