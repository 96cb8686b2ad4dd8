"""Parser for one page of a list, which comes in one of two forms.

Cloudflare's examples show an array with `paging` beside it. Its schema shows an object with `paging` inside, which has
room for one livestream only. If a list has neither form or is incomplete, a livestream's absence from it means nothing.
"""

from dataclasses import dataclass
from typing import Any

from bot.errors import InvalidResponse
from bot.realtimekit.models import Livestream


@dataclass(frozen=True, slots=True)
class LivestreamPage:
    """One page of the requested livestreams."""

    livestreams: tuple[Livestream, ...]
    more: bool
    """Whether the next page may have more."""
    whole: bool = True
    """Whether all entries of the page could be read; if not, a livestream's absence from it means nothing."""


@dataclass(frozen=True, slots=True)
class RawPage:
    """A page of unparsed items, which still contain stream keys."""

    items: list[Any]
    more: bool


def parse_page(data: Any, beside: Any, per_page: int) -> RawPage:
    """Read a page from a payload and the `paging` beside it. Raises Malformed."""
    if isinstance(data, list):
        return RawPage(data, _has_more(data, beside if isinstance(beside, dict) else {}))
    if isinstance(data, dict) and isinstance(data.get("paging"), dict):
        return _page_of_one({name: value for name, value in data.items() if name != "paging"}, data["paging"], per_page)
    raise InvalidResponse(detail="a list in neither of the two forms")


def _page_of_one(item: dict[str, Any], paging: dict[str, Any], per_page: int) -> RawPage:
    total = _count(paging, "total_count")
    if per_page > 1 and (total is None or total > 1):
        raise InvalidResponse(detail=f"one livestream, of {'unknown' if total is None else total}")
    items = [item] if any(value is not None for value in item.values()) else []
    return RawPage(items, _has_more(items, paging))


def _has_more(items: list[Any], paging: dict[str, Any]) -> bool:
    """Return whether the next page may have items; without usable offsets, only an empty page marks the end."""
    total, end = _count(paging, "total_count"), _count(paging, "end_offset")
    return bool(items) and (total is None or end is None or end < total)


def _count(paging: dict[str, Any], name: str) -> int | None:
    value = paging.get(name)
    return value if isinstance(value, int) and value >= 0 else None
