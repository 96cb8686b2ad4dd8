"""A person's typing and clicking: messages, the app's commands, and Slack's own."""

from sandbox.page.bodies import Click, Typed
from sandbox.page.lookups import channel_of, message_of, person_of
from sandbox.page.moderator import Moderator
from sandbox.page.refused import Refused
from sandbox.slack import SLACKBOT, Channel, Message, Outcome, Slack, User

LONGEST_MESSAGE = 4_000
LONGEST_COMMAND = 12_000


class Composer:
    """Acts for the people at the page. Raises Refused for things that they cannot see or could not have typed."""

    def __init__(self, slack: Slack, moderator: Moderator) -> None:
        self._slack = slack
        self._moderator = moderator

    async def type(self, typed: Typed) -> Outcome:
        """Send a text that was typed; as in Slack, a leading slash makes it a command."""
        person, channel = person_of(self._slack, typed.user), channel_of(self._slack, typed.channel, typed.user)
        is_command = typed.text.startswith("/")
        _check_length(typed.text, LONGEST_COMMAND if is_command else LONGEST_MESSAGE)
        if channel.is_archived:
            raise Refused(409, "This channel is archived, so nothing can be posted in it.")
        thread_ts = self._thread(channel, typed)
        if is_command:
            return await self._command(person, channel, typed.text, thread_ts)
        self._post(channel, person.id, escaped(typed.text.strip()), thread_ts=thread_ts)
        return Outcome.OK

    async def click(self, click: Click) -> Outcome:
        """Click in a message. Raises Refused 409 if the message or its element is gone."""
        person, channel = person_of(self._slack, click.user), channel_of(self._slack, click.channel, click.user)
        message = message_of(self._slack, channel, click.ts, person.id)
        try:
            delivery = await self._slack.click(message, click.action_id, user=click.user, value=click.value)
        except LookupError:
            raise Refused(409, "This button is gone.") from None
        return delivery.outcome

    async def _command(self, person: User, channel: Channel, text: str, thread_ts: str | None) -> Outcome:
        command, _, rest = text.strip().partition(" ")
        if thread_ts is not None:
            self._slackbot(channel, person, f"{command} is not supported in threads. Sorry!", thread_ts)
            return Outcome.OK
        if command in ("/invite", "/remove"):
            self._membership(command, channel, person, rest.strip())
            return Outcome.OK
        return (await self._slack.command(rest.strip(), user=person.id, channel=channel.id, command=command)).outcome

    def _membership(self, command: str, channel: Channel, person: User, name: str) -> None:
        """Run Slack's own `/invite` or `/remove`, which here work only for the bot."""
        bot = self._slack.workspace.users[self._slack.app.user_id]
        if name.lower() not in (f"@{bot.name.lower()}", f"@{bot.real_name.lower()}", f"<@{bot.id.lower()}>"):
            self._slackbot(channel, person, f"Only @{bot.real_name} can be invited and removed in this sandbox.")
        elif channel.is_im:
            self._slackbot(channel, person, f"{command} does not work in a direct message.")
        else:
            try:
                self._moderator.steps[command.removeprefix("/")](channel, person)
            except Refused as refused:
                self._slackbot(channel, person, refused.sentence)

    def _thread(self, channel: Channel, typed: Typed) -> str | None:
        """Return the ts of the thread's first message; a reply to a reply joins its thread."""
        if typed.thread_ts is None:
            return None
        parent = self._slack.workspace.find(channel.id, typed.thread_ts)
        if parent is None or parent.ephemeral_to is not None:
            raise Refused(409, "This thread is gone.")
        return parent.thread_ts or parent.ts

    def _slackbot(self, channel: Channel, person: User, text: str, thread_ts: str | None = None) -> None:
        self._post(channel, SLACKBOT, text, ephemeral_to=person.id, thread_ts=thread_ts)

    def _post(
        self,
        channel: Channel,
        author: str,
        text: str,
        *,
        ephemeral_to: str | None = None,
        thread_ts: str | None = None,
    ) -> None:
        ts = self._slack.workspace.next_ts(self._slack.clock.now())
        message = Message(channel.id, ts, author, text, ephemeral_to=ephemeral_to, thread_ts=thread_ts)
        self._slack.workspace.post(message)


def escaped(text: str) -> str:
    """Escape a typed text as Slack's composer does: Slack's three control characters lose their meaning."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _check_length(text: str, most: int) -> None:
    if not text.strip():
        raise Refused(400, "Nothing was typed.")
    if len(text) > most:
        raise Refused(400, f"That is {len(text):,} characters; Slack takes {most:,}.")
