"""Read one page of a list, which comes in one of two forms.

Cloudflare's examples show an array with its `paging` beside it, its schema one object with `paging` inside, which has
room for one livestream. A list that is in neither form, or that leaves some out, says nothing about what is not in it.
"""

from dataclasses import dataclass
from typing import Any

from bot.errors import Malformed
from bot.realtimekit.models import Livestream


@dataclass(frozen=True, slots=True)
class LivestreamPage:
    """Some of the livestreams that were asked for."""

    livestreams: tuple[Livestream, ...]
    more: bool
    """Whether there may be others on the next page."""


@dataclass(frozen=True, slots=True)
class RawPage:
    """The items as they came, stream keys and all."""

    items: list[Any]
    more: bool


def raw_page(data: Any, beside: Any, per_page: int) -> RawPage:
    """What a payload, and the `paging` beside it, say. Raises Malformed."""
    if isinstance(data, list):
        return RawPage(data, _more(data, beside if isinstance(beside, dict) else {}))
    if isinstance(data, dict) and isinstance(data.get("paging"), dict):
        return _page_of_one({name: value for name, value in data.items() if name != "paging"}, data["paging"], per_page)
    raise Malformed(detail="a list in neither of the two forms")


def _page_of_one(item: dict[str, Any], paging: dict[str, Any], per_page: int) -> RawPage:
    total = _count(paging, "total_count")
    if per_page > 1 and (total is None or total > 1):
        raise Malformed(detail=f"one livestream, of {'unknown' if total is None else total}")
    items = [item] if any(value is not None for value in item.values()) else []
    return RawPage(items, _more(items, paging))


def _more(items: list[Any], paging: dict[str, Any]) -> bool:
    """Where the offsets do not say that this is the last page, the one after it does: it is empty."""
    total, end = _count(paging, "total_count"), _count(paging, "end_offset")
    return bool(items) and (total is None or end is None or end < total)


def _count(paging: dict[str, Any], name: str) -> int | None:
    value = paging.get(name)
    return value if isinstance(value, int) and value >= 0 else None
