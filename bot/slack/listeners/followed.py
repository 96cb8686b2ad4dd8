"""The list of what a channel follows."""

from bot.errors import NotInDirectMessages
from bot.slack import follow_words
from bot.slack.requests import Request
from bot.slack.services import Services


async def followed(services: Services, request: Request) -> None:
    """List the channel's follows, with the state and health of each."""
    request = await services.placed(request)
    listed = await services.following.in_channel(request.team_id, request.channel_id)
    if not listed and request.is_direct:
        raise NotInDirectMessages
    access_problem, failing = services.access_problem(), await services.following.failing(listed)
    for message in follow_words.listing(listed, services.permalink, services.wording(), access_problem, failing):
        await services.replies.answer(request, message)
