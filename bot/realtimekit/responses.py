"""Parsers of RealtimeKit's answers, which come in two envelopes, and of its lists, which come in two forms.

The application sends `{"success": ..., "data": ..., "error": {"code", "message"}}`. Cloudflare's gateway in front of it
sends `{"success": ..., "result": ..., "errors": [{"code", "message"}]}`. A proxy in between may send HTML.

In Cloudflare's examples a list is an array with `paging` beside it. In its schema it is an object with `paging` inside,
which has room for one livestream only. If a list has neither form or is incomplete, a livestream's absence from it
means nothing.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from bot.errors import AuthenticationFailed, InvalidResponse, RateLimited, RealtimeKitError, ServerError
from bot.realtimekit.models import Livestream, redact_ingest_urls, without_secret_values

MAX_RETRY_AFTER = 300.0
"""Cloudflare counts requests in windows of five minutes, and refuses them for as long. So no answer, whatever it
demands, blocks requests for longer; at worst Cloudflare refuses the next one too."""
_DEFAULT_RETRY_AFTER = 60.0
_MAX_DETAIL_LENGTH = 200


@dataclass(frozen=True, slots=True)
class LivestreamPage:
    """One page of the requested livestreams."""

    livestreams: tuple[Livestream, ...]
    more: bool
    """Whether the next page may have more."""
    is_complete: bool = True
    """Whether all entries of the page could be read; if not, a livestream's absence from it means nothing."""


@dataclass(frozen=True, slots=True)
class RawPage:
    """A page of unparsed items, which still contain stream keys."""

    items: list[Any]
    more: bool


def parse_data(status: int, headers: Mapping[str, str], body: bytes) -> Any:
    """Return the payload of an answer, or None if the answer says that the object does not exist.

    Raises AuthenticationFailed, RateLimited, ServerError or InvalidResponse if the answer is an error.
    """
    envelope = _envelope(status, headers, body)
    data = None if envelope is None else _payload(envelope)
    return None if data in ({}, []) else data


def parse_list(status: int, headers: Mapping[str, str], body: bytes) -> tuple[Any, Any]:
    """Return the payload of a list, which may be empty, and the `paging` beside it.

    Raises the same errors as `parse_data`, and InvalidResponse for a 404.
    """
    envelope = _envelope(status, headers, body)
    if envelope is None:
        raise InvalidResponse(detail="HTTP 404 for a list")
    return _payload(envelope), envelope.get("paging")


def _envelope(status: int, headers: Mapping[str, str], body: bytes) -> dict[str, Any] | None:
    """Return the envelope of a success, or None for the application's 404."""
    envelope = _json_object(body)
    code = _error_code(envelope) if status < 400 and envelope.get("success") is False else status
    is_success = envelope.get("success", True) is True and ("data" in envelope or "result" in envelope)
    if 200 <= code < 300 and is_success:
        return envelope
    if code == 404 and envelope.get("success") is False and not envelope.get("errors"):
        return None
    raise _error_for(code, headers, envelope)


def parse_retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float:
    """Return the wait in seconds from `retry-after`, which is a number or a date; a minute if it is neither."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value), MAX_RETRY_AFTER)
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return _DEFAULT_RETRY_AFTER
    until = until.replace(tzinfo=UTC) if until.tzinfo is None else until
    seconds = (until - (now or datetime.now(UTC))).total_seconds()
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        value = without_secret_values(json.loads(body))
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _payload(envelope: dict[str, Any]) -> Any:
    data = envelope.get("data")
    return data if data is not None else envelope.get("result")


def _is_gateway_error(envelope: dict[str, Any]) -> bool:
    errors = envelope.get("errors")
    return isinstance(errors, list) and bool(errors)


def _first_error(envelope: dict[str, Any]) -> dict[str, Any]:
    first = envelope["errors"][0] if _is_gateway_error(envelope) else envelope.get("error")
    return first if isinstance(first, dict) else {}


def _error_code(envelope: dict[str, Any]) -> int:
    """Return the error's code, a status like 404 or a gateway code like 10000; 400 if there is none."""
    code = _first_error(envelope).get("code")
    if isinstance(code, str) and code.isascii() and code.isdigit():
        code = int(code[:6])
    return code if isinstance(code, int) and code >= 400 else 400


def _error_for(code: int, headers: Mapping[str, str], envelope: dict[str, Any]) -> RealtimeKitError:
    error = _first_error(envelope)
    # Only numbers and text: an object in their place could contain anything.
    details = [value for value in (error.get("code"), error.get("message")) if isinstance(value, int | str)]
    text = ", ".join([f"HTTP {code}", *(redact_ingest_urls(str(value)) for value in details)])
    detail = "".join(c if c.isprintable() else " " for c in text)[:_MAX_DETAIL_LENGTH]
    if code == 429:
        return RateLimited(parse_retry_after(headers), detail=detail)
    # The gateway's own codes start at 1000: 10000 is a bad token, 7003 a bad account or app. All its routing errors
    # have the same fix: token, account or app ID.
    # A 403 in HTML comes from a firewall in between, and says nothing about the token.
    if (code in (401, 403) and envelope) or code >= 1000 or (code in (400, 404) and _is_gateway_error(envelope)):
        return AuthenticationFailed(detail=detail)
    if code >= 500:
        return ServerError(code, detail=detail)
    return InvalidResponse(detail=detail)


def parse_page(data: Any, beside: Any, per_page: int) -> RawPage:
    """Read a page from a payload and the `paging` beside it. Raises InvalidResponse."""
    if isinstance(data, list):
        return RawPage(data, _has_more(data, beside if isinstance(beside, dict) else {}))
    if isinstance(data, dict) and isinstance(data.get("paging"), dict):
        return _single_page({name: value for name, value in data.items() if name != "paging"}, data["paging"], per_page)
    raise InvalidResponse(detail="a list in neither of the two forms")


def _single_page(item: dict[str, Any], paging: dict[str, Any], per_page: int) -> RawPage:
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
