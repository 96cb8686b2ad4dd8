"""The one connection pool to Slack, and the Web API client on it."""

from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.metrics import Metrics

SECONDS = 10
RATE_LIMITED = ("ratelimited", "rate_limited")
OUTAGES = ("internal_error", "fatal_error", "service_unavailable", "request_timeout")
"""Slack's own failures; it says of them that what was asked for may have happened nevertheless."""
TRANSPORT_ERRORS = (aiohttp.ClientError, TimeoutError)


def open_session(proxy: str | None = None) -> aiohttp.ClientSession:
    """The one HTTP session to Slack: a call without it would open, and close, a connection of its own."""
    return aiohttp.ClientSession(
        proxy=proxy,
        timeout=aiohttp.ClientTimeout(total=SECONDS, connect=3),
        connector=aiohttp.TCPConnector(limit=100, keepalive_timeout=60),
    )


class SlackClient(AsyncWebClient):
    """Counts its calls, and repeats none by itself.

    slack_sdk's own handler sends a call once more when the connection broke after Slack had taken it, and so posts
    twice.
    """

    def __init__(self, *, token: str, base_url: str, session: aiohttp.ClientSession, metrics: Metrics) -> None:
        super().__init__(token=token, base_url=base_url, session=session, timeout=SECONDS, retry_handlers=[])
        # The session has the proxy. slack_sdk takes one out of the environment, for addresses of this machine, too.
        self.proxy = None
        self._metrics = metrics

    async def api_call(self, api_method: str, **kwargs: Any) -> AsyncSlackResponse:
        """Call one method. Raises SlackApiError when Slack refuses, and a transport error when it is out of reach or
        the answer is not Slack's."""
        outcome = "unreachable"
        try:
            response = await self._understood(api_method, **kwargs)
            outcome = "ok"
            return response
        except SlackApiError as error:
            outcome = "ratelimited" if error_code(error) in RATE_LIMITED else "refused"
            raise
        finally:
            self._metrics.slack_call(api_method, outcome)

    async def _understood(self, api_method: str, **kwargs: Any) -> AsyncSlackResponse:
        try:
            return await super().api_call(api_method, **kwargs)
        except SlackApiError as error:
            if error_code(error) == "unreadable":
                raise aiohttp.ClientPayloadError(f"{api_method}: an error page") from None
            raise
        # slack_sdk trips over an answer that is not a JSON object.
        except (AttributeError, ValueError):
            raise aiohttp.ClientPayloadError(f"{api_method}: no JSON object") from None


def error_code(error: SlackApiError) -> str:
    """Slack's word for what went wrong, such as `not_in_channel`."""
    response = error.response
    if not isinstance(response, AsyncSlackResponse):  # slack_sdk puts aiohttp's own there when the JSON is broken
        return "unreadable"
    code = response.data.get("error") if isinstance(response.data, dict) else None
    if isinstance(code, str) and code.isascii() and code.isidentifier() and len(code) <= 80:
        return code
    return "ratelimited" if response.status_code == 429 else "unreadable"
