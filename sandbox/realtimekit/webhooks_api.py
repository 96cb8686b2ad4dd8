"""The endpoints for webhooks and for the public key of their signatures."""

from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field, StrictBool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.realtimekit.api import RefusedError, uuid_in
from sandbox.realtimekit.envelopes import iso, ok
from sandbox.realtimekit.events import Event
from sandbox.realtimekit.faults import json_response
from sandbox.realtimekit.gateway import KEY_PATH, PREFIX
from sandbox.realtimekit.webhooks import Webhook, Webhooks


def _web_address(text: str) -> str:
    address = urlsplit(text)
    if address.scheme not in ("http", "https") or not address.hostname:
        raise ValueError("must be a URL")
    return text


Address = Annotated[str, AfterValidator(_web_address)]


class WholeWebhook(BaseModel):
    """The body of POST and PUT."""

    name: str = Field(min_length=1)
    url: Address
    events: list[Event] = Field(min_length=1)
    enabled: StrictBool = True


class SomeOfAWebhook(WholeWebhook):
    """The body of PATCH: omitted fields keep their values."""

    name: str = Field("", min_length=1)
    url: Address = ""
    events: list[Event] = Field([], min_length=1)


class WebhooksApi:
    """The endpoints for a kit's webhooks."""

    def __init__(self, webhooks: Webhooks) -> None:
        self._webhooks = webhooks

    def routes(self) -> list[Route]:
        """Return the routes of the endpoints."""
        all_of_them, one = f"{PREFIX}/webhooks", f"{PREFIX}/webhooks/{{webhook_id}}"
        return [
            Route(all_of_them, self.every, methods=["GET"]),
            Route(all_of_them, self.add, methods=["POST"]),
            Route(one, self.get, methods=["GET"]),
            Route(one, self.edit, methods=["PATCH"]),
            Route(one, self.replace, methods=["PUT"]),
            Route(one, self.remove, methods=["DELETE"]),
            Route(KEY_PATH, self.key, methods=["GET"]),
        ]

    async def every(self, _: Request) -> Response:
        """Answer with all webhooks."""
        return json_response(ok([view(webhook) for webhook in self._webhooks.webhooks.values()]))

    async def add(self, request: Request) -> Response:
        """Add a webhook."""
        body = WholeWebhook.model_validate_json(await request.body())
        webhook = self._webhooks.add_webhook(body.url, body.events, body.name, enabled=body.enabled)
        return json_response(ok(view(webhook), 201))

    async def get(self, request: Request) -> Response:
        """Answer with one webhook."""
        return json_response(ok(view(self._webhook(request))))

    async def edit(self, request: Request) -> Response:
        """Change the given fields of a webhook."""
        webhook = self._webhook(request)
        body = SomeOfAWebhook.model_validate_json(await request.body())
        return self._changed(webhook, body.model_dump(exclude_unset=True))

    async def replace(self, request: Request) -> Response:
        """Replace all fields of a webhook except its ID."""
        webhook = self._webhook(request)
        body = WholeWebhook.model_validate_json(await request.body())
        return self._changed(webhook, body.model_dump())

    async def remove(self, request: Request) -> Response:
        """Delete a webhook, and answer with it."""
        webhook = self._webhooks.remove_webhook(self._webhook(request).id)
        return json_response(ok(view(webhook)))

    async def key(self, _: Request) -> Response:
        """Answer with the key with which receivers verify signatures."""
        answer = ok({"publicKey": self._webhooks.public_key})
        answer.body["message"] = ""
        return json_response(answer)

    def _changed(self, webhook: Webhook, fields: dict[str, Any]) -> Response:
        return json_response(ok(view(self._webhooks.change_webhook(webhook.id, **fields))))

    def _webhook(self, request: Request) -> Webhook:
        webhook = self._webhooks.webhooks.get(uuid_in(request, "webhook_id"))
        if webhook is None:
            raise RefusedError(404, "Webhook not found")
        return webhook


def view(webhook: Webhook) -> dict[str, Any]:
    """Return a webhook as Cloudflare sends it."""
    return {
        "id": webhook.id,
        "name": webhook.name,
        "url": webhook.url,
        "events": list(webhook.events),
        "enabled": webhook.enabled,
        "created_at": iso(webhook.created_at),
        "updated_at": iso(webhook.updated_at),
    }
