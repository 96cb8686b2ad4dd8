"""The `chat.*` methods of the Web API."""

from collections.abc import Collection
from typing import Any

from sandbox.clock import Clock
from sandbox.slack.arguments import Arguments
from sandbox.slack.content import Content, read_content
from sandbox.slack.conversations import existing, writable
from sandbox.slack.credentials import Credentials
from sandbox.slack.payloads import message_payload
from sandbox.slack.refusal import Refusal
from sandbox.slack.seed import AppIdentity
from sandbox.slack.workspace import Message, Workspace

Answer = dict[str, Any]

MOST_CHARACTERS_OF_UPDATE = 4_000


class Chat:
    """Posts, edits and deletes messages on behalf of the bot.

    `honors_client_msg_id`: for a repeated `client_msg_id` Slack documents only two errors, for when the first message
    or its channel is gone. Otherwise, by assumption, the repeat posts nothing and returns the first message. If False,
    the ID is ignored.
    """

    def __init__(
        self,
        workspace: Workspace,
        app: AppIdentity,
        credentials: Credentials,
        clock: Clock,
        unreachable: Collection[str],
    ) -> None:
        self.honors_client_msg_id = True
        self._workspace = workspace
        self._app = app
        self._credentials = credentials
        self._clock = clock
        self._unreachable = unreachable

    def post_message(self, arguments: Arguments) -> Answer:
        """Run `chat.postMessage`."""
        channel = writable(self._workspace, arguments.text("channel"), self._credentials.bot_scopes)
        content = read_content(arguments.values, self._unreachable)
        client_msg_id = arguments.text("client_msg_id") or None
        message = self._already_posted(client_msg_id)
        if message is None:
            thread_ts = self._thread(channel.id, arguments.text("thread_ts"))
            broadcast = thread_ts is not None and arguments.flag("reply_broadcast")
            message = self._post(
                channel.id, content, thread_ts=thread_ts, is_broadcast=broadcast, client_msg_id=client_msg_id
            )
        return {
            "channel": channel.id,
            "ts": message.ts,
            "message": message_payload(message, self._workspace, self._app),
        }

    def post_ephemeral(self, arguments: Arguments) -> Answer:
        """Run `chat.postEphemeral`."""
        channel = writable(self._workspace, arguments.text("channel"), self._credentials.bot_scopes)
        user = arguments.text("user")
        if user not in channel.members:
            raise Refusal("user_not_in_channel")
        content = read_content(arguments.values, self._unreachable)
        thread_ts = self._thread(channel.id, arguments.text("thread_ts"))
        return {"message_ts": self._post(channel.id, content, ephemeral_to=user, thread_ts=thread_ts).ts}

    def update(self, arguments: Arguments) -> Answer:
        """Run `chat.update`; without blocks in the call, the message loses its blocks."""
        message = self._own(arguments, refusal="cant_update_message")
        if self._workspace.channels[message.channel].is_archived:
            raise Refusal("is_inactive")
        content = read_content(arguments.values, self._unreachable)
        if len(content.text) > MOST_CHARACTERS_OF_UPDATE:
            raise Refusal("msg_too_long")
        edited = self._workspace.next_ts(self._clock.now())
        message = self._workspace.edit(message, content.text, content.blocks, edited)
        payload = message_payload(message, self._workspace, self._app)
        return {"channel": message.channel, "ts": message.ts, "text": message.text, "message": payload}

    def delete(self, arguments: Arguments) -> Answer:
        """Run `chat.delete`."""
        message = self._workspace.delete(self._own(arguments, refusal="cant_delete_message"))
        return {"channel": message.channel, "ts": message.ts}

    def _post(self, channel: str, content: Content, **fields: Any) -> Message:
        ts = self._workspace.next_ts(self._clock.now())
        return self._workspace.post(Message(channel, ts, self._app.user_id, content.text, content.blocks, **fields))

    def _already_posted(self, client_msg_id: str | None) -> Message | None:
        """Return the message posted with this ID, if any. Raises Refusal if it or its channel is gone."""
        if client_msg_id is None or not self.honors_client_msg_id:
            return None
        message = self._workspace.find_client_msg_id(client_msg_id)
        if message is not None and self._workspace.channels[message.channel].is_deleted:
            raise Refusal("duplicate_channel_not_found")
        if message is not None and message.deleted:
            raise Refusal("duplicate_message_not_found")
        return message

    def _thread(self, channel: str, thread_ts: str) -> str | None:
        """Return the ts of the thread's first message; a reply to a reply joins the same thread."""
        if not thread_ts:
            return None
        parent = self._workspace.find(channel, thread_ts)
        if parent is None or parent.ephemeral_to is not None:
            raise Refusal("thread_not_found")
        return parent.thread_ts or parent.ts

    def _own(self, arguments: Arguments, refusal: str) -> Message:
        channel = existing(self._workspace, arguments.text("channel"))
        message = self._workspace.find(channel.id, arguments.text("ts"))
        if message is None or message.deleted or message.ephemeral_to is not None:
            raise Refusal("message_not_found")
        if message.author != self._app.user_id:
            raise Refusal(refusal)
        return message
