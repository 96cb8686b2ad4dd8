"""Who the bot is in its workspace."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import ConfigurationError
from bot.slack.client import OUTAGES, RATE_LIMITED, TRANSPORT_ERRORS, error_code

_FIRST_WAIT, _LONGEST_WAIT = 1.0, 60.0
PASSING_ERRORS = frozenset({*RATE_LIMITED, *OUTAGES, "team_added_to_org", "unreadable"})

log = structlog.get_logger(__name__)


class Identity:
    """Learned from Slack once at the start, so that no request waits for it."""

    def __init__(self, client: AsyncWebClient, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._client = client
        self._sleep = sleep
        self._result: AuthorizeResult | None = None

    @property
    def known(self) -> bool:
        """Whether Slack has confirmed the bot token."""
        return self._result is not None

    @property
    def authorization(self) -> AuthorizeResult:
        """For Bolt: as whom a request is answered. Until Slack has said it, the token alone."""
        return self._result or AuthorizeResult(enterprise_id=None, team_id=None, bot_token=self._client.token)

    def permalink(self, channel_id: str, ts: str) -> str | None:
        """Where a message opens in Slack; None while Slack has not said what the workspace's address is."""
        url = self.authorization.url
        return f"{url.rstrip('/')}/archives/{channel_id}/p{ts.replace('.', '')}" if url else None

    async def learn(self) -> bool:
        """Ask Slack; False when it cannot say now. Raises ConfigurationError when it refuses the token."""
        try:
            response = await self._client.auth_test()
        except SlackApiError as error:
            code = error_code(error)
            if code not in PASSING_ERRORS:
                raise ConfigurationError([f"SLACK_BOT_TOKEN is refused by Slack ({code}). {_REMEDY}"]) from None
            log.warning("identity_unknown", why=code)
            return False
        except TRANSPORT_ERRORS as error:
            log.warning("identity_unknown", why=type(error).__name__)
            return False
        self._result = AuthorizeResult(
            enterprise_id=response.get("enterprise_id"),
            team_id=response.get("team_id"),
            bot_user_id=response.get("user_id"),
            bot_id=response.get("bot_id"),
            url=response.get("url"),
            bot_token=self._client.token,
        )
        return True

    async def learn_in_time(self) -> None:
        """Ask until Slack says it; a refusal by then is logged, and the bot stays not ready."""
        wait = _FIRST_WAIT
        try:
            while not await self.learn():
                await self._sleep(wait)
                wait = min(wait * 2, _LONGEST_WAIT)
        except ConfigurationError as refusal:
            log.warning("token_refused", why=refusal.mistakes[0])


_REMEDY = "Copy the Bot User OAuth Token again from the app's page, OAuth & Permissions."
