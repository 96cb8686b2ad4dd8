"""Lookups of the people, channels and messages in a request, limited to what the person can see."""

from sandbox.page.refused import Refused
from sandbox.page.views import people, sees_channel
from sandbox.slack import Channel, Message, Slack, User


def person_of(slack: Slack, user: str) -> User:
    """Return the person with this ID. Raises Refused 404."""
    found = next((person for person in people(slack.workspace) if person.id == user), None)
    if found is None:
        raise Refused(404, "There is no person with this ID here.")
    return found


def channel_of(slack: Slack, channel: str, user: str) -> Channel:
    """Return the channel with this ID, if the person can see it. Raises Refused 404."""
    found = slack.workspace.channels.get(channel)
    if found is None or not sees_channel(user, found):
        raise Refused(404, "There is no such channel here.")
    return found


def message_of(slack: Slack, channel: Channel, ts: str, user: str) -> Message:
    """Return the message with this ts, if the person can see it.

    Raises Refused 409, not 404: the message may have existed a moment ago.
    """
    found = slack.workspace.find(channel.id, ts)
    if found is None or not found.seen_by(user):
        raise Refused(409, "This message is gone.")
    return found
