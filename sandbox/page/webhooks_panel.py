"""The panel for RealtimeKit's webhooks: hold them back, repeat the last one, rotate the signing key."""

import asyncio
from collections.abc import Callable
from typing import Any

from sandbox.page.bodies import Held
from sandbox.page.refused import Refused
from sandbox.realtimekit import RealtimeKit
from sandbox.realtimekit.postman import Delivery

# Deliveries come in bursts, so their changes are published together.
SOON_SECONDS = 0.05


class WebhooksPanel:
    """Controls the webhooks and counts their outcomes. Calls `on_change` whenever the view changes."""

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
        """Return the webhooks as JSON-compatible values; `addresses` is the number of enabled ones."""
        return {
            "addresses": sum(webhook.enabled for webhook in self._kit.webhooks.values()),
            "held": self._kit.webhooks_held,
            "delivered": self._delivered,
            "failed": self._failed,
            "waiting": self._kit.deliveries_waiting,
            "rotations": self._rotations,
        }

    def hold(self, held: Held) -> dict[str, Any]:
        """Hold all deliveries back, or release them."""
        self._kit.webhooks_held = held.held
        return self.look()

    def press(self, name: str) -> dict[str, Any]:
        """Press one of `presses`. Raises Refused: 404 for an unknown button, 409 for an impossible action."""
        act = self.presses.get(name)
        if act is None:
            raise Refused(404, "There is no such button for webhooks.")
        act()
        return self.look()

    def repeat(self) -> None:
        """Repeat the last delivery."""
        if not self._kit.repeat_last_delivery():
            raise Refused(409, "No webhook was sent yet.")

    def rotate(self) -> None:
        """Rotate the signing key."""
        self._kit.rotate_key()
        self._rotations += 1

    def look(self) -> dict[str, Any]:
        """Return the current view, and call `on_change` if it has changed."""
        now = self.to_dict()
        if now != self._told:
            self._told = now
            self._on_change(now)
        return now

    def close(self) -> None:
        """Stop counting deliveries."""
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
