"""Blocks are validated as Slack validates them."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.slack.blocks import complaints, read_blocks
from sandbox.slack.refusal import Refusal

Json = dict[str, Any]


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str) -> Json:
    return {"type": "mrkdwn", "text": text}


def section(text: str = "hello", **fields: Any) -> Json:
    return {"type": "section", "text": mrkdwn(text), **fields}


def button(text: str = "Watch", **fields: Any) -> Json:
    return {"type": "button", "text": plain(text), "action_id": "watch", **fields}


def overflow(options: int) -> Json:
    choices = [{"text": plain(str(number)), "value": str(number)} for number in range(options)]
    return {"type": "overflow", "action_id": "more", "options": choices}


def image(**fields: Any) -> Json:
    return {"type": "image", "image_url": "https://a.example/a.png", "alt_text": "a"} | fields


def actions(*elements: Json) -> Json:
    return {"type": "actions", "elements": list(elements)}


def context(*elements: Json) -> Json:
    return {"type": "context", "elements": list(elements)}


def buttons(count: int) -> list[Json]:
    return [button(action_id=f"watch-{number}") for number in range(count)]


VALID = {
    "section at its limit": section("x" * 3000),
    "fields": {"type": "section", "fields": [mrkdwn("x" * 2000)] * 10},
    "accessories": section(accessory=overflow(5)),
    "image accessory": section(accessory=image()),
    "header": {"type": "header", "text": plain("x" * 150)},
    "context": context(*[mrkdwn("x")] * 9, image()),
    "actions": actions(*buttons(25)),
    "button at its limits": actions(button("x" * 75, url="https://a.example/" + "x" * 2982, value="v" * 2000)),
    "image": image(alt_text="x" * 2000),
    "divider": {"type": "divider", "block_id": "b" * 255},
    "verbatim": {"type": "section", "text": mrkdwn("x") | {"verbatim": True}},
}

INVALID = {
    "unknown type": ({"type": "sparkles"}, "unsupported type: sparkles"),
    "no type": ({}, "unsupported type"),
    "no object": ("text", "must be an object"),
    "empty section": ({"type": "section"}, "missing required field: text"),
    "empty text": (section(""), "must be more than 0 characters [json-pointer:/blocks/0/text/text]"),
    "long section": (section("x" * 3001), "must be less than 3001 characters [json-pointer:/blocks/0/text/text]"),
    "text as string": ({"type": "section", "text": "hello"}, "must be an object"),
    "unknown text type": ({"type": "section", "text": {"type": "html", "text": "x"}}, "unsupported type: html"),
    "11 fields": ({"type": "section", "fields": [mrkdwn("x")] * 11}, "no more than 10 items"),
    "long field": ({"type": "section", "fields": [mrkdwn("x" * 2001)]}, "must be less than 2001"),
    "long header": ({"type": "header", "text": plain("x" * 151)}, "must be less than 151"),
    "mrkdwn header": ({"type": "header", "text": mrkdwn("x")}, "unsupported type: mrkdwn"),
    "11 context elements": (context(*[mrkdwn("x")] * 11), "no more than 10 items"),
    "no context elements": (context(), "at least 1 item"),
    "button in a context": (context(button()), "unsupported type: button"),
    "26 buttons": (actions(*buttons(26)), "no more than 25 items"),
    "no buttons": (actions(), "at least 1 item"),
    "text among actions": (actions(mrkdwn("x")), "unsupported type: mrkdwn"),
    "same action_id twice": (actions(button(), button()), "already exists"),
    "long button": (actions(button("x" * 76)), "must be less than 76"),
    "empty button": (actions(button("")), "must be more than 0"),
    "mrkdwn button": (actions(button() | {"text": mrkdwn("x")}), "unsupported type: mrkdwn"),
    "long url": (actions(button(url="https://a.example/" + "x" * 3000)), "must be less than 3001"),
    "empty url": (actions(button(url="")), "must be more than 0"),
    "long value": (actions(button(value="x" * 2001)), "must be less than 2001"),
    "long action_id": (actions(button(action_id="x" * 256)), "must be less than 256"),
    "wrong style": (actions(button(style="blue")), "style"),
    "6 options": (section(accessory=overflow(6)), "no more than 5 items"),
    "no alt text": ({"type": "image", "image_url": "https://a.example/a.png"}, "/blocks/0/alt_text"),
    "long alt text": (image(alt_text="x" * 2001), "must be less than 2001"),
    "empty image url": (image(image_url=""), "must be more than 0"),
    "long block_id": ({"type": "divider", "block_id": "b" * 256}, "must be less than 256"),
    "unknown property": ({"type": "divider", "colour": "red"}, "invalid additional property: colour"),
    "unknown property of a text": ({"type": "section", "text": mrkdwn("x") | {"size": 3}}, "size"),
}


@pytest.mark.parametrize("block", VALID.values(), ids=VALID)
def test_valid_blocks_pass_up_to_their_limits(block: Json) -> None:
    assert complaints([block]) == []


@pytest.mark.parametrize(("block", "complaint"), INVALID.values(), ids=INVALID)
def test_invalid_blocks_are_rejected_with_reason_and_place(block: Json, complaint: str) -> None:
    errors = complaints([block])

    assert len(errors) == 1
    assert complaint in errors[0]
    assert "json-pointer:/blocks/0" in errors[0]


def test_message_may_have_fifty_blocks() -> None:
    assert complaints([{"type": "divider"}] * 50) == []
    assert complaints([{"type": "divider"}] * 51) == ["no more than 50 items allowed [json-pointer:/blocks]"]


def test_duplicate_block_id_is_rejected() -> None:
    errors = complaints([{"type": "divider", "block_id": "a"}, {"type": "divider", "block_id": "a"}])

    assert errors == ['`block_id` "a" already exists [json-pointer:/blocks/1/block_id]']


@pytest.mark.parametrize("block", [image(), context(image()), section(accessory=image())])
def test_unreachable_image_rejects_the_whole_message(block: Json) -> None:
    with pytest.raises(Refusal) as refused:
        read_blocks([block], unreachable_images={"https://a.example/a.png"})

    assert refused.value.error == "invalid_blocks"
    assert "downloading image failed" in refused.value.details["errors"][0]


@pytest.mark.parametrize("value", ["{", '{"type": "divider"}', 7, {"type": "divider"}])
def test_blocks_must_be_a_list(value: Any) -> None:
    with pytest.raises(Refusal, match="invalid_blocks_format"):
        read_blocks(value)


def test_missing_ids_are_generated() -> None:
    nameless = {"type": "button", "text": plain("Watch")}
    (row,) = read_blocks([actions(nameless, nameless)])

    first, second = row["elements"]
    assert row["block_id"]
    assert first["action_id"] != second["action_id"]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["text", "type", "elements"]), inner),
    max_leaves=8,
)


@given(
    kind=st.sampled_from(
        ["section", "header", "context", "actions", "image", "divider", "input", "rich_text", "video"]
    ),
    fields=st.dictionaries(
        st.sampled_from(["text", "fields", "elements", "accessory", "alt_text", "image_url", "block_id", "element"]),
        anything,
    ),
)
def test_any_json_block_is_accepted_or_rejected(kind: str, fields: Json) -> None:
    with contextlib.suppress(Refusal):
        read_blocks([{"type": kind, **fields}])
