"""Verification of Slack's request signatures, which rejects old and replayed requests."""

import time
from collections.abc import Callable, Mapping

from cachetools import TTLCache
from slack_sdk.signature import Clock, SignatureVerifier

MAX_AGE_SECONDS = 300
_SIGNATURE_LENGTH = len("v0=") + 64
_REPLAY_CACHE_SIZE = 50_000


REASONS = ("malformed", "stale", "forged", "replayed")


class SignatureError(Exception):
    """The request failed verification. `reason` is one of REASONS."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Now(Clock):
    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now

    def now(self) -> float:
        return self._now()


class RequestVerifier:
    """A verifier of requests, as in Slack's "Verifying requests from Slack", that also rejects replays."""

    def __init__(self, signing_secret: str, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._verifier = SignatureVerifier(signing_secret, clock=_Now(now))
        # A timestamp may be up to five minutes ahead of the bot's clock or behind it.
        self._seen: TTLCache[str, None] = TTLCache(_REPLAY_CACHE_SIZE, 2 * MAX_AGE_SECONDS + 1, now)

    def check_headers(self, headers: Mapping[str, str]) -> tuple[str, str]:
        """Return the timestamp and the signature if they are well-formed and fresh. Raises SignatureError.

        This check comes before the body is read, so that the bot never reads unsigned bodies.
        """
        timestamp = headers.get("x-slack-request-timestamp", "")
        signature = headers.get("x-slack-signature", "")
        if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
            raise SignatureError("malformed")
        if not (signature.isascii() and signature.startswith("v0=") and len(signature) == _SIGNATURE_LENGTH):
            raise SignatureError("malformed")
        if abs(self._now() - int(timestamp)) > MAX_AGE_SECONDS:
            raise SignatureError("stale")
        return timestamp, signature

    def verify(self, headers: Mapping[str, str], body: bytes) -> str:
        """Verify a request and return its signature. Raises SignatureError."""
        timestamp, signature = self.check_headers(headers)
        try:
            genuine = self._verifier.is_valid(body, timestamp, signature)
        except UnicodeDecodeError:  # slack_sdk verifies text only, and Slack sends nothing else
            raise SignatureError("malformed") from None
        if not genuine:
            raise SignatureError("forged")
        if signature in self._seen:
            raise SignatureError("replayed")
        self._seen[signature] = None
        return signature

    def allow_replay(self, signature: str) -> None:
        """Accept this request once more: it could not be handled, so Slack will send it again."""
        self._seen.pop(signature, None)
