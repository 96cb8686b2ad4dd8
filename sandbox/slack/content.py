"""A message's content, parsed from a call's arguments and validated as in Slack."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.slack.blocks import read_blocks
from sandbox.slack.refusal import Refusal
from sandbox.slack.workspace import Block

MOST_CHARACTERS = 40_000


@dataclass(frozen=True, slots=True)
class Content:
    text: str
    blocks: tuple[Block, ...]


def read_content(arguments: Mapping[str, Any], unreachable_images: Collection[str] = ()) -> Content:
    """Parse a message's text and blocks.

    Raises Refusal: `invalid_arguments`, `no_text`, `msg_too_long`, `invalid_blocks`, `invalid_blocks_format`.
    """
    text = arguments.get("text") or ""
    if not isinstance(text, str):
        raise Refusal("invalid_arguments")
    blocks = read_blocks(arguments.get("blocks"), unreachable_images)
    if not blocks and not text.strip():
        raise Refusal("no_text")
    if len(text) > MOST_CHARACTERS:
        raise Refusal("msg_too_long")
    return Content(text, blocks)
