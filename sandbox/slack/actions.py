"""A message's clickable elements, and the action that Slack sends for a click."""

from collections.abc import Iterator
from typing import Any

from sandbox.slack.workspace import Message

Element = dict[str, Any]


def action_of(message: Message, action_id: str, value: str | None, action_ts: str) -> dict[str, Any]:
    """Build the action of a click on the first element with this `action_id`.

    `value` selects a menu's option, or one of several buttons that share an action_id. Raises LookupError if there is
    no such element or option.
    """
    candidates = [found for found in _elements(message) if found[1].get("action_id") == action_id]
    for block_id, element in candidates:
        chosen = _chosen(element, value)
        if chosen is not None:
            common = {"action_id": action_id, "block_id": block_id, "type": element["type"], "action_ts": action_ts}
            return common | chosen
    raise LookupError(f"nothing to click: action_id {action_id!r}, value {value!r}")


def _elements(message: Message) -> Iterator[tuple[str, Element]]:
    for block in message.blocks:
        inside = block.get("elements", ()) if block["type"] in ("actions", "context_actions") else ()
        for element in (block.get("accessory"), *inside):
            if isinstance(element, dict):
                yield block["block_id"], element


def _chosen(element: Element, value: str | None) -> dict[str, Any] | None:
    """Return the fields that depend on the element's type, or None if `value` does not belong to this element."""
    if "options" in element:
        option = next((option for option in element["options"] if option["value"] == value), None)
        return None if option is None else {"selected_option": option}
    if value is not None and element.get("value") != value:
        return None
    return {name: element[name] for name in ("text", "value", "style") if name in element}
