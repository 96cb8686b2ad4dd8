"""The sandbox's RealtimeKit, assembled from its parts."""

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import ASGIApp

from sandbox.clock import Clock
from sandbox.connections import Connections
from sandbox.realtimekit import api, webhooks_api
from sandbox.realtimekit.conditions import Conditions
from sandbox.realtimekit.gateway import Gateway, Tenant
from sandbox.realtimekit.studio import Studio
from sandbox.realtimekit.webhooks import Webhooks

ACCOUNT_ID = "5a4d0b0c0a7e4f1c9d2e3f4a5b6c7d8e"
APP_ID = "sandbox-realtimekit-app"
API_TOKEN = "cf-sandbox-api-token-of-the-livestream-bot"


class RealtimeKit(Studio, Conditions, Webhooks):
    """A local Cloudflare RealtimeKit: meetings, conditions, webhooks, and the ASGI app that answers requests.

    Serve `asgi` with `bot.uvicorn_server.serving`; it needs no lifespan. Webhooks are sent only inside
    `async with kit.delivering():`.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        account_id: str = ACCOUNT_ID,
        app_id: str = APP_ID,
        api_token: str = API_TOKEN,
    ) -> None:
        Studio.__init__(self, clock or Clock())
        Conditions.__init__(self)
        Webhooks.__init__(self, self.clock, self.changes)
        self.tenant = Tenant(account_id, app_id, api_token)
        self.connections_in = Connections(
            Starlette(
                routes=[*api.Api(self, self).routes(), *webhooks_api.WebhooksApi(self).routes()],
                middleware=[Middleware(Gateway, tenant=self.tenant, conditions=self, clock=self.clock)],
                exception_handlers=api.ERRORS,
            )
        )
        self.asgi: ASGIApp = self.connections_in

    def reset_idle_connections(self) -> int:
        """Reset (TCP RST) each HTTP connection that a client keeps open at its next use; return how many there are."""
        return self.connections_in.reset_idle()

    @property
    def account_id(self) -> str:
        """The ID of the only account."""
        return self.tenant.account_id

    @property
    def app_id(self) -> str:
        """The ID of the only RealtimeKit app."""
        return self.tenant.app_id

    @property
    def api_token(self) -> str:
        """The only valid API token."""
        return self.tenant.api_token
