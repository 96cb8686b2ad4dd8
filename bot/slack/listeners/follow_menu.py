"""The menu on a followed meeting's card."""

from uuid import UUID

from slack_bolt.async_app import AsyncApp

from bot.domain.follow import Level
from bot.errors import InvalidInteraction
from bot.slack.dependencies import Dependencies
from bot.slack.handlers import listener
from bot.slack.listeners.unfollow import unfollow
from bot.slack.messages import follow_replies, lookup_card
from bot.slack.messages.message import MenuAction
from bot.slack.payloads import Request


def register(app: AsyncApp, services: Dependencies) -> None:
    """Register the menu."""
    app.action(lookup_card.FOLLOW_MENU)(listener(services, choose))


async def choose(services: Dependencies, request: Request) -> None:
    """Carry out the choice and confirm it privately; the card changes for everyone."""
    meeting_id, choice = request.meeting_id, request.card.choice if request.card else None
    if meeting_id is None or choice is None:
        raise InvalidInteraction
    match choice:
        case MenuAction.UNFOLLOW:
            await unfollow(services, request, meeting_id)
        case MenuAction.REFRESH:
            await _refresh(services, request, meeting_id)
        case _:
            await _set_level(services, request, meeting_id, Level(choice.value))


async def _refresh(services: Dependencies, request: Request, meeting_id: UUID) -> None:
    request = await services.placed(request)
    follow = await services.following.refresh(request.team_id, request.channel_id, meeting_id)
    await services.replies.respond(request, follow_replies.refreshing(follow, services.wording()))


async def _set_level(services: Dependencies, request: Request, meeting_id: UUID, level: Level) -> None:
    request = await services.placed(request)
    request.refuse_outsiders()
    follow = await services.following.set_level(request.team_id, request.channel_id, meeting_id, level)
    await services.replies.respond(request, follow_replies.level_changed(follow, services.wording()))
