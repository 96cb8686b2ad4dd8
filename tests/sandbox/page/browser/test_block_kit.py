"""Block Kit is rendered as elements, never as HTML; what the page can't draw is named."""

from typing import Any

import pytest
from playwright.async_api import expect

from tests.sandbox.page.browser.drawing import Drawing
from tests.sandbox.page.browser.hostile import ATTACKS

pytestmark = pytest.mark.asyncio(loop_scope="session")


def plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text, **more}


def button(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "button", "text": plain(text), "action_id": "press", **more}


def actions(*elements: Any) -> dict[str, Any]:
    return {"type": "actions", "block_id": "b1", "elements": list(elements)}


CONFIRM = {"title": plain("End it?"), "text": mrkdwn("*Really*"), "confirm": plain("End"), "deny": plain("Keep")}
OPTIONS = [
    {"text": plain(name), "value": name.lower(), "description": plain(f"About {name}")}
    for name in ("One", "Two", "Three")
]


async def test_text_blocks_are_drawn_in_order(drawing: Drawing) -> None:
    body = await drawing.blocks(
        {"type": "header", "text": plain("Title :bell:")},
        {"type": "section", "text": mrkdwn("*Name*"), "fields": [mrkdwn("*A*\n1"), plain("*B*")]},
        {"type": "divider"},
        {"type": "context", "elements": [mrkdwn("Checked"), plain("twice"), {"type": "image", "alt_text": "logo"}]},
    )

    await expect(body.get_by_role("heading")).to_contain_text("Title")
    await expect(body.locator(".section-text strong")).to_have_text("Name")
    await expect(body.locator(".field")).to_have_text(["A1", "*B*"])
    await expect(body.get_by_role("separator")).to_have_count(1)
    await expect(body.locator(".context-item")).to_have_text(["Checked", "twice", ""])


async def test_verbatim_text_is_not_linked(drawing: Drawing) -> None:
    body = await drawing.blocks({"type": "section", "text": mrkdwn("https://a.test", verbatim=True)})

    await expect(body).to_have_text("https://a.test")
    await expect(body.locator("a")).to_have_count(0)


async def test_image_is_a_placeholder_with_alt_text_and_url(drawing: Drawing) -> None:
    """Nothing is fetched from the network."""
    image = {
        "type": "image",
        "alt_text": "The stage",
        "image_url": "https://example.com/stage.png",
        "title": plain("Now"),
    }
    body = await drawing.blocks(image)

    await expect(body.get_by_role("img", name="The stage")).to_be_visible()
    await expect(body.get_by_role("link", name="https://example.com/stage.png")).to_be_visible()
    await expect(body.locator("img")).to_have_count(0)


async def test_button_sends_its_ids_and_value(drawing: Drawing) -> None:
    body = await drawing.blocks(actions(button("Refresh", value="v", style="primary"), button("End", style="danger")))

    await expect(body.get_by_role("button", name="Refresh")).to_have_class("button button-primary")
    await expect(body.get_by_role("button", name="End")).to_have_class("button button-danger")
    await body.get_by_role("button", name="Refresh").click()
    assert await drawing.acted() == [{"action_id": "press", "block_id": "b1", "value": "v"}]


async def test_button_with_an_unsafe_url_is_not_a_link(drawing: Drawing) -> None:
    body = await drawing.blocks(actions(button("Go", url="javascript:alert(1)")))

    await expect(body.get_by_role("link")).to_have_count(0)
    await expect(body.get_by_role("button", name="Go")).to_be_visible()


async def test_confirm_dialog_comes_first_and_restores_the_focus(drawing: Drawing) -> None:
    body = await drawing.blocks(actions(button("End", confirm=CONFIRM)))
    press, dialog = body.locator(".block-actions").get_by_role("button"), body.get_by_role("dialog", name="End it?")

    await press.click()
    await expect(dialog.locator("strong")).to_have_text("Really")
    await dialog.get_by_role("button", name="Keep").click()
    await expect(press).to_be_focused()
    await press.click()
    await drawing.page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)
    assert await drawing.acted(times=0) == []

    await press.click()
    await dialog.get_by_role("button", name="End").click()
    await expect(dialog).to_have_count(0)
    assert [action["action_id"] for action in await drawing.acted()] == ["press"]


