"""The hands at RealtimeKit's webhooks: hold them back, send the last one again, sign with another key."""

import asyncio
from collections.abc import Callable
from typing import Any

from bot.sandbox.page.bodies import Held
from bot.sandbox.page.refused import Refused
from bot.sandbox.realtimekit import RealtimeKit
from bot.sandbox.realtimekit.postman import Delivery

# Deliveries come in swarms.
SOON_SECONDS = 0.05


class WebhooksPanel:
    """Drives the webhooks, and counts what came of them. Tells `on_change` whenever there is something new to show."""

    def __init__(self, kit: RealtimeKit, on_change: Callable[[dict[str, Any]], None]) -> None:
        self.presses = {"repeat": self.repeat, "rotate": self.rotate}
        self._kit = kit
        self._on_change = on_change
        self._delivered = self._failed = self._rotations = 0
        for delivery in kit.deliveries:
            self._count(delivery)
        kit.on_delivery.append(self._on_delivery)
        self._told = self.to_dict()
        self._look: asyncio.TimerHandle | None = None

    def to_dict(self) -> dict[str, Any]:
        """The webhooks as JSON-compatible values: `addresses` are those that are told of something."""
        return {
            "addresses": sum(webhook.enabled for webhook in self._kit.webhooks.values()),
            "held": self._kit.webhooks_held,
            "delivered": self._delivered,
            "failed": self._failed,
            "waiting": self._kit.deliveries_waiting,
            "rotations": self._rotations,
        }

    def hold(self, held: Held) -> dict[str, Any]:
        """Hold all deliveries back, or let them go."""
        self._kit.webhooks_held = held.held
        return self.look()

    def press(self, name: str) -> dict[str, Any]:
        """Press one of `presses`. Raises Refused: 404 for another one, 409 for what cannot be done."""
        act = self.presses.get(name)
        if act is None:
            raise Refused(404, "There is no such button for webhooks.")
        act()
        return self.look()

    def repeat(self) -> None:
        """Send the last delivery once more."""
        if not self._kit.repeat_last_delivery():
            raise Refused(409, "No webhook was sent yet.")

    def rotate(self) -> None:
        """Sign with another key from now on."""
        self._kit.rotate_key()
        self._rotations += 1

    def look(self) -> dict[str, Any]:
        """How it is now; told to `on_change` unless it was told before."""
        now = self.to_dict()
        if now != self._told:
            self._told = now
            self._on_change(now)
        return now

    def close(self) -> None:
        """Count no more."""
        self._kit.on_delivery.remove(self._on_delivery)
        if self._look is not None:
            self._look.cancel()

    def _on_delivery(self, delivery: Delivery) -> None:
        self._count(delivery)
        if self._look is None:
            self._look = asyncio.get_running_loop().call_later(SOON_SECONDS, self._look_now)

    def _look_now(self) -> None:
        self._look = None
        self.look()

    def _count(self, delivery: Delivery) -> None:
        self._delivered += delivery.delivered
        self._failed += not delivery.delivered
