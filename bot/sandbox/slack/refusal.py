"""How Slack says no."""

from typing import Any


class Refusal(Exception):
    """Slack's answer `{"ok": false, "error": ...}`; `details` are further fields of that answer."""

    def __init__(self, error: str, **details: Any) -> None:
        super().__init__(error)
        self.error = error
        self.details = details


class RateLimited(Refusal):
    """HTTP 429; the next call passes after `retry_after` seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("ratelimited")
        self.retry_after = retry_after
