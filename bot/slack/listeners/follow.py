"""Someone has a meeting followed: by command, with *Follow here* on an answer, or with *Follow again*."""

from uuid import UUID

from slack_bolt.async_app import AsyncApp

from bot.errors import NotUnderstood
from bot.slack import cards, follow_words
from bot.slack.requests import Request
from bot.slack.serve import listener
from bot.slack.services import Services
from bot.store.tables import Volume


def register(app: AsyncApp, services: Services) -> None:
    """Hear both buttons."""
    for button in (cards.FOLLOW_HERE, cards.FOLLOW_AGAIN):
        app.action(button)(listener(services, follow_here))


async def follow_here(services: Services, request: Request) -> None:
    """Follow the meeting of the message whose button was pressed."""
    if request.meeting_id is None:
        raise NotUnderstood
    await follow(services, request, request.meeting_id)


async def follow(services: Services, request: Request, meeting_id: UUID, volume: Volume | None = None) -> None:
    """Follow it in this channel; the card that all can read now takes the place of a private answer."""
    request.refuse_guests()
    beginning = await services.following.follow(
        request.team_id, request.channel_id, request.user_id, meeting_id, volume
    )
    message = follow_words.begun(beginning, services.permalink, services.wording(), services.access_problem())
    await services.replies.answer(request, message, replace=request.on_private_card)
