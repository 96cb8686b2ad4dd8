"""Follow, unfollow and list meetings: the commands, the buttons, and the menu on a followed meeting's card."""

from uuid import UUID

import structlog
from slack_bolt.async_app import AsyncApp

from bot.domain.follow import Level
from bot.errors import ChannelRequired, InvalidInteraction, SlackError
from bot.following.service import CardRefused
from bot.slack.dependencies import Dependencies
from bot.slack.handlers import listener
from bot.slack.messages import follow_card, follow_replies, lookup_card
from bot.slack.messages.message import MenuAction
from bot.slack.payloads import Request
from bot.slack.responder import slack_error

log = structlog.get_logger(__name__)


def register(app: AsyncApp, deps: Dependencies) -> None:
    """Register *Follow here*, *Follow again* and the card's menu; `command` calls the rest."""
    app.action(lookup_card.FOLLOW_HERE)(listener(deps, follow_here))
    app.action(lookup_card.FOLLOW_AGAIN)(listener(deps, follow_here))
    app.action(lookup_card.FOLLOW_MENU)(listener(deps, choose_from_menu))


async def follow_here(deps: Dependencies, request: Request) -> None:
    """Follow the meeting of the message whose button was pressed, at the button's level."""
    if request.meeting_id is None or request.card is None:
        raise InvalidInteraction
    choice = request.card.choice
    level = Level(choice.value) if choice is not None and choice.value in set(Level) else None
    if request.action != lookup_card.FOLLOW_AGAIN:
        await follow(deps, request, request.meeting_id, level)
        return
    # A channel that already follows the meeting again keeps its level; the old card stops offering *Follow again*.
    name = await follow(deps, request, request.meeting_id, default=level or Level.NORMAL)
    if request.on_private_card:
        return  # *Try again* in a private answer
    try:
        message = follow_card.followed_again(request.meeting_id, name)
        await deps.responder.edit(request.channel_id, request.message_ts, message)
    except SlackError as error:
        log.info("old_card_kept", error=type(error).__name__, detail=error.detail)


async def follow(
    deps: Dependencies,
    request: Request,
    meeting_id: UUID,
    level: Level | None = None,
    default: Level = Level.NORMAL,
) -> str | None:
    """Follow the meeting in this channel and return its name; the reply takes the place of a private card.

    `default` is the level of a new follow if `level` is None.
    """
    request = await _resolve_change(deps, request)
    if request.is_direct:
        raise ChannelRequired
    async with deps.responder.note_if_slow(request):
        try:
            result = await deps.following.follow(
                request.team_id, request.channel_id, request.user_id, meeting_id, level, default
            )
        except CardRefused as refused:
            raise slack_error(refused.code, request.channel_id) from None
    message = follow_replies.followed(result, deps.permalink, deps.wording(), deps.access_problem())
    await deps.responder.respond(request, message, replace=request.on_private_card)
    return result.name


async def unfollow(deps: Dependencies, request: Request, meeting_id: UUID) -> None:
    """End the follow and confirm it; the announcer updates the follow's cards."""
    request = await _resolve_change(deps, request)
    if request.is_direct:
        raise ChannelRequired
    status = await deps.following.unfollow(request.team_id, request.channel_id, request.user_id, meeting_id)
    await deps.responder.respond(request, follow_replies.unfollowed(status))


async def list_follows(deps: Dependencies, request: Request) -> None:
    """List the channel's follows, with the state and health of each."""
    request = await deps.resolve(request)
    follows = await deps.following.list_follows(request.team_id, request.channel_id)
    if not follows and request.is_direct:
        raise ChannelRequired
    access_problem, failing = deps.access_problem(), await deps.following.failing(follows)
    for message in follow_replies.listing(follows, deps.permalink, deps.wording(), access_problem, failing):
        await deps.responder.respond(request, message)


async def choose_from_menu(deps: Dependencies, request: Request) -> None:
    """Carry out the choice and confirm it privately; the card changes for everyone."""
    meeting_id, choice = request.meeting_id, request.card.choice if request.card else None
    if meeting_id is None or choice is None:
        raise InvalidInteraction
    match choice:
        case MenuAction.UNFOLLOW:
            await unfollow(deps, request, meeting_id)
        case MenuAction.REFRESH:
            request = await deps.resolve(request)
            follow = await deps.following.refresh(request.team_id, request.channel_id, meeting_id)
            await deps.responder.respond(request, follow_replies.refreshing(follow, deps.wording()))
        case _:
            request = await _resolve_change(deps, request)
            level = Level(choice.value)
            follow = await deps.following.set_level(request.team_id, request.channel_id, meeting_id, level)
            await deps.responder.respond(request, follow_replies.level_changed(follow, deps.wording()))


async def _resolve_change(deps: Dependencies, request: Request) -> Request:
    """Resolve a request that changes a follow. Raises OtherWorkspace if it comes from another workspace's member."""
    request = await deps.resolve(request)
    request.refuse_outsiders()
    return request
