"""Parser of the two envelopes in which RealtimeKit's answers come.

The application sends `{"success": ..., "data": ..., "error": {"code", "message"}}`. Cloudflare's gateway in front of it
sends `{"success": ..., "result": ..., "errors": [{"code", "message"}]}`. A proxy in between may send HTML.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from bot.errors import AuthenticationFailed, InvalidResponse, RateLimited, RealtimeKitError, ServerError
from bot.realtimekit.models import redact_ingest_urls, without_secret_values

MAX_RETRY_AFTER = 300.0
"""Cloudflare counts requests in windows of five minutes, and refuses them for as long. So no answer, whatever it
demands, blocks requests for longer; at worst Cloudflare refuses the next one too."""
_DEFAULT_RETRY_AFTER = 60.0
_MAX_DETAIL_LENGTH = 200


def parse_data(status: int, headers: Mapping[str, str], body: bytes) -> Any:
    """Return the payload of an answer, or None if the answer says that the object does not exist.

    Raises AuthenticationFailed, RateLimited, ServerError or Malformed if the answer says nothing about the object.
    """
    envelope = _envelope(status, headers, body)
    data = None if envelope is None else _payload(envelope)
    return None if data in ({}, []) else data


def parse_list(status: int, headers: Mapping[str, str], body: bytes) -> tuple[Any, Any]:
    """Return the payload of a list, which may be empty, and the `paging` beside it.

    Raises the same errors as `data_of`, and Malformed for a 404.
    """
    envelope = _envelope(status, headers, body)
    if envelope is None:
        raise InvalidResponse(detail="HTTP 404 for a list")
    return _payload(envelope), envelope.get("paging")


def _envelope(status: int, headers: Mapping[str, str], body: bytes) -> dict[str, Any] | None:
    """Return the envelope of a success, or None for the application's 404."""
    envelope = _json_object(body)
    code = _error_code(envelope) if status < 400 and envelope.get("success") is False else status
    if 200 <= code < 300 and _is_success(envelope):
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


def _is_success(envelope: dict[str, Any]) -> bool:
    return envelope.get("success", True) is True and ("data" in envelope or "result" in envelope)


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


def _error_details(error: dict[str, Any]) -> list[str]:
    """Return code and message if they are numbers or text; an object in their place could contain anything."""
    said = [error.get("code"), error.get("message")]
    return [redact_ingest_urls(str(value)) for value in said if isinstance(value, int | str)]


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)[:_MAX_DETAIL_LENGTH]


def _error_for(code: int, headers: Mapping[str, str], envelope: dict[str, Any]) -> RealtimeKitError:
    error = _first_error(envelope)
    detail = _one_line(", ".join([f"HTTP {code}", *_error_details(error)]))
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
