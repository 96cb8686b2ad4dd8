"""The composition root: builds everything once from the settings, and shuts it down in order."""

import asyncio
import contextlib
import errno
import functools
import os
import secrets
import socket as sockets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from uuid import UUID

import aiohttp
import structlog

from bot import __version__
from bot.background_workers import BackgroundWorkers
from bot.clock import Clock, WallClock
from bot.errors import ConfigurationError, RealtimeKitError
from bot.health import Check
from bot.http_server import WebhookReceiver, create_web
from bot.livestream_sources import open_sources
from bot.metrics import Metrics
from bot.realtimekit.lookup import Lookup
from bot.realtimekit.webhook_events import WebhookVerifier, open_key_http
from bot.settings import Settings, SlackSettings
from bot.slack.api_client import SlackClient, open_fresh_session, open_session
from bot.slack.app import create_app, dispatch
from bot.slack.dependencies import Dependencies
from bot.slack.identity import Identity
from bot.slack.in_flight import InFlightRequests
from bot.slack.publisher import Publisher
from bot.slack.rate_limiter import SlackRateLimiter, UserRateLimiter
from bot.slack.responder import Responder
from bot.slack.signature import RequestVerifier
from bot.slack.socket_mode import SocketMode
from bot.store.database_url import parse_database_url
from bot.store.store import open_store
from bot.uvicorn_server import listen, serving
from bot.wording import DEFAULT, Wording
from bot.worker import WorkerContext

DRAIN_SECONDS = 45.0
"""Longer than Slack may take to post, so that the last posts are recorded and not sent again."""

log = structlog.get_logger(__name__)


def open_slack(
    settings: SlackSettings,
    session: aiohttp.ClientSession,
    metrics: Metrics,
    fresh: aiohttp.ClientSession | None = None,
) -> SlackClient:
    """Return a client for the workspace in the settings. The caller closes the sessions."""
    return SlackClient(
        token=settings.slack_bot_token.get_secret_value(),
        base_url=settings.slack_api_url.rstrip("/") + "/",
        session=session,
        metrics=metrics,
        fresh=fresh,
    )


@contextlib.asynccontextmanager
async def running(
    settings: Settings, sock: sockets.socket | None = None, clock: Clock | None = None
) -> AsyncIterator[str]:
    """Run the bot until the block ends, yielding its base URL. It listens on `sock`, or by default on HOST and PORT.

    At the end it accepts no new work, finishes running work within 45 seconds, and closes its connections. `clock`
    replaces this machine's and the database's. Raises ConfigurationError if the address cannot be bound, the database
    cannot be used, or Slack refuses a token.
    """
    metrics, wall = Metrics(), clock or WallClock()
    sock = sock or _listen(settings)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(sock.close)
        store = await open_store(
            settings.database_url.get_secret_value(),
            clock=clock.now if clock else None,
            monotonic=clock.monotonic if clock else None,
        )
        stack.push_async_callback(store.close)
        session = await stack.enter_async_context(open_session(settings.proxy, settings.tls))
        fresh = await stack.enter_async_context(open_fresh_session(settings.proxy, settings.tls))
        client = open_slack(settings, session, metrics, fresh)

        def compare(meeting_id: UUID, lookup: Lookup | None) -> None:
            workers.compare(meeting_id, lookup)

        sources, rate_budget = await stack.enter_async_context(
            open_sources(settings, metrics, store.request_windows, clock, compare)
        )
        identity = Identity(client, sleep=wall.sleep)
        publisher = Publisher(client, SlackRateLimiter(wall), wall, metrics)
        context = _worker_context(settings, identity, wall, metrics)
        workers = BackgroundWorkers(store, publisher, sources, rate_budget, context)
        await stack.enter_async_context(workers.running())
        in_flight = InFlightRequests(metrics)
        stack.push_async_callback(in_flight.drain, DRAIN_SECONDS)
        deps = Dependencies(
            look_up=_measured(sources.look_up_for_people, metrics),
            responder=Responder(session, client, publisher, wall),
            in_flight=in_flight,
            following=workers.following,
            installation=identity.installation,
            is_token_refused=identity.is_token_refused,
            permalink=identity.permalink,
            user_limit=UserRateLimiter(clock.now if clock else time.monotonic),
            wording=context.wording,
            sleep=wall.sleep,
            access_problem=lambda: client.token_health.problem,
        )
        app = create_app(deps, identity, session)
        answer, token = functools.partial(dispatch, app, in_flight), settings.slack_app_token
        socket_mode = SocketMode(answer, token.get_secret_value(), client, session, wall) if token else None
        checks: dict[str, Check] = {"slack_token": lambda: _unknown(identity), **workers.checks}
        if socket_mode is not None:
            stack.push_async_callback(socket_mode.stop)
            checks["socket_mode"] = socket_mode.problem
        secret = settings.slack_signing_secret
        slack = (answer, RequestVerifier(secret.get_secret_value())) if secret else None
        key = open_key_http(settings.realtimekit_webhook_key_url, settings.proxy, settings.tls)
        webhooks = WebhookReceiver(WebhookVerifier(await stack.enter_async_context(key)), workers.hint)
        web = create_web(metrics, checks, slack, webhooks)
        url = await stack.enter_async_context(serving(web, sock))
        await _identify(identity, stack)
        stack.callback(workers.stop)
        if socket_mode is not None:
            await socket_mode.start()
        _log_start(settings, identity, url)
        yield url


