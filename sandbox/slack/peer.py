"""The local Slack as a whole, assembled from its parts: the interface for tests and the demo."""

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Any

from starlette.applications import Starlette
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp

from bot.uvicorn_server import listen, serving
from bot.wording import DEFAULT_COMMAND
from sandbox.clock import Clock
from sandbox.connections import Connections
from sandbox.slack.administration import Administration
from sandbox.slack.arguments import Arguments
from sandbox.slack.chat import Chat
from sandbox.slack.credentials import Credentials
from sandbox.slack.delivery import Courier, Delivery
from sandbox.slack.events import Events
from sandbox.slack.faults import ANY_METHOD, Fault, Faults, Late
from sandbox.slack.front import Front
from sandbox.slack.limits import Limits
from sandbox.slack.log import Call, Log, Sent
from sandbox.slack.methods import methods_of
from sandbox.slack.people import People
from sandbox.slack.refusal import RateLimited, Refusal, SoftRefusal
from sandbox.slack.response_urls import ResponseUrls
from sandbox.slack.seed import ANN, GENERAL, AppIdentity, seeded
from sandbox.slack.socket_mode import SocketMode
from sandbox.slack.subscriptions import Subscriptions
from sandbox.slack.watching import first
from sandbox.slack.web_api import WebApi
from sandbox.slack.workspace import Channel, Enterprise, Message, User

BOT_TOKEN = "xoxb-sandbox-bot-token"
APP_TOKEN = "xapp-sandbox-app-token"
SIGNING_SECRET = "sandbox-signing-secret"


