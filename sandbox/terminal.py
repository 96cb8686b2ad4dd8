"""Slack messages rendered as a person would read them, for a terminal."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sandbox.slack import Message

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
_MENTION = re.compile(r"<@(\w+)>")
_LINK = re.compile(r"<(https?://[^|>]+)\|([^>]*)>")
_ENTITIES = (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"))


def lines(message: Message, names: Mapping[str, str]) -> list[str]:
    """Render a message as lines, with buttons and menus in brackets; without blocks, its text.

    `names` are people's names by ID, for mentions.
    """
    rendered = [line for block in message.blocks for line in _block(block)] or _text(message.text).splitlines()
    return [_MENTION.sub(lambda mention: f"@{names.get(mention[1], mention[1])}", line) for line in rendered]


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
