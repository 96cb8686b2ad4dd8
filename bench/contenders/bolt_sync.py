"""Sync Bolt with Cloudflare's official SDK, for gunicorn's threads: one worker, 64 threads.

Bolt's own pool of 5 threads for listeners is made as large as gunicorn's, because with five threads 64 simultaneous
commands would wait for each other. It sends Cloudflare one request per command where the bot sends three.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from cloudflare import Cloudflare
from slack_bolt import Ack, App, Respond
from slack_bolt.adapter.wsgi import SlackRequestHandler
from slack_sdk import WebClient

from bench.contenders.settings import Settings, from_environment
from bench.contenders.words import answer

THREADS = 64


def create_app(settings: Settings) -> App:
    """Build the Bolt app with its one command."""
    app = App(
        signing_secret=settings.signing_secret,
        client=WebClient(settings.bot_token, base_url=settings.slack_api_url),
        listener_executor=ThreadPoolExecutor(max_workers=THREADS),
    )
    cloudflare = Cloudflare(api_token=settings.cloudflare_api_token, base_url=settings.cloudflare_base_url)

    @app.command("/livestream")
    def livestream(ack: Ack, command: dict[str, Any], respond: Respond) -> None:
        ack()
        found = cloudflare.realtime_kit.livestreams.get_meeting_active_livestreams(
            command["text"], account_id=settings.account_id, app_id=settings.app_id
        )
        data = found.data
        assert data is not None
        respond(**answer(data.name, data.status, data.playback_url))

    return app


def wsgi() -> SlackRequestHandler:
    """Return the WSGI app for `gunicorn 'bench.contenders.bolt_sync:wsgi()'`."""
    return SlackRequestHandler(create_app(from_environment()))
