"""HTTP sessions for Slack, and the Web API client that uses them."""

import re
import ssl
from typing import Any

import aiohttp
import structlog
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.clock import WallClock, within
from bot.metrics import Metrics
from bot.slack.errors import (
    ContentRejected,
    NotSent,
    PermanentError,
    SlackRateLimited,
    Unconfirmed,
    delivery_error,
    error_class,
    error_code,
)
from bot.slack.messages.message import Message
from bot.slack.token_health import TokenHealth

TIMEOUT_SECONDS = 10
_CONNECT_SECONDS = 3
FRESH_TIMEOUT_SECONDS = 30
"""Timeout of the fresh session, for a post: it is longer because a post that got no answer is not repeated at once."""
KEEPALIVE_SECONDS = 15
"""A connection idle for longer is not reused: a firewall or proxy on the path may have dropped it silently."""
MAX_TEXT_LENGTH = 3_000
"""Length to which a text is cut if Slack calls it too long. Slack documents 4,000 characters for an edit, but counts
them in its own way."""
TRANSPORT_ERRORS = (aiohttp.ClientError, TimeoutError)
NOT_CONNECTED = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
"""The transport errors raised before a connection was open, so nothing was sent."""

CONNECTION_LOST = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)
"""The other side dropped the connection before it answered, as happens to idle connections."""

_POSTS = frozenset({"chat.postMessage", "chat.postEphemeral"})
_WRITES = _POSTS | {"chat.update"}
"""These never use a connection that may be dead: repeating a post could show it twice, and Slack could carry out the
first attempt of an edit after the second."""
_WITH_APP_TOKEN = frozenset({"apps.connections.open"})
_TS = re.compile(r"\d{1,20}\.\d{1,20}", re.ASCII)

log = structlog.get_logger(__name__)


def open_session(proxy: str | None = None, tls: ssl.SSLContext | None = None) -> aiohttp.ClientSession:
    """Open an HTTP session that keeps its connections to Slack and reuses them."""
    return aiohttp.ClientSession(
        proxy=proxy,
        timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS, connect=_CONNECT_SECONDS),
        connector=aiohttp.TCPConnector(limit=100, keepalive_timeout=KEEPALIVE_SECONDS, ssl=tls or True),
    )


def open_fresh_session(proxy: str | None = None, tls: ssl.SSLContext | None = None) -> aiohttp.ClientSession:
    """Open an HTTP session that makes a new connection for each call, so no call meets a dead one."""
    return aiohttp.ClientSession(
        proxy=proxy,
        timeout=aiohttp.ClientTimeout(total=FRESH_TIMEOUT_SECONDS, connect=_CONNECT_SECONDS),
        connector=aiohttp.TCPConnector(limit=100, force_close=True, ssl=tls or True),
    )