async def test_overflow_menu_has_a_name_and_described_choices_and_works_by_keyboard(drawing: Drawing) -> None:
    """A letter selects the next choice that begins with it."""
    body = await drawing.blocks(actions({"type": "overflow", "action_id": "more", "options": OPTIONS}))
    opener, menu, keyboard = body.get_by_role("button"), body.get_by_role("menu"), drawing.page.keyboard
    await expect(opener).to_have_accessible_name("More actions")

    await opener.press("Enter")
    await expect(menu).to_have_accessible_name("More actions")
    await expect(menu.get_by_role("menuitem")).to_have_text(["OneAbout One", "TwoAbout Two", "ThreeAbout Three"])
    await expect(menu.get_by_role("menuitem", name="One")).to_be_focused()
    for key, place in (("t", 1), ("T", 2), ("t", 1), ("x", 1), ("Home", 0), ("ArrowDown", 1), ("End", 2)):
        await keyboard.press(key)
        await expect(menu.get_by_role("menuitem").nth(place)).to_be_focused()
    await keyboard.press("Escape")
    await expect(opener).to_be_focused()
    await expect(opener).to_have_attribute("aria-expanded", "false")
    await opener.press("Enter")
    await keyboard.press("ArrowUp")
    await keyboard.press("Enter")

    await expect(menu).to_have_count(0)
    assert await drawing.acted() == [{"action_id": "more", "block_id": "b1", "value": "three"}]


async def test_select_shows_the_chosen_option(drawing: Drawing) -> None:
    select = {"type": "static_select", "action_id": "s", "options": OPTIONS, "placeholder": plain("Which?")}
    body = await drawing.blocks({"type": "section", "text": mrkdwn("Pick"), "accessory": select})

    await body.get_by_role("button", name="Which?").click()
    await body.get_by_role("menuitem", name="Two").click()

    await expect(body.get_by_role("button", name="Two")).to_be_visible()
    assert [action["value"] for action in await drawing.acted()] == ["two"]


async def test_unknown_blocks_elements_and_texts_are_named(drawing: Drawing) -> None:
    body = await drawing.blocks(
        {"type": "video", "title": plain("x")},
        actions({"type": "datepicker"}, button("Fine")),
        {"type": "context", "elements": [{"type": "sticker"}]},
        {"type": "section", "text": {"type": "html", "text": "<b>"}, "accessory": {"type": "checkboxes"}},
        {"type": "constructor"},
        {},
        None,
    )

    await expect(body.locator(".unsupported")).to_have_text(
        [
            "Unsupported block: video",
            "Unsupported element: datepicker",
            "Unsupported element: sticker",
            "Unsupported text: html",
            "Unsupported element: checkboxes",
            "Unsupported block: constructor",
            "Unsupported block: (no type)",
            "Unsupported block: (no type)",
        ]
    )
    await expect(body.get_by_role("button", name="Fine")).to_be_visible()


async def test_malformed_block_does_not_affect_the_next(drawing: Drawing) -> None:
    nothing: list[Any] = [None, 1, "x", [], {}, {"type": "mrkdwn"}, {"type": "plain_text", "text": None}]
    for broken in nothing:
        body = await drawing.blocks(
            {"type": "header", "text": broken},
            {"type": "section", "text": broken, "fields": broken, "accessory": broken},
            {"type": "context", "elements": broken},
            {"type": "context", "elements": [broken]},
            {"type": "actions", "elements": broken},
            actions(broken, {"type": "button", "text": broken}, {"type": "overflow", "options": broken}),
            actions({"type": "static_select", "options": broken, "placeholder": broken}),
            {"type": "image", "alt_text": broken, "image_url": broken, "title": broken},
            {"type": "section", "text": plain(f"The end of {broken}")},
        )

        await expect(body).to_contain_text(f"The end of {broken}")


async def test_hostile_strings_stay_text_in_every_block(drawing: Drawing) -> None:
    def everywhere(text: str) -> list[Any]:
        option = {"text": plain(text), "value": text}
        return [
            {"type": "header", "text": plain(text)},
            {"type": "section", "text": mrkdwn(text), "fields": [plain(text), mrkdwn(text)]},
            {"type": "context", "elements": [mrkdwn(text), {"type": "image", "alt_text": text, "image_url": text}]},
            {"type": "image", "alt_text": text, "image_url": text, "title": plain(text)},
            actions(button(text, url=text, action_id=text, value=text, style=text, accessibility_label=text)),
            actions({"type": "static_select", "placeholder": plain(text), "options": [option]}),
            {"type": text},
        ]

    tags = ("h3", "p", "figure", "figcaption", "button", "svg", "path")
    assert await drawing.harm(map(everywhere, ATTACKS), *tags) == []
