"""Slack's limits on the basic blocks, with violations reported in Slack's own words.

Source: Slack's reference of blocks and block elements. slack_sdk checks the blocks and elements that are not here.
"""

from collections.abc import Callable, Collection, Iterator
from typing import Any

Complaints = Iterator[str]
Rule = Callable[[dict[str, Any], str], Complaints]

INTERACTIVE = frozenset(
    {"button", "overflow", "checkboxes", "radio_buttons", "datepicker", "timepicker", "workflow_button"}
)


def _length(value: Any, at: str, most: int, *, least: int = 1) -> Complaints:
    if not isinstance(value, str):
        yield f"must be a string [json-pointer:{at}]"
    elif len(value) < least:
        yield f"must be more than {least - 1} characters [json-pointer:{at}]"
    elif len(value) > most:
        yield f"must be less than {most + 1} characters [json-pointer:{at}]"


def _optional_length(value: dict[str, Any], name: str, at: str, most: int, *, least: int = 0) -> Complaints:
    if value.get(name) is not None:
        yield from _length(value[name], f"{at}/{name}", most, least=least)


def _items(value: Any, at: str, most: int) -> Complaints:
    if not isinstance(value, list):
        yield f"must be an array [json-pointer:{at}]"
    elif not value:
        yield f"must have at least 1 item [json-pointer:{at}]"
    elif len(value) > most:
        yield f"no more than {most} items allowed [json-pointer:{at}]"


def _text(value: Any, at: str, most: int, kinds: Collection[str] = ("mrkdwn", "plain_text")) -> Complaints:
    if not isinstance(value, dict):
        yield f"must be an object [json-pointer:{at}]"
    elif value.get("type") not in kinds:
        yield f"unsupported type: {value.get('type')} [json-pointer:{at}/type]"
    else:
        yield from _length(value.get("text"), f"{at}/text", most)


def _plain(value: Any, at: str, most: int) -> Complaints:
    yield from _text(value, at, most, kinds=("plain_text",))


def _image(block: dict[str, Any], at: str) -> Complaints:
    yield from _length(block.get("alt_text"), f"{at}/alt_text", 2000)
    if "slack_file" not in block:
        yield from _length(block.get("image_url"), f"{at}/image_url", 3000)


def _button(element: dict[str, Any], at: str) -> Complaints:
    yield from _plain(element.get("text"), f"{at}/text", 75)
    yield from _optional_length(element, "url", at, 3000, least=1)
    yield from _optional_length(element, "value", at, 2000)


def _overflow(element: dict[str, Any], at: str) -> Complaints:
    options = element.get("options")
    yield from _items(options, f"{at}/options", 5)
    for index, option in enumerate(options if isinstance(options, list) else []):
        yield from _option(option, f"{at}/options/{index}")


def _option(option: Any, at: str) -> Complaints:
    if not isinstance(option, dict):
        yield f"must be an object [json-pointer:{at}]"
        return
    yield from _text(option.get("text"), f"{at}/text", 75)
    yield from _length(option.get("value"), f"{at}/value", 150)
    yield from _optional_length(option, "url", at, 3000, least=1)


ELEMENTS: dict[str, Rule] = {"image": _image, "button": _button, "overflow": _overflow}


def _element(element: Any, at: str, allowed: Callable[[str], bool]) -> Complaints:
    if not isinstance(element, dict):
        yield f"must be an object [json-pointer:{at}]"
        return
    kind = str(element.get("type"))
    if not allowed(kind):
        yield f"unsupported type: {kind} [json-pointer:{at}/type]"
        return
    yield from _optional_length(element, "action_id", at, 255, least=1)
    if kind in ELEMENTS:
        yield from ELEMENTS[kind](element, at)


def is_interactive(kind: str) -> bool:
    """Return whether people can click or fill in elements of this type."""
    return kind in INTERACTIVE or kind.endswith(("_select", "_picker")) or kind == "datetimepicker"


def _section(block: dict[str, Any], at: str) -> Complaints:
    if "text" not in block and "fields" not in block:
        yield f"missing required field: text [json-pointer:{at}]"
    if "text" in block:
        yield from _text(block["text"], f"{at}/text", 3000)
    if "fields" in block:
        yield from _items(block["fields"], f"{at}/fields", 10)
        for index, value in enumerate(block["fields"] if isinstance(block["fields"], list) else []):
            yield from _text(value, f"{at}/fields/{index}", 2000)
    if "accessory" in block:
        yield from _element(block["accessory"], f"{at}/accessory", lambda kind: kind == "image" or is_interactive(kind))


def _header(block: dict[str, Any], at: str) -> Complaints:
    yield from _plain(block.get("text"), f"{at}/text", 150)


def _context(block: dict[str, Any], at: str) -> Complaints:
    yield from _items(block.get("elements"), f"{at}/elements", 10)
    for index, element in enumerate(_listed(block)):
        here = f"{at}/elements/{index}"
        if isinstance(element, dict) and element.get("type") == "image":
            yield from _image(element, here)
        else:
            yield from _text(element, here, 3000)


def _actions(block: dict[str, Any], at: str) -> Complaints:
    yield from _items(block.get("elements"), f"{at}/elements", 25)
    seen: set[Any] = set()
    for index, element in enumerate(_listed(block)):
        yield from _element(element, f"{at}/elements/{index}", is_interactive)
        action_id = element.get("action_id") if isinstance(element, dict) else None
        if isinstance(action_id, str) and action_id in seen:
            yield f'`action_id` "{action_id}" already exists [json-pointer:{at}/elements/{index}/action_id]'
        seen.add(action_id if isinstance(action_id, str) else None)


def _listed(block: dict[str, Any]) -> list[Any]:
    elements = block.get("elements")
    return elements if isinstance(elements, list) else []


BLOCKS: dict[str, Rule] = {
    "section": _section,
    "header": _header,
    "context": _context,
    "actions": _actions,
    "image": _image,
}


def complaints_about(block: dict[str, Any], at: str) -> Complaints:
    """Yield Slack's complaints about a basic block at the JSON pointer `at`; none for a valid block."""
    yield from _optional_length(block, "block_id", at, 255)
    rule = BLOCKS.get(str(block.get("type")))
    if rule is not None:
        yield from rule(block, at)