class Slack:
    """A local Slack with one workspace and one app, served at `base_url`.

    `events` publishes each change, `limits` has the rate limits, `response_urls` has those issued so far, and
    `unreachable_images` contains URLs that Slack cannot download.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        bot_token: str = BOT_TOKEN,
        app_token: str = APP_TOKEN,
        signing_secret: str = SIGNING_SECRET,
        command: str = DEFAULT_COMMAND,
    ) -> None:
        """`command` is the slash command that the app has registered."""
        self.command_name = command
        self.clock = clock or Clock()
        self.credentials = Credentials(bot_token, app_token, signing_secret)
        self.app = AppIdentity()
        self.events = Events()
        self.workspace = seeded(self.events)
        self.limits = Limits()
        self.unreachable_images: set[str] = set()
        self._log = Log(self.events)
        self._faults = Faults()
        self._front = Front(self._faults, self._log, self.clock)
        self._sockets = SocketMode(self.app.app_id, self.clock, self.events)
        self._courier = Courier(self.credentials, self._sockets, self._log, self.clock)
        self.response_urls = ResponseUrls(self.workspace, self.app.user_id, self._front, self.unreachable_images)
        self._people = People(self.workspace, self.app, self._courier, self.response_urls, self.clock.now, {command})
        self._subscriptions = Subscriptions(self.workspace, self.app, self.credentials, self._courier, self.clock)
        self._admin = Administration(self.workspace, self.app, self.credentials, self._subscriptions)
        self._chat = Chat(self.workspace, self.app, self.credentials, self.clock, self.unreachable_images)
        self.connections_in = Connections(self._starlette())
        self.asgi: ASGIApp = self.connections_in

    def _starlette(self) -> Starlette:
        methods = methods_of(self.workspace, self.app, self._chat, self.credentials, self._open_connection)
        web_api = WebApi(methods, self.credentials, self.limits, self._front, self.workspace)
        return Starlette(
            routes=[
                Route("/api/{method}", web_api.endpoint, methods=["POST"]),
                Route("/commands/{token}", self.response_urls.endpoint, methods=["POST"]),
                Route("/actions/{token}", self.response_urls.endpoint, methods=["POST"]),
                WebSocketRoute("/socket/{ticket}", self._sockets.endpoint),
            ]
        )

    def _open_connection(self, _arguments: Arguments) -> dict[str, Any]:
        return {"url": self.base_url.replace("http", "ws", 1) + self._sockets.issue_ticket()}

    @contextlib.asynccontextmanager
    async def running(self, sock: socket.socket | None = None) -> AsyncIterator["Slack"]:
        """Serve this Slack on a socket (default: a free port) until the block ends."""
        async with serving(self.asgi, sock or listen(), drain_seconds=1) as self.base_url:
            try:
                yield self
            finally:
                await self.close()

    async def close(self) -> None:
        """Drop pending work and events, and close the connections to the bot."""
        await self._front.close()
        await self._subscriptions.close()
        await self._courier.close()

    # Addresses and settings

    @property
    def base_url(self) -> str:
        """The URL of this Slack, with which response_urls and WebSocket URLs begin."""
        return self._people.base_url

    @base_url.setter
    def base_url(self, url: str) -> None:
        self._people.base_url = url

    @property
    def api_url(self) -> str:
        """The base URL for a Web API client, with a trailing slash."""
        return f"{self.base_url}/api/"

    @property
    def request_url(self) -> str | None:
        """The bot's URL for signed requests; None means Socket Mode."""
        return self._courier.request_url

    @request_url.setter
    def request_url(self, url: str | None) -> None:
        self._courier.request_url = url

    @property
    def ack_seconds(self) -> float:
        """The bot's time to acknowledge, in sandbox time, which passes quickly if the clock is fast."""
        return self._courier.ack_seconds

    @ack_seconds.setter
    def ack_seconds(self, seconds: float) -> None:
        self._courier.ack_seconds = seconds

    @property
    def commands(self) -> set[str]:
        """The slash commands that the app has registered."""
        return self._people.commands

    @property
    def subscribed_events(self) -> set[str]:
        """The types of events that the app has subscribed to; others are not sent."""
        return self._subscriptions.types

    @property
    def connections(self) -> int:
        """The number of open Socket Mode connections."""
        return self._sockets.open

    # People's actions

    async def command(
        self, text: str = "", *, user: str = ANN, channel: str = GENERAL, command: str | None = None
    ) -> Delivery:
        """Type a slash command, by default the app's, and wait until the bot acknowledges it or its time is over."""
        return await self._people.command(text, user, channel, command or self.command_name)

    async def click(self, message: Message, action_id: str, *, user: str = ANN, value: str | None = None) -> Delivery:
        """Click a button, or a menu's option `value`. Raises LookupError if it does not exist, or no longer."""
        return await self._people.click(message, action_id, user, value)

    async def shortcut(self, message: Message, callback_id: str, *, user: str = ANN) -> Delivery:
        """Choose a message shortcut."""
        return await self._people.shortcut(message, callback_id, user)

    async def event(self, event: dict[str, Any], **outer: Any) -> Delivery:
        """Deliver an Events API event, subscribed or not, and return the last of up to four attempts.

        `outer` replaces fields around the event, such as `team_id` or `authorizations`.
        """
        return await self._subscriptions.deliver(event, **outer)

    def invite_bot(self, channel: str, by: str = ANN) -> Channel:
        """Invite the bot to a channel, with the event `member_joined_channel`."""
        return self._admin.invite_bot(channel, by)

    def remove_bot(self, channel: str) -> Channel:
        """Remove the bot from a channel."""
        return self._admin.remove_bot(channel)

    def archive(self, channel: str, by: str = ANN) -> Channel:
        """Archive a channel, with the event `channel_archive` or `group_archive`."""
        return self._admin.archive(channel, by)

    def unarchive(self, channel: str, by: str = ANN) -> Channel:
        """Unarchive a channel, with the event `channel_unarchive` or `group_unarchive`."""
        return self._admin.unarchive(channel, by)

    def delete_channel(self, channel: str) -> Channel:
        """Delete a channel and its messages."""
        return self._admin.delete_channel(channel)

    def uninstall(self) -> None:
        """Uninstall the app: send `app_uninstalled` and `tokens_revoked`, then refuse calls with `account_inactive`."""
        self._admin.uninstall()

    def revoke_token(self) -> None:
        """Revoke only the bot token: send `tokens_revoked`, then refuse calls with `token_revoked`."""
        self._admin.revoke_token()

    def change_channel_id(self, old: str, new: str) -> Channel:
        """Give a channel another ID, as when a private channel is shared, with the event `channel_id_changed`."""
        return self._admin.change_channel_id(old, new)

    def open_group_dm(self, members: Sequence[str]) -> Channel:
        """Open a group direct message, to which the bot cannot be invited."""
        return self._admin.open_group_dm(members)

    def open_dm(self, one: str, other: str) -> Channel:
        """Open a direct message between two people, without the bot."""
        return self._admin.open_dm(one, other)

    def add_person(self, user: User, *channels: str) -> User:
        """Add a person to channels; with `user.team_id`, a person of another workspace (Slack Connect)."""
        self.workspace.users[user.id] = user
        for channel in channels:
            place = self.workspace.channels[channel]
            shared = place.is_shared or user.team_id is not None
            self.workspace.put_channel(replace(place, members=place.members | {user.id}, is_shared=shared))
        return user

    def install_org_wide(self, enterprise: Enterprise | None = None) -> Enterprise:
        """Install the app for a whole organization.

        From now on `team` is null in payloads, and `auth.test` names the organization as the team.
        """
        self.workspace.enterprise = enterprise or Enterprise("E0SANDBOX01", "Sandbox organization")
        self.workspace.is_org_wide = True
        return self.workspace.enterprise

    def delete_message(self, message: Message) -> Message:
        """Delete any message, as an admin can."""
        return self.workspace.delete(message)

    # People's view

    def messages(self, channel: str, viewer: str | None = None) -> list[Message]:
        """Return the messages that `viewer` (None: one who sees all) sees in a channel, oldest first, no threads."""
        return self.workspace.messages(channel, viewer)

    def replies(self, message: Message, viewer: str | None = None) -> list[Message]:
        """Return the replies that `viewer` sees in a message's thread, oldest first."""
        return self.workspace.replies(message.channel, message.ts, viewer)

    async def wait_for_message(self, predicate: Callable[[Message], bool], timeout: float = 15) -> Message:  # noqa: ASYNC109
        """Wait for the first matching message, existing or new. Raises TimeoutError after `timeout` real seconds."""

        def find() -> Message | None:
            return next((message for message in self.workspace.every_message() if predicate(message)), None)

        return await first(self.events, find, timeout)

    async def wait_for_connections(self, count: int = 1, timeout: float = 15) -> None:  # noqa: ASYNC109
        """Wait until at least `count` WebSockets take payloads. Raises TimeoutError after `timeout` real seconds."""
        await first(self.events, lambda: self._sockets.ready >= count or None, timeout)

    # Traffic

    @property
    def calls(self) -> deque[Call]:
        """The last calls in both directions, oldest first."""
        return self._log.calls

    @property
    def sent(self) -> deque[Sent]:
        """The last bodies that the bot sent, oldest first, without tokens."""
        return self._log.sent

    def sign(self, body: bytes, timestamp: int | None = None) -> dict[str, str]:
        """Return the signature headers for a request body; `timestamp` is in real epoch seconds (default: now)."""
        return self.credentials.sign(body, timestamp)

    # Faults

    @property
    def scopes(self) -> set[str]:
        """The scopes of the bot token."""
        return self.credentials.bot_scopes

    @scopes.setter
    def scopes(self, scopes: set[str]) -> None:
        self.credentials.bot_scopes = set(scopes)

    @property
    def app_scopes(self) -> set[str]:
        """The scopes of the app-level token."""
        return self.credentials.app_scopes

    @app_scopes.setter
    def app_scopes(self, scopes: set[str]) -> None:
        self.credentials.app_scopes = set(scopes)

    @property
    def honors_client_msg_id(self) -> bool:
        """Whether a repeated `client_msg_id` posts nothing and returns the first message, which is an assumption."""
        return self._chat.honors_client_msg_id

    @honors_client_msg_id.setter
    def honors_client_msg_id(self, honors: bool) -> None:
        self._chat.honors_client_msg_id = honors

    @property
    def fault(self) -> Fault:
        """The fault of all calls until it is set to NONE again."""
        return self._faults.standing

    @fault.setter
    def fault(self, fault: Fault) -> None:
        self._faults.standing = fault

    def rate_limit_next(self, method: str, retry_after: int, times: int = 1) -> None:
        """Answer the next calls of a method (or of RESPONSE_URL) with HTTP 429."""
        self._faults.plan(method, RateLimited(retry_after), times)

    def refuse_next(self, method: str, error: str, times: int = 1, *, soft: bool = False) -> None:
        """Answer the next calls of a method with one of Slack's errors, such as `account_inactive`.

        `soft` is for RESPONSE_URL: HTTP 200 with `"ok": false` instead of an error status.
        """
        self._faults.plan(method, SoftRefusal(error) if soft else Refusal(error), times)

    def refuse(self, method: str, error: str, about: str | None = None, *, soft: bool = False) -> None:
        """Answer all calls of a method (ANY_METHOD: of every method) with an error until `accept`.

        With `about`, a channel or a person, only calls about that one are refused.
        """
        self._faults.plan(method, SoftRefusal(error) if soft else Refusal(error), None, about)

    def refuse_direct_messages(self, user: str, error: str = "messages_tab_disabled") -> None:
        """Refuse every direct message to a person until `accept`."""
        for method in ("conversations.open", "chat.postMessage"):
            self._faults.plan(method, Refusal(error), None, user)

    def accept(self, method: str = ANY_METHOD, about: str | None = None) -> None:
        """Cancel the faults planned by `refuse`, `apply_late` and so on: for a method, a channel or person, or all."""
        self._faults.clear(method, about)

    def apply_late(
        self,
        method: str,
        seconds: float,
        *,
        times: int | None = 1,
        about: str | None = None,
        closes: bool = False,
    ) -> None:
        """Accept the next calls of a method (or of RESPONSE_URL) without answering, and do their work later.

        The work is done `seconds` of sandbox time later, even if the client has gone. The client waits until it gives
        up; with `closes` its connection is cut at once. `times` None: until `accept`.
        """
        self._faults.plan_late(method, Late(seconds, answers=False, closes=closes), times, about)

    def answer_late(self, method: str, seconds: float, *, times: int | None = 1, about: str | None = None) -> None:
        """Do the work of the next calls of a method (or of RESPONSE_URL) at once, but answer late.

        The answer comes `seconds` of sandbox time later. `times` None: until `accept`.
        """
        self._faults.plan_late(method, Late(seconds, answers=True), times, about)

    @property
    def late_work(self) -> int:
        """The number of calls that `apply_late` has accepted and that are not applied yet."""
        return len(self._front.late_work)

    async def all_applied(self) -> None:
        """Wait until all accepted calls have been applied."""
        while self._front.late_work:
            await asyncio.wait(tuple(self._front.late_work))

    def reset_idle_connections(self) -> int:
        """Reset (TCP RST) each HTTP connection that the bot keeps open at its next use; return how many there are.

        The request that meets the reset is not processed.
        """
        return self.connections_in.reset_idle()

    def drop_after_accepting_next(self, method: str, times: int = 1) -> None:
        """Do the work of the next calls of a method (or of RESPONSE_URL), but cut the connection before answering."""
        self._faults.plan_drop(method, times)

    def expire_response_urls(self) -> None:
        """Expire all response_urls issued so far."""
        self.response_urls.expire_all()

    async def disconnect(self, reason: str = "refresh_requested") -> None:
        """Send Socket Mode's `disconnect` to all connections."""
        await self._sockets.disconnect(reason)
