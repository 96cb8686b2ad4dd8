"""The webhooks of the sandbox's RealtimeKit app: registration, signing keys, delivery and faults."""

import contextlib
import dataclasses
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

from sandbox.clock import Clock
from sandbox.realtimekit import events, minting
from sandbox.realtimekit.changes import Changes
from sandbox.realtimekit.events import SENT, Event, Notice
from sandbox.realtimekit.postman import Delivery, Headers, Parcel, Postman
from sandbox.realtimekit.signing import STRANGER, SigningKey, signing_key
from sandbox.realtimekit.state import Meeting


@dataclass(frozen=True)
class Webhook:
    """A URL that receives the events it is subscribed to. Times are epoch seconds."""

    id: str
    name: str
    url: str
    events: tuple[Event, ...]
    enabled: bool
    created_at: float
    updated_at: float


class Webhooks:
    """The webhooks, which report each change of a meeting. Nothing is sent outside `delivering()`.

    Raises KeyError for an unknown webhook.
    """

    def __init__(self, clock: Clock, changes: Changes) -> None:
        self._time = clock
        self._webhooks: dict[str, Webhook] = {}
        self._known: dict[str, Meeting] = {}
        self._key_number = 0
        self._postman = Postman(clock, self._address_of)
        changes.subscribe(self._tell)

    @property
    def webhooks(self) -> Mapping[str, Webhook]:
        """All webhooks by ID."""
        return MappingProxyType(self._webhooks)

    def add_webhook(
        self, url: str, events: Iterable[str] = SENT, name: str = "Livestream bot", *, enabled: bool = True
    ) -> Webhook:
        """Send these events to `url` from now on."""
        now = self._time.now()
        asked = tuple(dict.fromkeys(Event(each) for each in events))
        webhook = Webhook(minting.webhook_id(), name, url, asked, enabled, created_at=now, updated_at=now)
        self._webhooks[webhook.id] = webhook
        return webhook

    def change_webhook(self, webhook_id: str, **fields: Any) -> Webhook:
        """Set fields of a webhook by name: `name`, `url`, `events`, `enabled`."""
        if "events" in fields:
            fields["events"] = tuple(dict.fromkeys(Event(each) for each in fields["events"]))
        webhook = dataclasses.replace(self._webhooks[webhook_id], updated_at=self._time.now(), **fields)
        self._webhooks[webhook_id] = webhook
        return webhook

    def remove_webhook(self, webhook_id: str) -> Webhook:
        """Remove a webhook; even deliveries that wait for a retry are dropped."""
        return self._webhooks.pop(webhook_id)

    def delivering(self) -> contextlib.AbstractAsyncContextManager[None]:
        """Deliver until the block ends, starting with deliveries that have waited for it."""
        return self._postman.delivering()

    async def deliveries_settled(self) -> None:
        """Wait until no delivery is in flight, held back, or waiting for a retry."""
        await self._postman.settled()

    @property
    def deliveries(self) -> deque[Delivery]:
        """The finished deliveries, oldest first."""
        return self._postman.deliveries

    @property
    def on_delivery(self) -> list[Callable[[Delivery], None]]:
        """The listeners to finished deliveries."""
        return self._postman.on_delivery

    @property
    def deliveries_waiting(self) -> int:
        """The number of unfinished deliveries."""
        return self._postman.waiting

    @property
    def webhooks_held(self) -> bool:
        """Whether deliveries are held back; setting it to False releases them."""
        return self._postman.held

    @webhooks_held.setter
    def webhooks_held(self, held: bool) -> None:
        self._postman.held = held

    @property
    def webhook_seconds(self) -> float:
        """A receiver's deadline for its answer, in real seconds."""
        return self._postman.seconds

    @webhook_seconds.setter
    def webhook_seconds(self, seconds: float) -> None:
        self._postman.seconds = seconds

    @property
    def public_key(self) -> str:
        """The key with which receivers verify signatures, in PEM."""
        return self._key.public_pem

    def rotate_key(self) -> None:
        """Sign with a new key from now on, and publish only that one."""
        self._key_number += 1

    def repeat_last_delivery(self, times: int = 1) -> bool:
        """Repeat the last genuine request `times` times, byte for byte; return False if there was none yet."""
        last = self._postman.last
        if last is None:
            return False
        for _ in range(times):
            self._postman.post(last)
        return True

    def forge_delivery(self, meeting_id: str) -> None:
        """Send every webhook for livestreams a claim that the meeting is live, signed with another key."""
        self._announce(events.invented(meeting_id), lambda: signing_key(STRANGER), genuine=False)

    @property
    def _key(self) -> SigningKey:
        return signing_key(self._key_number)

    def _tell(self, meeting: Meeting) -> None:
        before, self._known[meeting.id] = self._known.get(meeting.id), meeting
        for notice in events.notices_of(before, meeting):
            self._announce(notice, lambda: self._key)

    def _announce(self, notice: Notice, key: Callable[[], SigningKey], *, genuine: bool = True) -> None:
        for webhook in self._webhooks.values():
            if webhook.enabled and notice.event in webhook.events:
                headers = partial(_headers, webhook.id, notice.body, key)
                parcel = Parcel(webhook.id, notice.event, notice.meeting_id, notice.body, headers, genuine)
                self._postman.post(parcel)

    def _address_of(self, webhook_id: str) -> str | None:
        webhook = self._webhooks.get(webhook_id)
        return webhook.url if webhook and webhook.enabled else None


def _headers(webhook_id: str, body: bytes, key: Callable[[], SigningKey]) -> Headers:
    """Return the headers of one attempt. A user has reported that `rtk-uuid` changes with each, so it does here."""
    return {
        "content-type": "application/json",
        "rtk-signature": key().sign(body),
        "rtk-uuid": minting.delivery_id(),
        "rtk-webhook-id": webhook_id,
    }
