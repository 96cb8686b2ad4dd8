"""The list of what a channel follows."""

from bot.errors import NotInDirectMessages
from bot.slack.dependencies import Services
from bot.slack.messages import follow_replies
from bot.slack.payloads import Request


async def followed(services: Services, request: Request) -> None:
    """List the channel's follows, with the state and health of each."""
    request = await services.placed(request)
    listed = await services.following.in_channel(request.team_id, request.channel_id)
    if not listed and request.is_direct:
        raise NotInDirectMessages
    access_problem, failing = services.access_problem(), await services.following.failing(listed)
    for message in follow_replies.listing(listed, services.permalink, services.wording(), access_problem, failing):
        await services.replies.answer(request, message)
