"""The buttons on a lookup's card: *Refresh*, *Post here* and *Watch*."""

from uuid import UUID, uuid5

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.errors import DirectMessageNotSupported, InvalidInteraction, NotInChannel
from bot.slack.dependencies import Dependencies
from bot.slack.handlers import listener
from bot.slack.messages import lookup_card
from bot.slack.payloads import Request

_POSTS = UUID("5d0f2c0e-7a5c-4a39-8b0a-5b0c3f0f6d11")


def register(app: AsyncApp, deps: Dependencies) -> None:
    """Register the buttons."""
    app.action(lookup_card.REFRESH)(listener(deps, refresh))
    app.action(lookup_card.POST_HERE)(listener(deps, post_here))
    app.action(lookup_card.WATCH)(acknowledge_watch)


async def refresh(deps: Dependencies, request: Request) -> None:
    """Update the card in place, whether it is private or public."""
    if request.meeting_id is None or request.card is None:
        raise InvalidInteraction
    async with deps.responder.note_if_slow(request):
        lookup = await deps.look_up(request.meeting_id)
    message = lookup_card.lookup_card(lookup, posted_by=request.card.posted_by, is_direct=request.is_direct)
    if request.on_private_card:
        await deps.responder.respond(request, message, replace=True)
    else:
        await deps.responder.edit(request.channel_id, request.message_ts, message)


async def post_here(deps: Dependencies, request: Request) -> None:
    """Post a public card that names the person, and remove the private answer, which is now redundant."""
    request = await deps.resolve(request)
    if request.meeting_id is None:
        raise InvalidInteraction
    request.refuse_outsiders()
    async with deps.responder.note_if_slow(request):
        lookup = await deps.look_up(request.meeting_id)
    card = lookup_card.lookup_card(lookup, posted_by=request.user_id, posted_as=request.user_name)
    # One ID per private answer, so that a double click posts once where Slack honors the ID.
    message_id = uuid5(_POSTS, f"{request.channel_id}:{request.user_id}:{request.message_ts}")
    try:
        await deps.responder.post(request.channel_id, card, client_msg_id=str(message_id))
    except NotInChannel as error:
        if request.is_direct:
            raise DirectMessageNotSupported(detail=error.detail) from None
        raise
    await deps.responder.delete_original(request)


async def acknowledge_watch(ack: AsyncAck) -> None:
    """Acknowledge a click on *Watch*.

    The browser opens the link by itself, but Slack also sends the click to the bot, and warns the person if nothing
    acknowledges it.
    """
    await ack()
