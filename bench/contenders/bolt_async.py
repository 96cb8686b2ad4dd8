"""Async Bolt with Cloudflare's official SDK, as both projects' documentation shows it.

One `AsyncApp` and one `AsyncCloudflare` live as long as the process, on the same server and event loop as the bot. It
sends Cloudflare one request per command where the bot sends three.
"""

import asyncio
from typing import Any

import uvloop
from cloudflare import AsyncCloudflare
from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncRespond
from slack_sdk.web.async_client import AsyncWebClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from bench.contenders.settings import Settings, from_environment
from bench.contenders.words import answer
from bot.uvicorn_server import listen, serving


def create_app(settings: Settings) -> AsyncApp:
    """Build the Bolt app with its one command."""
    app = AsyncApp(
        signing_secret=settings.signing_secret,
        client=AsyncWebClient(settings.bot_token, base_url=settings.slack_api_url),
    )
    cloudflare = AsyncCloudflare(api_token=settings.cloudflare_api_token, base_url=settings.cloudflare_base_url)

    @app.command("/livestream")
    async def livestream(ack: AsyncAck, command: dict[str, Any], respond: AsyncRespond) -> None:
        await ack()
        found = await cloudflare.realtime_kit.livestreams.get_meeting_active_livestreams(
            command["text"], account_id=settings.account_id, app_id=settings.app_id
        )
        data = found.data
        assert data is not None
        await respond(**answer(data.name, data.status, data.playback_url))

    return app


async def main() -> None:
    """Serve until the process is killed."""
    settings = from_environment()
    handler = AsyncSlackRequestHandler(create_app(settings))

    async def events(request: Request) -> Response:
        return await handler.handle(request)

    async def ready(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    web = Starlette(routes=[Route("/slack/events", events, methods=["POST"]), Route("/readyz", ready)])
    async with serving(web, listen(port=settings.port)):
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
