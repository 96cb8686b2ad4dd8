"""The webhooks that are registered with a RealtimeKit app: which there are, and one more or less of them."""

from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from bot.errors import Malformed
from bot.realtimekit.envelope import data_of, list_of
from bot.realtimekit.transport import Answer, Http, app_path, exchange

EVENTS = ("livestreaming.statusUpdate", "meeting.started", "meeting.ended")
"""What the bot wants to hear. The first tells of LIVE, OFFLINE and IDLE alone; a livestream may begin with its meeting,
as INVOKED, and cannot outlast it, so that the other two are worth a look as well."""
_NAME = "livestream-bot"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _words(value: Any) -> tuple[str, ...]:
    return tuple(word for word in value if isinstance(word, str)) if isinstance(value, list | tuple) else ()


def _is_enabled(value: Any) -> bool:
    return str(value).strip().lower() not in ("false", "0")


class Webhook(BaseModel):
    """A registered webhook. Everything but its id may be missing, null or of another type in an answer: one odd webhook
    must not hide the others."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    id: UUID
    name: Annotated[str, BeforeValidator(_text)] = ""
    url: Annotated[str, BeforeValidator(_text)] = ""
    events: Annotated[tuple[str, ...], BeforeValidator(_words)] = ()
    enabled: Annotated[bool, BeforeValidator(_is_enabled)] = True
    """Also True where the answer doesn't say."""

    def tells_of_livestreams(self) -> bool:
        """Whether a change of a livestream makes it send anything."""
        return self.enabled and EVENTS[0] in self.events


@dataclass(frozen=True, slots=True)
class Added:
    """A webhook, and whether it had to be registered or mended."""

    webhook: Webhook
    changed: bool


class Webhooks:
    """Those of one app. Every method asks once, and raises a child of RealtimeKitError when it gets no answer."""

    def __init__(self, http: Http, *, account_id: str, app_id: str) -> None:
        self._http = http
        self._path = f"{app_path(account_id, app_id)}/webhooks"

    async def all(self) -> list[Webhook]:
        """Return every webhook of the app, also those that other programs have registered.

        Entries without an ID are left out: nothing could be done with them.
        """
        answer = await exchange(self._http, "GET", self._path)
        listed = list_of(answer.status, answer.headers, answer.body)[0] or []
        webhooks = [_readable(entry) for entry in listed] if isinstance(listed, list) else []
        readable = [webhook for webhook in webhooks if webhook is not None]
        if listed and not readable:
            raise Malformed(detail="no list of webhooks")
        return readable

    async def add(self, url: str) -> Added:
        """Have all of EVENTS sent there, by a new webhook or by the one that is there already."""
        present = [webhook for webhook in await self.all() if same_address(webhook.url, url)]
        if not present:
            wanted = {"name": _NAME, "url": url, "events": EVENTS, "enabled": True}
            return Added(_webhook(await self._send("POST", "", wanted)), changed=True)
        # The one that needs the least: two in one place would tell everything twice.
        best = max(present, key=lambda webhook: (webhook.enabled, len({*EVENTS} & {*webhook.events})))
        if best.enabled and {*EVENTS} <= {*best.events}:
            return Added(best, changed=False)
        mended = {"enabled": True, "events": list(dict.fromkeys([*best.events, *EVENTS]))}
        return Added(_webhook(await self._send("PATCH", f"/{best.id}", mended)), changed=True)

    async def remove(self, webhook_id: UUID) -> bool:
        """Take it away; False if there was none."""
        answer = await exchange(self._http, "DELETE", f"{self._path}/{webhook_id}")
        _data(answer)
        return answer.status != 404

    async def _send(self, method: str, path: str, body: Any) -> Any:
        return _data(await exchange(self._http, method, self._path + path, body))


def same_address(one: str, other: str) -> bool:
    """Whether two addresses are one place."""
    return one.rstrip("/") == other.rstrip("/")


def _data(answer: Answer) -> Any:
    return data_of(answer.status, answer.headers, answer.body)


def _webhook(data: Any) -> Webhook:
    webhook = _readable(data)
    if webhook is None:
        raise Malformed(detail="no webhook in the answer")
    return webhook


def _readable(data: Any) -> Webhook | None:
    """Return the webhook in this part of an answer, or None if there is none with an ID."""
    try:
        return Webhook.model_validate(data)
    except ValidationError:
        return None
