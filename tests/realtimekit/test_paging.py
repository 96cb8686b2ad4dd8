"""One page of a list, in the shapes of Cloudflare's examples and schema, and in others."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import InvalidResponse
from bot.realtimekit.responses import parse_page
from tests.strategies import json_values

ONE = {"id": "1", "status": "LIVE"}
TWO = {"id": "2", "status": "LIVE"}


def paging(total: Any, start: Any, end: Any) -> dict[str, Any]:
    return {"total_count": total, "start_offset": start, "end_offset": end}


@pytest.mark.parametrize(
    ("paging_data", "more"),
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
def test_array_is_the_last_page_only_if_its_paging_says_so(paging_data: Any, more: bool) -> None:
    page = parse_page([ONE, TWO], paging_data, 100)

    assert (page.items, page.more) == ([ONE, TWO], more)


@pytest.mark.parametrize("paging_data", [paging(2, 1, 2), paging(5, 0, 0), None])
def test_empty_array_is_the_last_page(paging_data: Any) -> None:
    page = parse_page([], paging_data, 100)

    assert (page.items, page.more) == ([], False)


def test_object_is_a_page_of_one_livestream() -> None:
    page = parse_page({**ONE, "paging": paging(1, 1, 1)}, None, 100)

    assert (page.items, page.more) == ([ONE], False)


@pytest.mark.parametrize("fields", [{}, {"id": None, "status": None}])
def test_object_without_a_livestream_is_an_empty_page(fields: dict[str, Any]) -> None:
    page = parse_page({**fields, "paging": paging(0, 0, 0)}, None, 100)

    assert (page.items, page.more) == ([], False)


@pytest.mark.parametrize("total", [2, 30, None, "1"])
def test_object_for_several_livestreams_is_an_invalid_response(total: Any) -> None:
    with pytest.raises(InvalidResponse, match="one livestream, of"):
        parse_page({**ONE, "paging": paging(total, 1, 2)}, None, 100)


def test_object_pages_of_one_item_continue_to_the_last() -> None:
    assert parse_page({**ONE, "paging": paging(2, 1, 1)}, None, 1).more
    assert not parse_page({**TWO, "paging": paging(2, 2, 2)}, None, 1).more


@pytest.mark.parametrize("data", [None, {}, ONE, {"items": [ONE], "cursor": None}, {"paging": None}, "LIVE", 1])
def test_unknown_shape_is_an_invalid_response(data: Any) -> None:
    with pytest.raises(InvalidResponse, match="neither of the two forms"):
        parse_page(data, paging(0, 0, 0), 100)


JSON = json_values()
PAGING = JSON | st.fixed_dictionaries({}, optional={"total_count": JSON, "end_offset": JSON})


@given(data=JSON | st.fixed_dictionaries({"paging": PAGING}, optional={"id": JSON}), paging_data=PAGING)
def test_any_json_is_a_page_or_an_invalid_response(data: Any, paging_data: Any) -> None:
    try:
        page = parse_page(data, paging_data, 100)
    except InvalidResponse:
        return
    assert page.items or not page.more
