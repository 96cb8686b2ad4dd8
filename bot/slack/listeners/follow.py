"""Following a meeting: by command, with *Follow here* on an answer, or with *Follow again*."""

from uuid import UUID

import structlog
from slack_bolt.async_app import AsyncApp

from bot.domain.follow import Level
from bot.errors import ChannelRequired, InvalidInteraction, SlackError
from bot.following.service import CardRefused
from bot.slack.dependencies import Dependencies
from bot.slack.handlers import listener
from bot.slack.messages import follow_card, follow_replies, lookup_card
from bot.slack.payloads import Request
from bot.slack.responder import refusal

log = structlog.get_logger(__name__)


def register(app: AsyncApp, services: Dependencies) -> None:
    """Register both buttons."""
    for button in (lookup_card.FOLLOW_HERE, lookup_card.FOLLOW_AGAIN):
        app.action(button)(listener(services, follow_here))


async def follow_here(services: Dependencies, request: Request) -> None:
    """Follow the meeting of the message whose button was pressed, at the button's level."""
    if request.meeting_id is None or request.card is None:
        raise InvalidInteraction
    choice = request.card.choice
    level = Level(choice.value) if choice is not None and choice.value in set(Level) else None
    if request.action != lookup_card.FOLLOW_AGAIN:
        await follow(services, request, request.meeting_id, level)
        return
    # A channel that already follows the meeting again keeps its level; the old card stops offering *Follow again*.
    name = await follow(services, request, request.meeting_id, default=level or Level.NORMAL)
    if request.on_private_card:
        return  # *Try again* in a private answer
    try:
        message = follow_card.followed_again(request.meeting_id, name)
        await services.replies.edit(request.channel_id, request.message_ts, message)
    except SlackError as error:
        log.info("old_card_kept", error=type(error).__name__, detail=error.detail)


async def follow(
    services: Dependencies,
    request: Request,
    meeting_id: UUID,
    level: Level | None = None,
    default: Level = Level.NORMAL,
) -> str | None:
    """Follow the meeting in this channel and return its name; the reply takes the place of a private card.

    `default` is the level of a new follow if `level` is None.
    """
    request = await services.placed(request)
    request.refuse_outsiders()
    if request.is_direct:
        raise ChannelRequired
    async with services.replies.note_if_slow(request):
        try:
            result = await services.following.follow(
                request.team_id, request.channel_id, request.user_id, meeting_id, level, default
            )
        except CardRefused as refused:
            raise refusal(refused.code, request.channel_id) from None
    message = follow_replies.followed(result, services.permalink, services.wording(), services.access_problem())
    await services.replies.respond(request, message, replace=request.on_private_card)
    return result.name
