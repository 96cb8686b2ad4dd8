"""The slash command, `/livestream ...`."""

from slack_bolt.async_app import AsyncApp

from bot.errors import ChannelRequired
from bot.slack.command_parser import (
    AmbiguousMeeting,
    FollowCommand,
    HelpCommand,
    ListFollowsCommand,
    LookupCommand,
    UnfollowCommand,
    UsageError,
    read_command,
)
from bot.slack.dependencies import Dependencies
from bot.slack.handlers import listener
from bot.slack.listeners.follow import follow
from bot.slack.listeners.list_follows import list_follows
from bot.slack.listeners.unfollow import unfollow
from bot.slack.messages import follow_replies, lookup_card
from bot.slack.messages.message import Message
from bot.slack.payloads import Request
from bot.wording import Wording


def register(app: AsyncApp, services: Dependencies) -> None:
    """Register the command, whose answers only the person who typed it sees."""
    app.command(services.wording().command)(listener(services, run_command))


async def run_command(services: Dependencies, request: Request) -> None:
    """Carry out the command, or explain how to use it."""
    command = read_command(request.text, services.wording().command)
    match command:
        case FollowCommand(meeting_id, level):
            await follow(services, request, meeting_id, level)
        case UnfollowCommand(meeting_id):
            await unfollow(services, request, meeting_id)
        case ListFollowsCommand():
            await list_follows(services, request)
        case LookupCommand(meeting_id):
            async with services.replies.note_if_slow(request):
                lookup = await services.look_up(meeting_id)
            await services.replies.respond(request, lookup_card.lookup_card(lookup, is_direct=request.is_direct))
        case UsageError(is_for_channels=True) if request.is_direct:
            raise ChannelRequired
        case _:
            message = _what_instead(command, services.wording(), is_direct=request.is_direct)
            await services.replies.respond(request, message)


def _what_instead(
    command: HelpCommand | AmbiguousMeeting | UsageError, wording: Wording, *, is_direct: bool
) -> Message:
    match command:
        case HelpCommand():
            return follow_replies.usage(wording, is_direct=is_direct)
        case AmbiguousMeeting(meeting_ids):
            return lookup_card.ambiguous(meeting_ids)
    return lookup_card.notice(command.sentence)
