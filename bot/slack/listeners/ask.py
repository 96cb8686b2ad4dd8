"""Someone types `/livestream ...`."""

from slack_bolt.async_app import AsyncApp

from bot.slack import cards
from bot.slack.meeting_ids import NoMeeting, OneMeeting, SeveralMeetings, read_meeting_id
from bot.slack.messages import Message
from bot.slack.requests import Request
from bot.slack.serve import listener
from bot.slack.services import Services

COMMAND = "/livestream"


def register(app: AsyncApp, services: Services) -> None:
    """Answer the command, to the person who typed it alone."""
    app.command(COMMAND)(listener(services, ask))


async def ask(services: Services, request: Request) -> None:
    """Tell of the meeting that they mean, or how to name one."""
    await services.replies.answer(request, await _answer(services, request.text))


async def _answer(services: Services, text: str) -> Message:
    match read_meeting_id(text):
        case OneMeeting(meeting_id):
            return cards.card(await services.look_up(meeting_id))
        case SeveralMeetings(meeting_ids):
            return cards.which_one(meeting_ids)
        case NoMeeting():
            return cards.usage()
