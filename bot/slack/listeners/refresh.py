"""The *Refresh* button on a card."""

from slack_bolt.async_app import AsyncApp

from bot.errors import InvalidInteraction
from bot.slack.dependencies import Dependencies
from bot.slack.handlers import listener
from bot.slack.messages import lookup_card
from bot.slack.payloads import Request


def register(app: AsyncApp, services: Dependencies) -> None:
    """Register the button."""
    app.action(lookup_card.REFRESH)(listener(services, refresh))


async def refresh(services: Dependencies, request: Request) -> None:
    """Update the card in place, whether it is private or public."""
    if request.meeting_id is None or request.card is None:
        raise InvalidInteraction
    async with services.replies.note_if_slow(request):
        lookup = await services.look_up(request.meeting_id)
    message = lookup_card.lookup_card(lookup, posted_by=request.card.posted_by, is_direct=request.is_direct)
    if request.on_private_card:
        await services.replies.respond(request, message, replace=True)
    else:
        await services.replies.update_public(request, message)
