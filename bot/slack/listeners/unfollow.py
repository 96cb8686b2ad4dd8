"""Unfollowing a meeting."""

from uuid import UUID

from bot.errors import ChannelRequired
from bot.slack.dependencies import Dependencies
from bot.slack.messages import follow_replies
from bot.slack.payloads import Request


async def unfollow(services: Dependencies, request: Request, meeting_id: UUID) -> None:
    """End the follow and confirm it; the announcer updates the follow's cards."""
    request = await services.placed(request)
    request.refuse_outsiders()
    if request.is_direct:
        raise ChannelRequired
    listed = await services.following.unfollow(request.team_id, request.channel_id, request.user_id, meeting_id)
    await services.replies.respond(request, follow_replies.unfollowed(listed))
