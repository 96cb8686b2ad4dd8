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
from bot.slack.listeners.follows import follow, list_follows, unfollow
from bot.slack.messages import follow_replies, lookup_card
from bot.slack.payloads import Request


def register(app: AsyncApp, deps: Dependencies) -> None:
    """Register the command, whose answers only the person who typed it sees."""
    app.command(deps.wording().command)(listener(deps, run_command))


async def run_command(deps: Dependencies, request: Request) -> None:
    """Carry out the command, or explain how to use it."""
    command = read_command(request.text, deps.wording().command)
    match command:
        case FollowCommand(meeting_id, level):
            await follow(deps, request, meeting_id, level)
        case UnfollowCommand(meeting_id):
            await unfollow(deps, request, meeting_id)
        case ListFollowsCommand():
            await list_follows(deps, request)
        case LookupCommand(meeting_id):
            async with deps.responder.note_if_slow(request):
                lookup = await deps.look_up(meeting_id)
            await deps.responder.respond(request, lookup_card.lookup_card(lookup, is_direct=request.is_direct))
        case UsageError(is_for_channels=True) if request.is_direct:
            raise ChannelRequired
        case HelpCommand():
            await deps.responder.respond(request, follow_replies.usage(deps.wording(), is_direct=request.is_direct))
        case AmbiguousMeeting(meeting_ids):
            await deps.responder.respond(request, lookup_card.ambiguous(meeting_ids))
        case UsageError(sentence):
            await deps.responder.respond(request, lookup_card.notice(sentence))