def _log_start(settings: Settings, identity: Identity, url: str) -> None:
    ways = [(settings.slack_signing_secret, "HTTP"), (settings.slack_app_token, "Socket Mode")]
    mode = " and ".join(name for secret, name in ways if secret)
    address = url.removeprefix("http://")
    database = parse_database_url(settings.database_url.get_secret_value()).get_backend_name()
    summary = f"livestream-bot {__version__} connected to {identity} ({mode}, {address})"
    log.info("bot_started", summary=summary, version=__version__, mode=mode, url=url, database=database)


def _worker_context(settings: Settings, identity: Identity, clock: Clock, metrics: Metrics) -> WorkerContext:
    def wording() -> Wording:
        return Wording(settings.slack_command, identity.name or DEFAULT.bot)

    worker_id = f"{sockets.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    grace = timedelta(seconds=settings.end_grace_period_seconds)
    return WorkerContext(worker_id, clock, metrics, grace, wording)


def _listen(settings: Settings) -> sockets.socket:
    try:
        return listen(settings.host, settings.port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            sentence = (
                f"Port {settings.port} is already in use. Stop the program that uses it, or set PORT to another one."
            )
        elif error.errno == errno.EACCES:
            sentence = f"Port {settings.port} is only for privileged programs. Set PORT to 1024 or above."
        else:
            sentence = f"HOST {settings.host} is not an address of this machine ({error.strerror or error})."
        raise ConfigurationError([sentence]) from None


async def _identify(identity: Identity, stack: contextlib.AsyncExitStack) -> None:
    """Identify the bot to itself: at once or, if Slack is unreachable, in the background. Then keep checking."""
    await identity.fetch()
    task = asyncio.create_task(identity.keep(), name="identity")
    stack.callback(task.cancel)


def _measured(ask: Callable[[UUID], Awaitable[Lookup]], metrics: Metrics) -> Callable[[UUID], Awaitable[Lookup]]:
    async def measured(meeting_id: UUID) -> Lookup:
        outcome = "failed"
        try:
            lookup = await ask(meeting_id)
            outcome = lookup.status.name.lower()
            return lookup
        except RealtimeKitError as error:
            outcome = error.code
            raise
        finally:
            metrics.lookups.labels(outcome).inc()

    return measured


async def _unknown(identity: Identity) -> str | None:
    return identity.problem or (None if identity.is_known else "Slack has not confirmed the bot token yet.")
