"""The blocks that messages are made of."""

from bot.slack.messages import Block, CardState


def section(text: str, accessory: Block | None = None) -> Block:
    """A paragraph, with something to press beside it where there is an accessory."""
    return {"type": "section", "text": _mrkdwn(text), **({"accessory": accessory} if accessory else {})}


def context(texts: list[str]) -> Block:
    """Small print."""
    return {"type": "context", "elements": [_mrkdwn(text) for text in texts]}


def actions(*buttons: Block) -> Block:
    """A row of buttons."""
    return {"type": "actions", "elements": list(buttons)}


def button(label: str, action_id: str, state: CardState) -> Block:
    """A button; what it carries says what is meant."""
    return {"type": "button", "action_id": action_id, "text": _plain(label), "value": state.value()}


def menu(action_id: str, options: list[tuple[str, CardState]]) -> Block:
    """A menu behind three dots, of at most five options."""
    return {
        "type": "overflow",
        "action_id": action_id,
        "options": [{"text": _plain(label), "value": state.value()} for label, state in options],
    }


def bold(name: str) -> str:
    """A name with asterisks of its own would be cut short by ours."""
    return name if "*" in name else f"*{name}*"


def _mrkdwn(text: str) -> Block:
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text}
