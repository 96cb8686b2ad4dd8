"""The webhooks registered with a RealtimeKit app: list, add and remove."""

from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from bot.errors import InvalidResponse
from bot.realtimekit.http import HttpClient, HttpResponse, app_path, exchange
from bot.realtimekit.responses import parse_data, parse_list
from bot.realtimekit.webhook_events import LIVESTREAM_EVENTS, STATUS_EVENT

_NAME = "livestream-bot"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _words(value: Any) -> tuple[str, ...]:
    return tuple(word for word in value if isinstance(word, str)) if isinstance(value, list | tuple) else ()


def _is_enabled(value: Any) -> bool:
    return str(value).strip().lower() not in ("false", "0")


class WebhookSubscription(BaseModel):
    """A registered webhook.

    In an answer everything except its ID may be missing, null or of another type: one odd webhook must not hide the
    others.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    id: UUID
    name: Annotated[str, BeforeValidator(_text)] = ""
    url: Annotated[str, BeforeValidator(_text)] = ""
    events: Annotated[tuple[str, ...], BeforeValidator(_words)] = ()
    enabled: Annotated[bool, BeforeValidator(_is_enabled)] = True
    """Also True if the answer does not say."""

    def reports_livestreams(self) -> bool:
        """Return whether the webhook reports changes of livestreams."""
        return self.enabled and STATUS_EVENT in self.events


@dataclass(frozen=True, slots=True)
class SubscriptionResult:
    """A webhook, and whether it had to be registered or repaired."""

    webhook: WebhookSubscription
    changed: bool


class WebhookSubscriptions:
    """One app's webhooks. Methods do not retry; they raise a RealtimeKitError if a request fails."""

    def __init__(self, http: HttpClient, *, account_id: str, app_id: str) -> None:
        self._http = http
        self._path = f"{app_path(account_id, app_id)}/webhooks"

    async def list_all(self) -> list[WebhookSubscription]:
        """Return all the app's webhooks, including those that other programs have registered.

        Entries without an ID are left out, because the bot could not change or remove them.
        """
        answer = await exchange(self._http, "GET", self._path)
        listed = parse_list(answer.status, answer.headers, answer.body)[0] or []
        webhooks = [_readable(entry) for entry in listed] if isinstance(listed, list) else []
        readable = [webhook for webhook in webhooks if webhook is not None]
        if listed and not readable:
            raise InvalidResponse(detail="no list of webhooks")
        return readable

    async def add(self, url: str) -> SubscriptionResult:
        """Subscribe the URL to all of LIVESTREAM_EVENTS, by a new webhook or by updating an existing one."""
        present = [webhook for webhook in await self.list_all() if same_address(webhook.url, url)]
        if not present:
            wanted = {"name": _NAME, "url": url, "events": LIVESTREAM_EVENTS, "enabled": True}
            return SubscriptionResult(_webhook(await self._send("POST", "", wanted)), changed=True)
        # Update the webhook that needs the least change; a second one for the same URL would send everything twice.
        best = max(present, key=lambda webhook: (webhook.enabled, len({*LIVESTREAM_EVENTS} & {*webhook.events})))
        if best.enabled and {*LIVESTREAM_EVENTS} <= {*best.events}:
            return SubscriptionResult(best, changed=False)
        repaired = {"enabled": True, "events": list(dict.fromkeys([*best.events, *LIVESTREAM_EVENTS]))}
        return SubscriptionResult(_webhook(await self._send("PATCH", f"/{best.id}", repaired)), changed=True)

    async def remove(self, webhook_id: UUID) -> bool:
        """Remove a webhook; return False if it did not exist."""
        answer = await exchange(self._http, "DELETE", f"{self._path}/{webhook_id}")
        _data(answer)
        return answer.status != 404

    async def _send(self, method: str, path: str, body: Any) -> Any:
        return _data(await exchange(self._http, method, self._path + path, body))


def same_address(one: str, other: str) -> bool:
    """Return whether two URLs are the same except for trailing slashes."""
    return one.rstrip("/") == other.rstrip("/")


def _data(answer: HttpResponse) -> Any:
    return parse_data(answer.status, answer.headers, answer.body)


def _webhook(data: Any) -> WebhookSubscription:
    webhook = _readable(data)
    if webhook is None:
        raise InvalidResponse(detail="no webhook in the answer")
    return webhook


def _readable(data: Any) -> WebhookSubscription | None:
    """Return the webhook in this part of an answer, or None if there is none with an ID."""
    try:
        return WebhookSubscription.model_validate(data)
    except ValidationError:
        return None
