"""The list of what a channel follows."""

from bot.errors import ChannelRequired
from bot.slack.dependencies import Dependencies
from bot.slack.messages import follow_replies
from bot.slack.payloads import Request


async def list_follows(services: Dependencies, request: Request) -> None:
    """List the channel's follows, with the state and health of each."""
    request = await services.placed(request)
    listed = await services.following.list_follows(request.team_id, request.channel_id)
    if not listed and request.is_direct:
        raise ChannelRequired
    access_problem, failing = services.access_problem(), await services.following.failing(listed)
    for message in follow_replies.listing(listed, services.permalink, services.wording(), access_problem, failing):
        await services.replies.respond(request, message)
