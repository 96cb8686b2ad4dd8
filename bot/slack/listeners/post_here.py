"""The *Post here* button on a private answer."""

from uuid import UUID, uuid5

from slack_bolt.async_app import AsyncApp

from bot.errors import DirectMessageNotSupported, InvalidInteraction, NotInChannel
from bot.slack.dependencies import Dependencies
from bot.slack.handlers import listener
from bot.slack.messages import lookup_card
from bot.slack.payloads import Request

_POSTS = UUID("5d0f2c0e-7a5c-4a39-8b0a-5b0c3f0f6d11")


def register(app: AsyncApp, services: Dependencies) -> None:
    """Register the button."""
    app.action(lookup_card.POST_HERE)(listener(services, post_here))


async def post_here(services: Dependencies, request: Request) -> None:
    """Post a public card that names the person, and remove the private answer, which is now redundant."""
    request = await services.placed(request)
    if request.meeting_id is None:
        raise InvalidInteraction
    request.refuse_outsiders()
    async with services.replies.note_if_slow(request):
        lookup = await services.look_up(request.meeting_id)
    card = lookup_card.lookup_card(lookup, posted_by=request.user_id, posted_as=request.user_name)
    try:
        await services.replies.post(request.channel_id, card, client_msg_id=_id_of_post(request))
    except NotInChannel as error:
        if request.is_direct:
            raise DirectMessageNotSupported(detail=error.detail) from None
        raise
    await services.replies.delete_original(request)


def _id_of_post(request: Request) -> str:
    """Return one ID per private answer, so that a double click posts once where Slack honors the ID."""
    return str(uuid5(_POSTS, f"{request.channel_id}:{request.user_id}:{request.message_ts}"))