class SlackClient(AsyncWebClient):
    """A Web API client that counts its calls, and repeats only those that read, after a kept connection breaks.

    slack_sdk's own retry handler repeats any call whose connection broke, even if Slack had already accepted it, and
    so posts twice.
    """

    def __init__(
        self,
        *,
        token: str,
        base_url: str,
        session: aiohttp.ClientSession,
        metrics: Metrics,
        token_health: TokenHealth | None = None,
        fresh: aiohttp.ClientSession | None = None,
    ) -> None:
        """Create the client. `fresh` is a session that opens a new connection for each call, by default `session`."""
        super().__init__(token=token, base_url=base_url, session=session, timeout=TIMEOUT_SECONDS, retry_handlers=[])
        # The session has the proxy. slack_sdk would take one from the environment, even for local addresses.
        self.proxy = None
        self.token_health = token_health or TokenHealth()
        self.fresh_session = fresh or session
        self._fresh = _Fresh(
            token=token, base_url=base_url, session=self.fresh_session, timeout=TIMEOUT_SECONDS, retry_handlers=[]
        )
        self._fresh.proxy = None
        self._metrics = metrics

    async def api_call(self, api_method: str, **kwargs: Any) -> AsyncSlackResponse:
        """Call a method, count the call, and record whether Slack accepts the token.

        Raises SlackApiError if Slack refuses, and one of TRANSPORT_ERRORS if Slack is unreachable or the answer is
        not Slack's.
        """
        outcome = "unreachable"
        try:
            response = await self._checked_call(api_method, **kwargs)
            outcome = "ok"
            if api_method not in _WITH_APP_TOKEN:
                self.token_health.note_success(api_method)
            return response
        except SlackApiError as error:
            code = error_code(error)
            outcome = "ratelimited" if error_class(code) is SlackRateLimited else "refused"
            if api_method not in _WITH_APP_TOKEN:
                self.token_health.note_error(api_method, code)
            raise
        finally:
            self.count_call(api_method, outcome)

    def count_call(self, method: str, outcome: str) -> None:
        """Count a call to Slack; `method` is `response_url` for one that is not part of the Web API."""
        self._metrics.slack_call(method, outcome)

    async def call(self, method: str, **kwargs: Any) -> AsyncSlackResponse:
        """Call a method as `api_call` does. Raises DeliveryError."""
        try:
            return await self.api_call(method, **kwargs)
        except SlackApiError as error:
            raise delivery_error(error) from None
        except TRANSPORT_ERRORS as error:
            raise (NotSent if isinstance(error, NOT_CONNECTED) else Unconfirmed)(type(error).__name__) from None

    async def write(self, method: str, message: Message, **arguments: Any) -> str:
        """Post or edit a message with this method, and return its ts.

        If Slack does not accept the blocks, send only the text, which says everything. Raises DeliveryError.
        """
        try:
            return await self._write(method, message, arguments)
        except ContentRejected as error:
            log.warning("blocks_rejected", code=error.code, method=method, channel=arguments.get("channel"))
            text = message.text if error.code != "msg_too_long" else message.text[:MAX_TEXT_LENGTH]
        try:
            return await self._write(method, Message(text), arguments)
        except ContentRejected as error:
            raise PermanentError(error.code) from None

    async def _write(self, method: str, message: Message, arguments: dict[str, Any]) -> str:
        content = {"text": message.text, "blocks": list(message.blocks)}
        response = await self.call(method, json={**arguments, **content})
        ts = str(response.get("ts") or response.get("message_ts"))
        if not _TS.fullmatch(ts):
            raise Unconfirmed("answer_without_ts")
        return ts

    async def _checked_call(self, api_method: str, **kwargs: Any) -> AsyncSlackResponse:
        try:
            return await self._call_with_repeat(api_method, **kwargs)
        except SlackApiError as error:
            if error_code(error) == "unreadable":
                raise aiohttp.ClientPayloadError(f"{api_method}: an error page") from None
            raise
        # slack_sdk raises these on an answer that is not a JSON object.
        except (AttributeError, ValueError):
            raise aiohttp.ClientPayloadError(f"{api_method}: no JSON object") from None

    async def _call_with_repeat(self, api_method: str, **kwargs: Any) -> AsyncSlackResponse:
        if api_method not in _WRITES:
            try:
                return await super().api_call(api_method, **kwargs)
            except CONNECTION_LOST as error:
                if isinstance(error, NOT_CONNECTED):
                    raise
        seconds = self.fresh_session.timeout.total or FRESH_TIMEOUT_SECONDS
        if api_method not in _POSTS:
            seconds = min(seconds, TIMEOUT_SECONDS)
        return await within(WallClock(), seconds, self._fresh.api_call(api_method, **kwargs))


class _Fresh(AsyncWebClient):
    """A client whose calls have no total timeout of their own; the caller enforces one.

    If the process was suspended during a call, it can still read an answer that has arrived; aiohttp's own timeout
    would discard it.
    """

    async def _request(self, *, http_verb: Any, api_url: Any, req_args: Any) -> dict[str, Any]:
        watched = {**req_args, "timeout": aiohttp.ClientTimeout(connect=_CONNECT_SECONDS)}
        return await super()._request(http_verb=http_verb, api_url=api_url, req_args=watched)
