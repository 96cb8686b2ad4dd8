"""Slack's error answers, as exceptions."""

from typing import Any


class Refusal(Exception):
    """Slack's answer `{"ok": false, "error": ...}`; `details` are further fields of it."""

    def __init__(self, error: str, **details: Any) -> None:
        super().__init__(error)
        self.error = error
        self.details = details


class SoftRefusal(Refusal):
    """The same with HTTP 200 at a response_url, where an error status is usual."""


class RateLimited(Refusal):
    """An HTTP 429; the next call passes after `retry_after` seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("ratelimited")
        self.retry_after = retry_after
