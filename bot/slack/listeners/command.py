"""The slash command, `/livestream ...`."""

from slack_bolt.async_app import AsyncApp

from bot.errors import NotInDirectMessages
from bot.slack.command_parser import (
    FollowMeeting,
    Help,
    ListFollows,
    LookUp,
    Mistake,
    UnfollowMeeting,
    WhichOne,
    read_command,
)
from bot.slack.dependencies import Services
from bot.slack.handlers import listener
from bot.slack.listeners.follow import follow
from bot.slack.listeners.list_follows import followed
from bot.slack.listeners.unfollow import unfollow
from bot.slack.messages import follow_replies, lookup_card
from bot.slack.messages.message import Message
from bot.slack.payloads import Request
from bot.wording import Wording


def register(app: AsyncApp, services: Services) -> None:
    """Register the command, whose answers only the person who typed it sees."""
    app.command(services.wording().command)(listener(services, ask))


async def ask(services: Services, request: Request) -> None:
    """Carry out the command, or explain how to use it."""
    command = read_command(request.text, services.wording().command)
    match command:
        case FollowMeeting(meeting_id, volume):
            await follow(services, request, meeting_id, volume)
        case UnfollowMeeting(meeting_id):
            await unfollow(services, request, meeting_id)
        case ListFollows():
            await followed(services, request)
        case LookUp(meeting_id):
            async with services.replies.note_if_slow(request):
                lookup = await services.look_up(meeting_id)
            await services.replies.answer(request, lookup_card.card(lookup, is_direct=request.is_direct))
        case Mistake(is_for_channels=True) if request.is_direct:
            raise NotInDirectMessages
        case _:
            message = _what_instead(command, services.wording(), is_direct=request.is_direct)
            await services.replies.answer(request, message)


def _what_instead(command: Help | WhichOne | Mistake, wording: Wording, *, is_direct: bool) -> Message:
    match command:
        case Help():
            return follow_replies.usage(wording, is_direct=is_direct)
        case WhichOne(meeting_ids):
            return lookup_card.which_one(meeting_ids)
    return lookup_card.note(command.sentence)
