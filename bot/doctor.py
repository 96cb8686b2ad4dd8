"""Checks of all that the bot needs to run, with a fix for each problem."""

import errno
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum

import httpx
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot import network, webhook_commands
from bot.app import open_slack
from bot.errors import AuthenticationFailed, ConfigurationError, RateLimited, RealtimeKitError, ServerError
from bot.http_server import ALIVE, WEBHOOK_PATH
from bot.livestream_sources import open_realtimekit
from bot.metrics import Metrics
from bot.realtimekit.webhook_events import PublicKeyUnavailable, WebhookVerifier, open_key_http
from bot.realtimekit.webhook_subscriptions import WebhookSubscription
from bot.settings import (
    CloudflareSettings,
    FollowSettings,
    LogSettings,
    ServerSettings,
    SettingsT,
    SlackSettings,
    StoreSettings,
    load,
)
from bot.slack.api_client import TRANSPORT_ERRORS, open_session
from bot.slack.errors import error_code
from bot.slack.identity import is_final
from bot.slack.manifest import bot_scopes
from bot.slack.messages.mrkdwn import clean
from bot.slack.token_health import remedy
from bot.store.diagnostics import inspect
from bot.uvicorn_server import listen

_DETAIL_LIMIT = 200
_LOCAL_SECONDS = 2.0
ADDRESS, DATABASE, BOT_TOKEN, CONNECTION = "Address", "Database", "Slack bot token", "Slack connection"
DIRECT_MESSAGES = "Slack direct messages"
REALTIMEKIT, WEBHOOK, PUBLIC_KEY = "Cloudflare RealtimeKit", "RealtimeKit webhook", "RealtimeKit's public key"
_BAD_SETTINGS = "its settings are missing or invalid"
_WRONG_IDS = "7003"
"""Cloudflare's code for an account or app that does not exist."""


