"""The Events API: the app's subscriptions, and Slack's retries."""

import asyncio
import secrets
from typing import Any

from sandbox.clock import Clock
from sandbox.slack.credentials import Credentials
from sandbox.slack.delivery import Courier, Delivery, Envelope, Outcome, Retry
from sandbox.slack.payloads import event_callback
from sandbox.slack.seed import BOT_EVENTS, AppIdentity
from sandbox.slack.workspace import Workspace

# "Nearly immediately", after a minute, after five minutes. Source: "Error handling" on Slack's Events API page.
RETRIES_AFTER = (0.0, 60.0, 300.0)


class Subscriptions:
    """Sends events to the app. `types` contains those that the app has subscribed to.

    A failed delivery is retried three times, with the same `event_id`. While the app has no request URL and no
    WebSocket, nothing is sent or logged, but the retries' time passes.
    """

    def __init__(
        self, workspace: Workspace, app: AppIdentity, credentials: Credentials, courier: Courier, clock: Clock
    ) -> None:
        self.types = set(BOT_EVENTS)
        self._workspace = workspace
        self._app = app
        self._credentials = credentials
        self._courier = courier
        self._clock = clock
        self._running: set[asyncio.Task[Delivery]] = set()

    def tell(self, event: dict[str, Any], scope: str | None = None) -> None:
        """Send an event soon, if the app is subscribed to it and has the scope.

        Without a running event loop the event is dropped: no bot can be listening.
        """
        if event["type"] not in self.types or (scope and scope not in self._credentials.bot_scopes):
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        task = loop.create_task(self.deliver(event), name=f"event {event['type']}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def deliver(self, event: dict[str, Any], **outer: Any) -> Delivery:
        """Deliver an event, subscribed or not, until it is acknowledged or no retries are left.

        `outer` replaces fields around the event, such as `team_id` or `authorizations`.
        """
        now = self._clock.now()
        event = {**event, "event_ts": self._workspace.next_ts(now)}
        event_id = f"Ev{secrets.token_hex(5).upper()}"
        payload = event_callback(self._workspace, self._app, event, event_id, int(now)) | outer
        delivery = await self._attempt(payload, None)
        for number, seconds in enumerate(RETRIES_AFTER, start=1):
            if delivery.acked:
                break
            await self._clock.sleep(seconds)
            delivery = await self._attempt(payload, Retry(number, _reason(delivery)))
        return delivery

    async def close(self) -> None:
        """Cancel pending deliveries."""
        tasks = tuple(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _attempt(self, payload: dict[str, Any], retry: Retry | None) -> Delivery:
        if not self._courier.reaches_somebody:
            return Delivery(Outcome.DISPATCH_FAILED, 0.0)
        name = f"event {payload['event']['type']}"
        return await self._courier.deliver(Envelope.EVENTS_API, name, payload, retry)


def _reason(failed: Delivery) -> str:
    """Return Slack's reason for a retry."""
    if failed.outcome is Outcome.OPERATION_TIMEOUT:
        return "http_timeout"
    return "connection_failed" if failed.status is None else "http_error"
