"""The sandbox page's server: its routes and their handlers."""

from dataclasses import replace
from functools import partial
from typing import Any

import yaml
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bot.slack.manifest import manifest_text
from sandbox.connections import Connections
from sandbox.page import views
from sandbox.page.assets import asset
from sandbox.page.bodies import By, Click, Deletion, Held, Nothing, Turned, Typed, read_body
from sandbox.page.composer import Composer
from sandbox.page.dials import Dials
from sandbox.page.drawer import Drawer
from sandbox.page.guard import Guard
from sandbox.page.moderator import Moderator
from sandbox.page.panel import Panel
from sandbox.page.refused import Refused
from sandbox.page.stream import Streams
from sandbox.page.views import BotView
from sandbox.page.webhooks_panel import WebhooksPanel
from sandbox.realtimekit import Call as CloudflareCall
from sandbox.realtimekit import Meeting, RealtimeKit
from sandbox.realtimekit.postman import Delivery
from sandbox.slack import Call as SlackCall
from sandbox.slack import Channel, Event, Message, Slack


class Page:
    """The page's back end. Serve `asgi`; call `close` before the server stops."""

    def __init__(self, slack: Slack, kit: RealtimeKit, bot: BotView, streams: Streams | None = None) -> None:
        self.streams = streams or Streams()
        self.panel = Panel(kit)
        self.dials = Dials(slack, kit, lambda conditions: self.streams.publish("conditions_changed", conditions))
        self.webhooks = WebhooksPanel(kit, lambda webhooks: self.streams.publish("webhooks_changed", webhooks))
        self.drawer = Drawer(lambda call: self.streams.publish("call_logged", call))
        self.moderator = Moderator(slack)
        self.composer = Composer(slack, self.moderator)
        self._slack = slack
        self._kit = kit
        self._bot = bot
        self._command = _command(slack.command_name)
        self._unsubscribe = (slack.events.subscribe(self._on_slack), kit.changes.subscribe(self._on_meeting))
        kit.on_call.append(self._on_call)
        kit.on_delivery.append(self._on_delivery)
        earlier: list[SlackCall | CloudflareCall] = [*slack.calls, *kit.calls]
        for call in sorted(earlier, key=lambda call: call.at):
            self._on_call(call)
        self.asgi = Connections(Guard(self._starlette()))

    def bot_runs(self, *, running: bool) -> None:
        """Notify the open pages whether the bot's process is running."""
        self._bot = replace(self._bot, running=running)
        self.streams.publish("bot_changed", self._bot.to_dict())

    async def close(self) -> None:
        """End the streams, cancel pending steps, and unsubscribe from the sandbox."""
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        if self._on_call in self._kit.on_call:
            self._kit.on_call.remove(self._on_call)
            self._kit.on_delivery.remove(self._on_delivery)
            self.webhooks.close()
        await self.panel.close()
        await self.streams.close()

    # Changes in the sandbox

    def _on_slack(self, event: Event) -> None:
        subject, channels = event.subject, self._slack.workspace.channels
        if isinstance(subject, SlackCall):
            self._on_call(subject)
        elif isinstance(subject, Message | Channel):
            is_for = partial(views.is_for, subject=subject, channels=channels)
            self.streams.publish(event.kind, subject.to_dict(), is_for)

    def _on_meeting(self, meeting: Meeting) -> None:
        self.streams.publish("meeting_changed", views.meeting_view(meeting))
        self.webhooks.look()

    def _on_call(self, call: SlackCall | CloudflareCall) -> None:
        if isinstance(call, SlackCall):
            self.drawer.put(views.slack_call(call, self._slack.clock.speed))
        else:
            self.drawer.put(views.cloudflare_call(call))
            self.webhooks.look()

    def _on_delivery(self, delivery: Delivery) -> None:
        self.drawer.put(views.webhook_call(delivery))

    # Requests from the browser

    def _starlette(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/", self._index),
                Route("/static/{name:path}", self._static),
                Route("/api/state", self._state),
                Route("/api/stream", self._stream),
                Route("/api/messages", self._messages, methods=["POST"]),
                Route("/api/clicks", self._clicks, methods=["POST"]),
                Route("/api/deletions", self._deletions, methods=["POST"]),
                Route("/api/channels/{channel}/{step}", self._channels, methods=["POST"]),
                Route("/api/meetings/{meeting_id}/{step}", self._meetings, methods=["POST"]),
                Route("/api/webhooks", self._webhooks_held, methods=["PUT"]),
                Route("/api/webhooks/{name}", self._webhooks_pressed, methods=["POST"]),
                Route("/api/conditions", self._conditions, methods=["PUT"]),
            ],
            exception_handlers={Refused: _refuse, HTTPException: _not_routed},
        )

    async def _index(self, _: Request) -> Response:
        return asset("index.html")

    async def _static(self, request: Request) -> Response:
        return asset(request.path_params["name"])

    async def _state(self, request: Request) -> Response:
        person = self._person(request)
        workspace = self._slack.workspace
        return _json(
            {
                "me": person,
                "team": {"id": workspace.team.id, "name": workspace.team.name, "domain": workspace.team.domain},
                "users": [user.to_dict() for user in workspace.users.values()],
                "bot_user": self._slack.app.user_id,
                "command": self._command,
                **views.conversations(workspace, person),
                "meetings": [views.meeting_view(meeting) for meeting in self._kit.meetings.values()],
                "webhooks": self.webhooks.to_dict(),
                "conditions": self.dials.to_dict(),
                "calls": list(self.drawer.calls),
                "bot": self._bot.to_dict(),
            }
        )

    async def _stream(self, request: Request) -> Response:
        return self.streams.response(self._person(request))

    async def _messages(self, request: Request) -> Response:
        return _json({"outcome": await self.composer.type(await read_body(request, Typed))})

    async def _clicks(self, request: Request) -> Response:
        return _json({"outcome": await self.composer.click(await read_body(request, Click))})

    async def _deletions(self, request: Request) -> Response:
        self.moderator.delete(await read_body(request, Deletion))
        return _json({})

    async def _channels(self, request: Request) -> Response:
        body = await read_body(request, By)
        self.moderator.press(request.path_params["step"], request.path_params["channel"], body.user)
        return _json({})

    async def _meetings(self, request: Request) -> Response:
        await read_body(request, Nothing)
        meeting = self.panel.press(request.path_params["step"], request.path_params["meeting_id"])
        return _json(views.meeting_view(meeting))

    async def _webhooks_held(self, request: Request) -> Response:
        return _json(self.webhooks.hold(await read_body(request, Held)))

    async def _webhooks_pressed(self, request: Request) -> Response:
        await read_body(request, Nothing)
        return _json(self.webhooks.press(request.path_params["name"]))

    async def _conditions(self, request: Request) -> Response:
        return _json(self.dials.turn(await read_body(request, Turned)))

    def _person(self, request: Request) -> str:
        """Return the requested person, or the first one if the request names no known person."""
        known = [person.id for person in views.people(self._slack.workspace)]
        wanted = request.query_params.get("user")
        return wanted if wanted in known else known[0]


def _command(name: str) -> dict[str, str]:
    """Return the slash command as the app's manifest defines it."""
    [command] = yaml.safe_load(manifest_text("socket", None, name))["features"]["slash_commands"]
    return {"name": command["command"], "usage_hint": command["usage_hint"], "description": command["description"]}


def _json(content: dict[str, Any]) -> Response:
    return JSONResponse(content, headers={"cache-control": "no-store"})


async def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return JSONResponse({"error": error.sentence}, error.status)


async def _not_routed(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": f"{error.detail}."}, error.status_code, headers=error.headers)
