"""The Bolt app: what hands each request to its listener."""

import logging

import aiohttp
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack import listeners
from bot.slack.identity import Identity
from bot.slack.services import Services


def create_app(services: Services, identity: Identity, session: aiohttp.ClientSession) -> AsyncApp:
    """A Bolt app that asks Slack nothing by itself.

    Signatures are checked before Bolt (it answers malformed ones with a 500, and logs the body of forged ones), and
    `authorize` keeps it from calling auth.test before the first acknowledgement. With SLACK_CLIENT_ID in the
    environment Bolt would drop a `token` in silence, so it gets none.
    """

    # A function, not a method: Bolt would look for an argument named `self`.
    async def authorize() -> AuthorizeResult:
        return identity.authorization

    logger = logging.getLogger("slack_bolt.quiet")
    logger.setLevel(logging.ERROR)
    app = AsyncApp(
        name="livestream-bot",
        logger=logger,
        signing_secret="",
        request_verification_enabled=False,
        authorize=authorize,
        # Bolt makes one like it for each request. Nothing uses them, and with a proxy none is searched for in the
        # environment each time.
        client=AsyncWebClient(session=session, retry_handlers=[], proxy="http://unused.invalid"),
        raise_error_for_unhandled_request=True,
    )
    listeners.register(app, services)
    return app
