"""Validation of a message's blocks as in Slack, which also adds missing IDs.

It combines the limits of `block_rules` with slack_sdk's models, as an independent second check.
"""

import json
from collections.abc import Collection, Iterator
from typing import Any

from slack_sdk.errors import SlackObjectFormationError
from slack_sdk.models.blocks import Block as SdkBlock

from sandbox.slack.block_rules import complaints_about
from sandbox.slack.refusal import Refusal
from sandbox.slack.workspace import Block

MOST_BLOCKS = 50
KNOWN_TYPES = frozenset(
    kind for cls in SdkBlock.__subclasses__() if isinstance(kind := getattr(cls, "type", None), str)
)


def read_blocks(value: Any, unreachable_images: Collection[str] = ()) -> tuple[Block, ...]:
    """Parse the blocks in an argument, a JSON string or a list, and add IDs to blocks and elements without one.

    `unreachable_images` are URLs of images that Slack cannot download. Raises Refusal: `invalid_blocks_format` if the
    argument is not a list, otherwise `invalid_blocks` with Slack's `errors`.
    """
    blocks = _decoded(value)
    errors = complaints(blocks, unreachable_images)
    if errors:
        messages = [f"[ERROR] {error}" for error in errors]
        raise Refusal("invalid_blocks", errors=errors, response_metadata={"messages": messages})
    return tuple(_with_ids(block, index) for index, block in enumerate(blocks))


def _decoded(value: Any) -> list[Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value) if value else []
        except ValueError:
            raise Refusal("invalid_blocks_format") from None
    if value is None:
        return []
    if not isinstance(value, list):
        raise Refusal("invalid_blocks_format")
    return value


def complaints(blocks: list[Any], unreachable_images: Collection[str] = ()) -> list[str]:
    """Return everything wrong with the blocks, in Slack's words and with JSON pointers; empty for valid blocks."""
    if len(blocks) > MOST_BLOCKS:
        return [f"no more than {MOST_BLOCKS} items allowed [json-pointer:/blocks]"]
    errors = [error for index, block in enumerate(blocks) for error in _block_complaints(block, f"/blocks/{index}")]
    return errors or [*_repeated_ids(blocks), *_undownloadable(blocks, unreachable_images)]


def _block_complaints(block: Any, at: str) -> list[str]:
    if not isinstance(block, dict):
        return [f"must be an object [json-pointer:{at}]"]
    if block.get("type") not in KNOWN_TYPES:
        return [f"unsupported type: {block.get('type')} [json-pointer:{at}/type]"]
    return list(complaints_about(block, at)) or _sdk_complaints(block, at)


def _sdk_complaints(block: dict[str, Any], at: str) -> list[str]:
    try:
        parsed = SdkBlock.parse(dict(block))
        assert parsed is not None
        parsed.to_dict()
    except SlackObjectFormationError as error:
        return [f"{error} [json-pointer:{at}]"]
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        # slack_sdk's models take keyword arguments: missing or unknown keys of nested objects raise these errors.
        return [f"failed to match the block's schema: {error} [json-pointer:{at}]"]
    return [f"invalid additional property: {key} [json-pointer:{at}]" for key in sorted(set(block) - parsed.attributes)]


def _repeated_ids(blocks: list[dict[str, Any]]) -> Iterator[str]:
    seen: set[str] = set()
    for index, block in enumerate(blocks):
        block_id = block.get("block_id")
        if block_id and block_id in seen:
            yield f'`block_id` "{block_id}" already exists [json-pointer:/blocks/{index}/block_id]'
        seen.add(block_id or "")


def _undownloadable(blocks: list[dict[str, Any]], unreachable_images: Collection[str]) -> Iterator[str]:
    for index, block in enumerate(blocks):
        elements = block.get("elements")
        for image in (block, block.get("accessory"), *(elements if isinstance(elements, list) else ())):
            if isinstance(image, dict) and str(image.get("image_url")) in unreachable_images:
                yield f"downloading image failed [json-pointer:/blocks/{index}/image_url]"


def _with_ids(block: Block, index: int) -> Block:
    named = {**block, "block_id": block.get("block_id") or f"b{index}"}
    if isinstance(block.get("accessory"), dict):
        named["accessory"] = _with_action_id(block["accessory"], f"{named['block_id']}-accessory")
    if block["type"] == "actions":
        pairs = enumerate(block["elements"])
        named["elements"] = [_with_action_id(element, f"{named['block_id']}-{number}") for number, element in pairs]
    return named


def _with_action_id(element: dict[str, Any], fallback: str) -> dict[str, Any]:
    return element if element.get("type") == "image" else {**element, "action_id": element.get("action_id") or fallback}
