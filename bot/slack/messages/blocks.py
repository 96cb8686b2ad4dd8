"""Builders for the Block Kit blocks that the bot's messages use."""

from bot.slack.messages.message import ActionValue, Block


def section(text: str, accessory: Block | None = None) -> Block:
    """Build a paragraph, with an optional button or menu beside it."""
    return {"type": "section", "text": _mrkdwn(text), **({"accessory": accessory} if accessory else {})}


def context(texts: list[str]) -> Block:
    """Build a line of small print."""
    return {"type": "context", "elements": [_mrkdwn(text) for text in texts]}


def actions(*buttons: Block) -> Block:
    """Build a row of buttons."""
    return {"type": "actions", "elements": list(buttons)}


def button(label: str, action_id: str, state: ActionValue) -> Block:
    """Build a button whose value carries the card's state."""
    return {"type": "button", "action_id": action_id, "text": _plain(label), "value": state.value()}


def menu(action_id: str, options: list[tuple[str, ActionValue]]) -> Block:
    """Build an overflow menu (three dots); Slack allows at most five options."""
    return {
        "type": "overflow",
        "action_id": action_id,
        "options": [{"text": _plain(label), "value": state.value()} for label, state in options],
    }


def bold(name: str) -> str:
    """Make a name bold, unless it contains an asterisk, which would end the bold text early."""
    return name if "*" in name else f"*{name}*"


def _mrkdwn(text: str) -> Block:
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text}
