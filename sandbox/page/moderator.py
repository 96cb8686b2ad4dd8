"""An admin's actions in a channel: delete messages, invite or remove the bot, archive and unarchive the channel."""

from sandbox.page.bodies import Deletion
from sandbox.page.lookups import channel_of, message_of, person_of
from sandbox.page.refused import Refused
from sandbox.slack import Channel, Message, Slack, User


class Moderator:
    """Acts for the people at the page, who are all admins, and posts each action in the channel.

    Raises Refused: 404 for things that the person cannot see, 409 for impossible actions.
    """

    def __init__(self, slack: Slack) -> None:
        self.steps = {
            "invite": self.invite,
            "remove": self.remove,
            "archive": self.archive,
            "unarchive": self.unarchive,
        }
        self._slack = slack

    def delete(self, deletion: Deletion) -> None:
        """Delete a message by any author; Slack cannot delete ephemeral messages."""
        person = person_of(self._slack, deletion.user)
        channel = channel_of(self._slack, deletion.channel, person.id)
        message = message_of(self._slack, channel, deletion.ts, person.id)
        if message.ephemeral_to is not None:
            raise Refused(409, "Only messages that everyone sees can be deleted.")
        self._slack.delete_message(message)

    def press(self, step: str, channel_id: str, user: str) -> None:
        """Carry out one of `steps`."""
        person = person_of(self._slack, user)
        channel = channel_of(self._slack, channel_id, person.id)
        act = self.steps.get(step)
        if act is None or channel.is_im:
            raise Refused(404, "There is no such action in this channel.")
        if channel.is_archived is not (step == "unarchive"):
            raise Refused(409, f"This channel is {'archived' if channel.is_archived else 'not archived'}.")
        act(channel, person)

    def invite(self, channel: Channel, person: User) -> None:
        """Invite the bot."""
        if channel.has_bot:
            raise Refused(409, f"@{self._bot.real_name} is already in this channel.")
        self._slack.invite_bot(channel.id, by=person.id)
        self._say(channel, self._bot, f"was added to #{channel.name} by <@{person.id}>.")

    def remove(self, channel: Channel, person: User) -> None:
        """Remove the bot."""
        if not channel.has_bot:
            raise Refused(409, f"@{self._bot.real_name} is not in this channel.")
        self._slack.remove_bot(channel.id)
        self._say(channel, self._bot, f"was removed from #{channel.name} by <@{person.id}>.")

    def archive(self, channel: Channel, person: User) -> None:
        """Archive the channel."""
        self._say(channel, person, f"archived #{channel.name}.")
        self._slack.archive(channel.id, by=person.id)

    def unarchive(self, channel: Channel, person: User) -> None:
        """Unarchive the channel."""
        self._slack.unarchive(channel.id, by=person.id)
        self._say(channel, person, f"took #{channel.name} out of the archive.")

    @property
    def _bot(self) -> User:
        return self._slack.workspace.users[self._slack.app.user_id]

    def _say(self, channel: Channel, author: User, text: str) -> None:
        ts = self._slack.workspace.next_ts(self._slack.clock.now())
        self._slack.workspace.post(Message(channel.id, ts, author.id, text))
