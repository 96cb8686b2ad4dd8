"""Who and what a request of the page is about, as far as that person sees it."""

from bot.sandbox.page.refused import Refused
from bot.sandbox.page.views import people, sees_channel
from bot.sandbox.slack import Channel, Message, Slack, User


def person_of(slack: Slack, user: str) -> User:
    """The person of that id. Raises Refused 404."""
    found = next((person for person in people(slack.workspace) if person.id == user), None)
    if found is None:
        raise Refused(404, "There is nobody with this id here.")
    return found


def channel_of(slack: Slack, channel: str, user: str) -> Channel:
    """The channel of that id, if that person sees it. Raises Refused 404."""
    found = slack.workspace.channels.get(channel)
    if found is None or not sees_channel(user, found):
        raise Refused(404, "There is no such channel here.")
    return found


def message_of(slack: Slack, channel: Channel, ts: str, user: str) -> Message:
    """The message of that ts, if that person sees it. Raises Refused 409: it may have been there a moment ago."""
    found = slack.workspace.find(channel.id, ts)
    if found is None or not found.seen_by(user):
        raise Refused(409, "This message is gone.")
    return found
