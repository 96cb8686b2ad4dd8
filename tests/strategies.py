"""Hypothesis strategies that several test files share."""

from typing import Any

from hypothesis import strategies as st

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)


def json_values(*extra_leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return a strategy for small JSON values, with these leaves beside the scalars."""
    return st.recursive(
        st.one_of(SCALARS, *extra_leaves),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=6,
    )
