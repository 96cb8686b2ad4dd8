"""The webhooks that are registered with a RealtimeKit app: which there are, and one more or less of them."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from bot.errors import Malformed
from bot.realtimekit.envelope import data_of, list_of
from bot.realtimekit.transport import Answer, Http, app_path, exchange

EVENTS = ("livestreaming.statusUpdate", "meeting.started", "meeting.ended")
"""What the bot wants to hear. The first tells of LIVE, OFFLINE and IDLE alone; a livestream may begin with its meeting,
as INVOKED, and cannot outlast it, so that the other two are worth a look as well."""
_NAME = "livestream-bot"


class Webhook(BaseModel):
    """One that is registered. Everything but its id may be missing in an answer."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    id: UUID
    name: str = ""
    url: str = ""
    events: tuple[str, ...] = ()
    enabled: bool = True

    def tells_of_livestreams(self) -> bool:
        """Whether a change of a livestream makes it send anything."""
        return self.enabled and EVENTS[0] in self.events


_LIST = TypeAdapter(list[Webhook])


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
        """Every one, those of others too."""
        answer = await exchange(self._http, "GET", self._path)
        try:
            return _LIST.validate_python(list_of(answer.status, answer.headers, answer.body)[0] or [])
        except ValidationError:
            raise Malformed(detail="no list of webhooks") from None

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
    try:
        return Webhook.model_validate(data)
    except ValidationError:
        raise Malformed(detail="no webhook in the answer") from None
