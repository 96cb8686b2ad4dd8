"""The Bolt app: what hands each request to its listener."""

import logging
from collections.abc import Mapping
from typing import Any

import aiohttp
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack import listeners
from bot.slack.identity import Identity
from bot.slack.listeners.unheard import refusal
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


async def dispatch(app: AsyncApp, content: bytes | dict[str, Any], headers: Mapping[str, str]) -> BoltResponse:
    """Have the app hear a body that came by HTTP, or a payload that came through Socket Mode.

    What is not as Slack sends it is answered with a 400: Bolt takes every payload for one of Slack's, and trips over
    others in many places, its error handling among them.
    """
    body: object = None
    try:
        if isinstance(content, bytes):
            request = AsyncBoltRequest(body=content.decode(), headers=dict(headers))
        else:
            request = AsyncBoltRequest(body=content, headers=dict(headers), mode="socket_mode")
        body = request.body
        return await app.async_dispatch(request)
    except Exception as error:  # noqa: BLE001 - see above
        return refusal(error, body)
