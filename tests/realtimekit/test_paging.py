"""One page of a list, in the forms that Cloudflare's examples and its schema have, and in others."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import InvalidResponse
from bot.realtimekit.responses import parse_page

ONE = {"id": "1", "status": "LIVE"}
TWO = {"id": "2", "status": "LIVE"}


def paging(total: Any, start: Any, end: Any) -> dict[str, Any]:
    return {"total_count": total, "start_offset": start, "end_offset": end}


@pytest.mark.parametrize(
    ("beside", "more"),
    [
        (paging(2, 1, 2), False),
        (paging(3, 1, 2), True),
        (paging(2, 0, 1), True),
        (paging(2, 0, 2), False),
        (paging("2", 1, 2), True),
        (paging(2, 1, None), True),
        (paging(-1, -1, -1), True),
        ({}, True),
        (None, True),
        ("paging", True),
    ],
)
def test_array(beside: Any, more: bool) -> None:
    """An array has its paging beside it; where that does not say that it was the last page, there may be another."""
    page = parse_page([ONE, TWO], beside, 100)

    assert (page.items, page.more) == ([ONE, TWO], more)


@pytest.mark.parametrize("beside", [paging(2, 1, 2), paging(5, 0, 0), None])
def test_empty_array(beside: Any) -> None:
    """Behind an empty page there is none, whatever its paging says."""
    page = parse_page([], beside, 100)

    assert (page.items, page.more) == ([], False)


def test_object() -> None:
    """An object is one livestream, with the paging inside."""
    page = parse_page({**ONE, "paging": paging(1, 1, 1)}, None, 100)

    assert (page.items, page.more) == ([ONE], False)


@pytest.mark.parametrize("fields", [{}, {"id": None, "status": None}])
def test_object_without_a_livestream(fields: dict[str, Any]) -> None:
    """Without a livestream the object is an empty page."""
    page = parse_page({**fields, "paging": paging(0, 0, 0)}, None, 100)

    assert (page.items, page.more) == ([], False)


@pytest.mark.parametrize("total", [2, 30, None, "1"])
def test_object_leaves_some_out(total: Any) -> None:
    """An object that stands for more livestreams than the one in it is no answer."""
    with pytest.raises(InvalidResponse, match="one livestream, of"):
        parse_page({**ONE, "paging": paging(total, 1, 2)}, None, 100)


def test_objects_one_by_one() -> None:
    """Pages of one are complete, and say whether there is another."""
    assert parse_page({**ONE, "paging": paging(2, 1, 1)}, None, 1).more
    assert not parse_page({**TWO, "paging": paging(2, 2, 2)}, None, 1).more


@pytest.mark.parametrize("data", [None, {}, ONE, {"items": [ONE], "cursor": None}, {"paging": None}, "LIVE", 1])
def test_neither(data: Any) -> None:
    """Anything else is in neither form, and never an empty list."""
    with pytest.raises(InvalidResponse, match="neither of the two forms"):
        parse_page(data, paging(0, 0, 0), 100)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
PAGING = JSON | st.fixed_dictionaries({}, optional={"total_count": JSON, "end_offset": JSON})


@given(data=JSON | st.fixed_dictionaries({"paging": PAGING}, optional={"id": JSON}), beside=PAGING)
def test_any_page_at_all(data: Any, beside: Any) -> None:
    """Whatever comes is a page or Malformed."""
    try:
        page = parse_page(data, beside, 100)
    except InvalidResponse:
        return
    assert page.items or not page.more
