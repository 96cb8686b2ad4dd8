"""Read the wrapping that every RealtimeKit answer comes in, of which there are two.

The application says `{"success": ..., "data": ..., "error": {"code", "message"}}`; Cloudflare's gateway before it says
`{"success": ..., "result": ..., "errors": [{"code", "message"}]}`. A proxy on the way may say HTML.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from bot.errors import Malformed, NotAuthorised, RateLimited, RealtimeKitError, ServerError
from bot.realtimekit.models import without_secrets

LONGEST_WAIT = 300.0
"""Cloudflare counts in windows of five minutes, and refuses for as long. So one answer, whatever it says, stops no
request for longer: at worst the next one is refused again."""
_USUAL_WAIT = 60.0
_LONGEST_DETAIL = 200


def data_of(status: int, headers: Mapping[str, str], body: bytes) -> Any:
    """The payload of an answer, or None when it says that what was asked for is not there.

    Raises NotAuthorised, RateLimited, ServerError or Malformed when it says nothing about what was asked for.
    """
    envelope = _envelope(status, headers, body)
    data = None if envelope is None else _payload(envelope)
    return None if data in ({}, []) else data


def list_of(status: int, headers: Mapping[str, str], body: bytes) -> tuple[Any, Any]:
    """The payload of a list, empty or not, and the `paging` beside it. Raises as `data_of`, and Malformed for a 404."""
    envelope = _envelope(status, headers, body)
    if envelope is None:
        raise Malformed(detail="HTTP 404 for a list")
    return _payload(envelope), envelope.get("paging")


def _envelope(status: int, headers: Mapping[str, str], body: bytes) -> dict[str, Any] | None:
    """The envelope of a success, or None for the application's 404."""
    envelope = _json_object(body)
    code = _error_code(envelope) if status < 400 and envelope.get("success") is False else status
    if 200 <= code < 300 and _is_success(envelope):
        return envelope
    if code == 404 and envelope.get("success") is False and not envelope.get("errors"):
        return None
    raise _refusal(code, headers, envelope)


def seconds_to_wait(headers: Mapping[str, str], now: datetime | None = None) -> float:
    """What `retry-after` asks for, which is a number of seconds or a date; a minute where it says nothing clear."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value), LONGEST_WAIT)
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return _USUAL_WAIT
    until = until.replace(tzinfo=UTC) if until.tzinfo is None else until
    seconds = (until - (now or datetime.now(UTC))).total_seconds()
    return min(max(seconds, 0.0), LONGEST_WAIT)


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _is_success(envelope: dict[str, Any]) -> bool:
    return envelope.get("success", True) is True and ("data" in envelope or "result" in envelope)


def _payload(envelope: dict[str, Any]) -> Any:
    data = envelope.get("data")
    return data if data is not None else envelope.get("result")


def _is_the_gateways(envelope: dict[str, Any]) -> bool:
    errors = envelope.get("errors")
    return isinstance(errors, list) and bool(errors)


def _first_error(envelope: dict[str, Any]) -> dict[str, Any]:
    first = envelope["errors"][0] if _is_the_gateways(envelope) else envelope.get("error")
    return first if isinstance(first, dict) else {}


def _error_code(envelope: dict[str, Any]) -> int:
    """A status like 404 or a gateway code like 10000; 400 where there is none."""
    code = _first_error(envelope).get("code")
    if isinstance(code, str) and code.isascii() and code.isdigit():
        code = int(code[:6])
    return code if isinstance(code, int) and code >= 400 else 400


def _said(error: dict[str, Any]) -> list[str]:
    """Code and message, if that is what they are: an object in their place could hold anything."""
    said = [error.get("code"), error.get("message")]
    return [without_secrets(str(value)) for value in said if isinstance(value, int | str)]


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)[:_LONGEST_DETAIL]


def _refusal(code: int, headers: Mapping[str, str], envelope: dict[str, Any]) -> RealtimeKitError:
    error = _first_error(envelope)
    detail = _one_line(", ".join([f"HTTP {code}", *_said(error)]))
    if code == 429:
        return RateLimited(seconds_to_wait(headers), detail=detail)
    # The gateway's own codes start at 1000: 10000 is a bad token, 7003 a bad account or app. Whatever it is that the
    # gateway does not route, what mends it is the same.
    # A 403 in HTML is some firewall's on the way, and says nothing about the token.
    if (code in (401, 403) and envelope) or code >= 1000 or (code in (400, 404) and _is_the_gateways(envelope)):
        return NotAuthorised(detail=detail)
    if code >= 500:
        return ServerError(code, detail=detail)
    return Malformed(detail=detail)