class Outcome(StrEnum):
    """The outcome of one check."""

    OK = "ok"
    FAIL = "FAIL"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check; `ok` is None if it was skipped."""

    subject: str
    ok: bool | None
    sentence: str
    """The result, and how to fix a problem."""

    @property
    def outcome(self) -> Outcome:
        """The result as one word."""
        return Outcome.SKIP if self.ok is None else Outcome.OK if self.ok else Outcome.FAIL


def _passed(subject: str, sentence: str) -> Finding:
    return Finding(subject, ok=True, sentence=sentence)


def _failed(subject: str, sentence: str) -> Finding:
    return Finding(subject, ok=False, sentence=sentence)


def _skipped(subject: str, because: str) -> Finding:
    return Finding(subject, None, f"Not checked, because {because}.")


async def run_checks() -> AsyncIterator[Finding]:
    """Run each check and yield its finding: first the settings, then whatever each valid section configures."""
    slack, slack_findings = _read(SlackSettings)
    cloudflare, cloudflare_findings = _read(CloudflareSettings)
    server, server_findings = _read(ServerSettings)
    store, store_findings = _read(StoreSettings)
    follow, follow_findings = _read(FollowSettings)
    _, log_findings = _read(LogSettings)
    mistakes = [
        *slack_findings,
        *cloudflare_findings,
        *server_findings,
        *store_findings,
        *follow_findings,
        *log_findings,
    ]
    for finding in dict.fromkeys(mistakes) or [_passed("Settings", "All present and well-formed.")]:
        yield finding
    yield await _address(server) if server else _skipped(ADDRESS, _BAD_SETTINGS)
    yield await _database(store) if store else _skipped(DATABASE, _BAD_SETTINGS)
    if slack:
        async for finding in _slack(slack):
            yield finding
    else:
        yield _skipped(BOT_TOKEN, _BAD_SETTINGS)
        yield _skipped(DIRECT_MESSAGES, _BAD_SETTINGS)
        yield _skipped(CONNECTION, _BAD_SETTINGS)
    reached = await _realtimekit(cloudflare) if cloudflare else _skipped(REALTIMEKIT, _BAD_SETTINGS)
    yield reached
    if cloudflare and follow and reached.ok:
        async for finding in _webhooks(cloudflare, follow.realtimekit_webhook_key_url):
            yield finding
    else:
        why = "the Cloudflare check above failed" if cloudflare and follow else _BAD_SETTINGS
        yield _skipped(WEBHOOK, why)
        yield _skipped(PUBLIC_KEY, why)


def _read(section: type[SettingsT]) -> tuple[SettingsT | None, list[Finding]]:
    try:
        return load(section), []
    except ConfigurationError as error:
        return None, [_failed("Settings", mistake) for mistake in error.mistakes]


async def _address(settings: ServerSettings) -> Finding:
    where = f"{settings.host}:{settings.port}"
    try:
        listen(settings.host, settings.port).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE and await _a_bot_answers(settings):
            return _passed(ADDRESS, f"A bot is already running at {where}; see its /readyz.")
        why = error.strerror or error
        return _failed(
            ADDRESS,
            f"Can't listen on {where} ({why}). Stop the program that does, which may be this bot, or set HOST and PORT "
            "to another address.",
        )
    return _passed(ADDRESS, f"{where} is free.")


async def _a_bot_answers(settings: ServerSettings) -> bool:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - compared, not bound
    url = httpx.URL(scheme="http", host=host, port=settings.port, path="/healthz")
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=_LOCAL_SECONDS) as client:
            return (await client.get(url)).content == ALIVE
    except httpx.HTTPError:
        return False


async def _database(settings: StoreSettings) -> Finding:
    try:
        return _passed(DATABASE, await inspect(settings.database_url.get_secret_value()))
    except ConfigurationError as error:
        return _failed(DATABASE, " ".join(error.mistakes))


async def _slack(settings: SlackSettings) -> AsyncIterator[Finding]:
    async with open_session(settings.proxy, settings.tls) as session:
        client = open_slack(settings, session, Metrics())
        token = await _bot_token(client)
        yield token
        if token.ok:
            yield _passed(
                DIRECT_MESSAGES,
                "Whether they arrive can only be seen when one does. On the app's page, App Home, the Messages Tab "
                "must be on; the manifest turns it on.",
            )
        else:
            yield _skipped(DIRECT_MESSAGES, "the bot token above isn't usable")
        if settings.slack_app_token:
            yield await _app_token(client, settings.slack_app_token.get_secret_value())
        else:
            yield _passed(
                CONNECTION,
                "HTTP: Slack must reach this bot at https://<your host>/slack/events. Only Slack can show whether the "
                f"signing secret is right: type {settings.slack_command} once.",
            )


async def _bot_token(client: AsyncWebClient) -> Finding:
    subject = BOT_TOKEN
    try:
        response = await client.auth_test()
    except SlackApiError as error:
        code = error_code(error)
        return _refused(subject, code, remedy(code))
    except TRANSPORT_ERRORS as error:
        return _unreachable(subject, error)
    missing = sorted(bot_scopes() - _scopes(response.headers))
    if missing:
        return _failed(
            subject,
            f"It lacks {', '.join(missing)}. Add that on the app's page, OAuth & Permissions, or paste the manifest "
            "again, and then reinstall the app.",
        )
    return _passed(subject, f"Valid: @{response.get('user')} in {response.get('team')}, all scopes present.")


def _scopes(headers: dict[str, str]) -> frozenset[str]:
    lower = {name.lower(): value for name, value in headers.items()}
    return frozenset(scope.strip() for scope in lower.get("x-oauth-scopes", "").split(","))


async def _app_token(client: AsyncWebClient, app_token: str) -> Finding:
    subject = "Slack app token"
    try:
        await client.apps_connections_open(app_token=app_token)
    except SlackApiError as error:
        return _refused(
            subject,
            error_code(error),
            "Make one with connections:write on the app's page, Basic Information, App-Level Tokens, and see that "
            "Socket Mode is on.",
        )
    except TRANSPORT_ERRORS as error:
        return _unreachable(subject, error)
    return _passed(subject, "Valid: it can open Socket Mode connections.")


def _refused(subject: str, code: str, remedy: str) -> Finding:
    if not is_final(code):
        return _failed(subject, f"Slack can't check it right now ({code}). Try again in a minute.")
    return _failed(subject, f"Slack rejects it ({code}). {remedy}")


def _unreachable(subject: str, error: Exception) -> Finding:
    if found := network.problem(error):
        return _failed(subject, f"Can't reach Slack: {found.what}. {found.remedy}")
    why = type(error).__name__
    return _failed(subject, f"Can't reach Slack ({why}). Check the network, the proxy and SLACK_API_URL.")


async def _realtimekit(settings: CloudflareSettings) -> Finding:
    subject = REALTIMEKIT
    kit = open_realtimekit(settings)
    try:
        await kit.check_access()
    except AuthenticationFailed as error:
        return _failed(
            subject,
            f"Cloudflare rejects the request ({clean(error.detail, _DETAIL_LIMIT)}). {_remedy(error.detail)}",
        )
    except RateLimited:
        return _failed(subject, "Cloudflare is rate-limiting this bot. Try again in five minutes.")
    except ServerError as error:
        said = clean(error.detail, _DETAIL_LIMIT)
        return _failed(
            subject,
            f"Cloudflare is having problems ({said}). Try again in a minute, or see cloudflarestatus.com.",
        )
    except RealtimeKitError as error:
        if found := network.problem(error):
            return _failed(subject, f"Can't reach Cloudflare: {found.what}. {found.remedy}")
        return _failed(
            subject,
            f"Cloudflare gave no usable answer ({clean(error.detail, _DETAIL_LIMIT)}). Check the network and "
            "CLOUDFLARE_BASE_URL; if they are right, see cloudflarestatus.com.",
        )
    finally:
        await kit.close()
    return _passed(subject, "Valid: the token can read this account's app.")


async def _webhooks(settings: CloudflareSettings, key_url: str) -> AsyncIterator[Finding]:
    """Check webhooks and their key. Without a webhook the bot works: polling finds changes, only later."""
    subject = WEBHOOK
    try:
        present = await webhook_commands.list_all(settings)
    except RealtimeKitError as error:
        yield _failed(subject, webhook_commands.describe_error(error))
        yield _skipped(PUBLIC_KEY, "the webhooks couldn't be listed (see above)")
        return
    # Not urlsplit, which raises for some invalid URLs: another program may have registered anything.
    ours = [webhook for webhook in present if webhook.url.partition("?")[0].rstrip("/").endswith(WEBHOOK_PATH)]
    yield _registered(subject, ours)
    yield await _key(settings, key_url, needed=bool(ours))


def _registered(subject: str, ours: list[WebhookSubscription]) -> Finding:
    telling = [webhook.url for webhook in ours if webhook.reports_livestreams()]
    if telling:
        where = clean(", ".join(telling), _DETAIL_LIMIT)
        return _passed(subject, f"Registered: {where}. Whether deliveries arrive can only be seen when one does.")
    if ours:
        return _failed(
            subject,
            "One is registered, but it is disabled or does not report livestreams. Fix it with "
            "`livestream-bot webhook add --url https://<your host>`.",
        )
    return _passed(subject, "None registered, so changes are found by polling. See `livestream-bot webhook add`.")


async def _key(settings: CloudflareSettings, url: str, *, needed: bool) -> Finding:
    subject = PUBLIC_KEY
    async with open_key_http(url, settings.proxy, settings.tls) as http:
        try:
            await WebhookVerifier(http).fetch()
        except PublicKeyUnavailable as error:
            why = f"Can't fetch it ({clean(str(error), _DETAIL_LIMIT)})"
            if needed:
                return _failed(
                    subject,
                    f"{why}, so webhooks can't be verified. Check the network, the proxy and "
                    "REALTIMEKIT_WEBHOOK_KEY_URL.",
                )
            return _passed(subject, f"{why}. Only webhooks need it.")
    return _passed(subject, "Found and readable.")


def _remedy(detail: str) -> str:
    if _WRONG_IDS in detail:
        return "Check CLOUDFLARE_ACCOUNT_ID and REALTIMEKIT_APP_ID."
    return "Make an API token with the permission Realtime for this account, and set CLOUDFLARE_API_TOKEN."
