"""The work of `livestream-bot webhook`: registering, listing and removing RealtimeKit's webhooks."""

import contextlib
from collections.abc import AsyncIterator
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from bot.errors import AuthenticationFailed, ConfigurationError, RateLimited, RealtimeKitError, ServerError, Unreachable
from bot.http_server import WEBHOOK_PATH
from bot.realtimekit.client import open_http
from bot.realtimekit.webhook_subscriptions import (
    SubscriptionResult,
    WebhookSubscription,
    WebhookSubscriptions,
    same_address,
)
from bot.settings import CloudflareSettings, Url
from bot.slack.messages.mrkdwn import clean

_DETAIL_LIMIT = 200


@contextlib.asynccontextmanager
async def connect(settings: CloudflareSettings) -> AsyncIterator[WebhookSubscriptions]:
    """Open a client for the webhooks of the RealtimeKit app in the settings."""
    token = settings.cloudflare_api_token.get_secret_value()
    http = open_http(settings.cloudflare_base_url, token, settings.proxy, settings.tls)
    async with http:
        yield WebhookSubscriptions(http, account_id=settings.cloudflare_account_id, app_id=settings.realtimekit_app_id)


def webhook_url(url: str) -> str:
    """Return the webhook's URL for a bot at this base URL. Raises ConfigurationError."""
    try:
        base = TypeAdapter(Url).validate_python(url).rstrip("/")
    except ValidationError as error:
        problem = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise ConfigurationError(
            [f"--url {problem}. Give where RealtimeKit reaches the bot: https://bot.example.com."]
        ) from None
    return base if base.endswith(WEBHOOK_PATH) else base + WEBHOOK_PATH


async def add(settings: CloudflareSettings, url: str) -> SubscriptionResult:
    """Register the bot at this address. Raises RealtimeKitError."""
    async with connect(settings) as webhooks:
        return await webhooks.add(url)


async def list_all(settings: CloudflareSettings) -> list[WebhookSubscription]:
    """Return all webhooks of the app. Raises RealtimeKitError."""
    async with connect(settings) as webhooks:
        return await webhooks.list_all()


async def remove(settings: CloudflareSettings, id_or_url: UUID | str) -> list[UUID]:
    """Remove the webhook with this ID, or those with this address; return their IDs. Raises RealtimeKitError."""
    async with connect(settings) as webhooks:
        if isinstance(id_or_url, UUID):
            ids = [id_or_url]
        else:
            ids = [webhook.id for webhook in await webhooks.list_all() if same_address(webhook.url, id_or_url)]
        return [webhook_id for webhook_id in ids if await webhooks.remove(webhook_id)]


def format_webhook(webhook: WebhookSubscription) -> str:
    """Format a webhook as one line for people."""
    state = "enabled" if webhook.enabled else "disabled"
    return "  ".join([str(webhook.id), state, clean(webhook.url, 500), clean(", ".join(webhook.events), 500)])


def describe_error(error: RealtimeKitError) -> str:
    """Explain the error in a sentence for the bot's operator."""
    if isinstance(error, RateLimited):
        return "Cloudflare is rate-limiting this bot. Try again in five minutes."
    detail = clean(error.detail, _DETAIL_LIMIT)
    if isinstance(error, AuthenticationFailed):
        return f"Cloudflare rejects the request ({detail}). `livestream-bot doctor` says how to fix it."
    if isinstance(error, ServerError):
        return f"Cloudflare is having problems ({detail}). Try again in a minute, or see cloudflarestatus.com."
    if isinstance(error, Unreachable):
        return f"Can't reach Cloudflare ({detail}). Try again in a minute; `livestream-bot doctor` says more."
    return f"Cloudflare didn't do that ({detail}). Try again in a minute; `livestream-bot doctor` says more."
