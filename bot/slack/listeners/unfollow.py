"""Someone has a meeting followed no longer."""

from uuid import UUID

import structlog

from bot.errors import SlackError
from bot.slack import follow_cards, follow_words
from bot.slack.requests import Request
from bot.slack.services import Services
from bot.store.follows import Listed

log = structlog.get_logger(__name__)


async def unfollow(services: Services, request: Request, meeting_id: UUID) -> None:
    """End the follow, tell them, and have the card say so as well."""
    request.refuse_guests()
    listed = await services.following.unfollow(request.team_id, request.channel_id, meeting_id)
    await services.replies.answer(request, follow_words.unfollowed(listed))
    if listed.ts is not None:
        await _say_so_on_card(services, listed, listed.ts)


async def _say_so_on_card(services: Services, listed: Listed, ts: str) -> None:
    """Where Slack lets us: who is gone from a channel edits nothing there, and that is no reason to follow on."""
    message = follow_cards.unfollowed_card(listed.follow, listed.name)
    try:
        await services.replies.edit(listed.follow.channel_id, ts, message)
    except SlackError as error:
        log.info("card_left_as_it_was", problem=type(error).__name__, detail=error.detail)
