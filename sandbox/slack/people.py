"""People's commands, clicks and shortcuts, and what they see if the bot does not answer."""

import secrets
from collections.abc import Callable

from sandbox.slack.actions import action_of
from sandbox.slack.content import read_content
from sandbox.slack.delivery import Courier, Delivery, Envelope, Outcome
from sandbox.slack.payloads import Occasion, block_actions, message_shortcut, slash_command
from sandbox.slack.refusal import Refusal
from sandbox.slack.response_urls import ResponseUrls
from sandbox.slack.seed import AppIdentity
from sandbox.slack.workspace import SLACKBOT, Message, Workspace

Now = Callable[[], float]


class People:
    """Acts for the people of the workspace. `commands` contains the app's registered slash commands."""

    def __init__(
        self,
        workspace: Workspace,
        app: AppIdentity,
        courier: Courier,
        response_urls: ResponseUrls,
        now: Now,
        commands: set[str],
    ) -> None:
        self.base_url = ""
        self.commands = commands
        self._workspace = workspace
        self._app = app
        self._courier = courier
        self._response_urls = response_urls
        self._now = now

    async def command(self, text: str, user: str, channel: str, command: str) -> Delivery:
        """Type a slash command."""
        if command not in self.commands:
            self._slackbot(channel, user, f"{command} is not a valid command.")
            return Delivery(Outcome.UNKNOWN_COMMAND, 0.0)
        occasion = self._occasion(user, channel, "commands")
        payload = slash_command(self._workspace, self._app, occasion, command, text)
        delivery = await self._courier.deliver(Envelope.SLASH_COMMANDS, command, payload)
        if delivery.acked:
            self._show_answer(delivery, occasion)
        else:
            self._slackbot(channel, user, f'{command} failed with the error "{delivery.outcome.value}"')
        return delivery

    async def click(self, message: Message, action_id: str, user: str, value: str | None) -> Delivery:
        """Click an element of the message's current version. Raises LookupError if it has no such element."""
        message = self._current(message)
        action = action_of(message, action_id, value, self._ts())
        occasion = self._occasion(user, message.channel, "actions", message)
        payload = block_actions(self._workspace, self._app, occasion, message, action)
        return await self._courier.deliver(Envelope.INTERACTIVE, f"block_actions {action_id}", payload)

    async def shortcut(self, message: Message, callback_id: str, user: str) -> Delivery:
        """Choose a shortcut from the menu of a message."""
        message = self._current(message)
        occasion = self._occasion(user, message.channel, "actions", message)
        payload = message_shortcut(self._workspace, self._app, occasion, message, callback_id, self._ts())
        return await self._courier.deliver(Envelope.INTERACTIVE, f"message_action {callback_id}", payload)

    def _occasion(self, user: str, channel: str, kind: str, original: Message | None = None) -> Occasion:
        trigger_id = f"{secrets.randbelow(10**13)}.{secrets.randbelow(10**12)}.{secrets.token_hex(16)}"
        path = self._response_urls.issue(trigger_id, kind, channel, user, original)
        people, channels = self._workspace.users, self._workspace.channels
        return Occasion(people[user], channels[channel], trigger_id, f"{self.base_url}{path}")

    def _current(self, message: Message) -> Message:
        current = self._workspace.find(message.channel, message.ts)
        if current is None or current.deleted:
            raise LookupError(f"the message {message.ts} is gone")
        return current

    def _show_answer(self, delivery: Delivery, occasion: Occasion) -> None:
        """Show the message in an acknowledgement, if there is a valid one."""
        body = delivery.body or {}
        try:
            content = read_content(body)
        except Refusal:
            return
        in_channel = body.get("response_type") == "in_channel"
        only_to = None if in_channel else occasion.user.id
        self._response_urls.say(occasion.trigger_id, occasion.channel.id, content, only_to)

    def _slackbot(self, channel: str, user: str, text: str) -> None:
        self._workspace.post(Message(channel, self._ts(), SLACKBOT, text, ephemeral_to=user))

    def _ts(self) -> str:
        return self._workspace.next_ts(self._now())
