"""The bot's identity in its workspace."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import structlog
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.errors import SlackApiError

from bot.errors import ConfigurationError, SlackUnreachable
from bot.network import describe
from bot.slack.api_client import TRANSPORT_ERRORS, SlackClient
from bot.slack.errors import TRANSIENT_TOKEN_CODES, UNINSTALLED_CODES, error_code, is_about_installation
from bot.slack.installation import Installation, installation_of
from bot.slack.messages.mrkdwn import clean, escape_entities
from bot.slack.token_health import remedy

CHECK_SECONDS = 300.0
"""How often the bot checks that Slack still accepts the token, which may be revoked while nothing is posted."""
RECHECK_SECONDS = 30.0
"""How often it checks while Slack refuses the token."""
_MAX_NAME_LENGTH = 80
_INITIAL_BACKOFF, _MAX_BACKOFF = 1.0, 60.0

log = structlog.get_logger(__name__)


class Identity:
    """The bot's identity, fetched from Slack once at startup so that no request waits for it."""

    def __init__(self, client: SlackClient, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._client = client
        self._sleep = sleep
        self._result: AuthorizeResult | None = None
        self._name = ""
        self._description = ""
        self._fetched = asyncio.Event()

    @property
    def is_known(self) -> bool:
        """Whether Slack has confirmed the bot token."""
        return self._result is not None

    @property
    def name(self) -> str | None:
        """The bot's name after an @; None until Slack has reported it."""
        return self._name or None

    @property
    def problem(self) -> str | None:
        """A sentence for the operator while Slack refuses the bot token or its permissions; None otherwise."""
        return self._client.token_health.describe_problem()

    def __str__(self) -> str:
        return self._description or "Slack, which has not answered yet"

    @property
    def authorization(self) -> AuthorizeResult:
        """The identity under which Bolt answers requests; only the token until Slack has reported it."""
        return self._result or AuthorizeResult(enterprise_id=None, team_id=None, bot_token=self._client.token)

    def permalink(self, channel_id: str, ts: str) -> str | None:
        """Return the link to a message, or None until Slack has reported the workspace's address."""
        url = self.authorization.url
        return f"{url.rstrip('/')}/archives/{channel_id}/p{ts.replace('.', '')}" if url else None

    async def fetch(self) -> bool:
        """Fetch the identity from Slack; return False if Slack does not answer now.

        Raises ConfigurationError if Slack refuses the token.
        """
        try:
            response = await self._client.auth_test()
        except SlackApiError as error:
            code = error_code(error)
            if is_final(code):
                raise ConfigurationError([f"SLACK_BOT_TOKEN is refused by Slack ({code}). {remedy(code)}"]) from None
            log.warning("auth_test_failed", error=code)
            return False
        except TRANSPORT_ERRORS as error:
            log.warning("auth_test_failed", error=describe(error))
            return False
        # Without spaces of zero width: people copy the name from `/invite @name`.
        self._name = escape_entities(clean(str(response.get("user") or ""), _MAX_NAME_LENGTH))
        self._result = AuthorizeResult(
            enterprise_id=response.get("enterprise_id"),
            team_id=response.get("team_id"),
            bot_user_id=response.get("user_id"),
            bot_id=response.get("bot_id"),
            url=response.get("url"),
            bot_token=self._client.token,
        )
        self._description = f"{response.get('team')} as @{response.get('user')}"
        self._fetched.set()
        return True

    async def is_token_refused(self) -> bool:
        """Return whether Slack refuses the bot token as it does after the app was removed.

        Raises SlackUnreachable if Slack does not answer.
        """
        try:
            await self._client.auth_test()
        except SlackApiError as error:
            code = error_code(error)
            if code in UNINSTALLED_CODES:
                return True
            raise SlackUnreachable(detail=code) from None
        except TRANSPORT_ERRORS as error:
            raise SlackUnreachable(detail=describe(error)) from None
        return False

    async def installation(self, seconds: float) -> Installation | None:
        """Return the bot's installation, or None if Slack does not report it within this many seconds."""
        if not self.is_known and seconds > 0:
            learned, timer = asyncio.ensure_future(self._fetched.wait()), asyncio.ensure_future(self._sleep(seconds))
            try:
                await asyncio.wait({learned, timer}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                learned.cancel()
                timer.cancel()
        return installation_of(self.authorization)

    async def fetch_with_retry(self) -> None:
        """Retry until Slack reports the identity; log a refusal, and stay unready until Slack accepts the token."""
        wait, refusal = _INITIAL_BACKOFF, ""
        while not self.is_known:
            try:
                if await self.fetch():
                    return
            except ConfigurationError as error:
                if error.detail != refusal:
                    log.warning("token_rejected", error=error.detail)
                wait, refusal = _MAX_BACKOFF, error.detail
            await self._sleep(wait)
            wait = min(wait * 2, _MAX_BACKOFF)

    async def keep(self) -> None:
        """Fetch the identity, then check regularly that Slack still accepts the token, until cancelled."""
        await self.fetch_with_retry()
        waited = 0.0
        while True:
            await self._sleep(RECHECK_SECONDS)
            waited += RECHECK_SECONDS
            access = self._client.token_health
            if access.problem is None and not access.is_doubtful and waited < CHECK_SECONDS:
                continue
            waited = 0.0
            # The client has already recorded what Slack says about the token.
            with contextlib.suppress(ConfigurationError):
                await self.fetch()


def is_final(code: str) -> bool:
    """Return whether this code means that a token must be replaced or lacks permissions."""
    return is_about_installation(code) and code not in TRANSIENT_TOKEN_CODES
