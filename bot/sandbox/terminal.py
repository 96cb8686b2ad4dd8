"""Slack messages rendered as a person would read them, for a terminal."""

import re
from datetime import UTC, datetime
from typing import Any

from bot.sandbox.slack import Message

_EMOJI = {
    ":red_circle:": "🔴",
    ":large_yellow_circle:": "🟡",
    ":white_circle:": "⚪",
    ":warning:": "⚠️ ",
    ":grey_question:": "❔",
    ":white_check_mark:": "✅",
    ":no_bell:": "🔕",
}
_DATE = re.compile(r"<!date\^(\d+)\^([^{|>]*)[^|>]*\|[^>]*>")
_LINK = re.compile(r"<(https?://[^|>]+)\|([^>]*)>")
_ENTITIES = (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"))


def lines(message: Message) -> list[str]:
    """Render a message as lines, with buttons and menus in brackets; without blocks, its text."""
    if not message.blocks:
        return _text(message.text).splitlines()
    return [line for block in message.blocks for line in _block(block)]


def _block(block: dict[str, Any]) -> list[str]:
    match block.get("type"):
        case "section":
            first, *rest = _text(block["text"]["text"]).splitlines()
            return [first + ("  [ ⋮ ]" if "accessory" in block else ""), *rest]
        case "context":
            return ["  ·  ".join(_text(element["text"]) for element in block["elements"])]
        case "actions":
            return ["  ".join(f"[ {element['text']['text']} ]" for element in block["elements"])]
        case unknown:
            return [f"({unknown})"]


def _text(mrkdwn: str) -> str:
    text = _DATE.sub(lambda date: f"{date[2]}{datetime.fromtimestamp(int(date[1]), UTC):%Y-%m-%d %H:%M} UTC", mrkdwn)
    text = _LINK.sub(lambda link: link[1], text)
    for code, emoji in _EMOJI.items():
        text = text.replace(code, emoji)
    text = re.sub(r"[*`]", "", text)
    for entity, character in _ENTITIES:
        text = text.replace(entity, character)
    return text
