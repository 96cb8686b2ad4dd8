"""Unfollowing a meeting."""

from uuid import UUID

from bot.errors import NotInDirectMessages
from bot.slack import follow_words
from bot.slack.requests import Request
from bot.slack.services import Services


async def unfollow(services: Services, request: Request, meeting_id: UUID) -> None:
    """End the follow and confirm it; the announcer updates the follow's cards."""
    request = await services.placed(request)
    request.refuse_outsiders()
    if request.is_direct:
        raise NotInDirectMessages
    listed = await services.following.unfollow(request.team_id, request.channel_id, request.user_id, meeting_id)
    await services.replies.answer(request, follow_words.unfollowed(listed))
