"""Wrappers that turn handlers into Bolt listeners.

They acknowledge first, then turn errors into messages (for commands and clicks) or log entries (for events).
"""

import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.errors import BotError, DatabaseUnavailable, InvalidInteraction, RealtimeKitError, SlackUnreachable
from bot.slack.command_parser import FollowCommand, LookupCommand, read_command
from bot.slack.dependencies import Dependencies
from bot.slack.event_payloads import Event, read_event
from bot.slack.in_flight import RequestOutcome
from bot.slack.messages import lookup_card
from bot.slack.messages.message import ActionValue, MenuAction, Message
from bot.slack.payloads import COMMAND, Request, read_request

Handler = Callable[[Dependencies, Request], Awaitable[None]]
Listener = Callable[[AsyncAck, dict[str, Any]], Awaitable[None]]
EventHandler = Callable[[Dependencies, Event], Awaitable[None]]
EventListener = Callable[[dict[str, Any]], Awaitable[None]]

EVENT_SECONDS = 60.0
"""How long an event waits for Slack to report the bot's installation, which the event may end. It needs no reply."""

EVENT_RETRY_SECONDS = (1.0, 2.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0)
"""Waits before an event is tried again. Slack sends an event only once that has been acknowledged."""

log = structlog.get_logger(__name__)


def listener(services: Dependencies, handler: Handler) -> Listener:
    """Wrap a handler as a Bolt listener that acknowledges before it calls the handler.

    The listener never raises: if it failed quickly, Bolt would drop an acknowledgement that it has not sent yet (it
    polls every 10 ms), and the person would get no response.
    """

    async def listen(ack: AsyncAck, body: dict[str, Any]) -> None:
        await ack()
        try:
            request = read_request(body)
        except InvalidInteraction as nobody_to_answer:
            log.warning("payload_invalid", detail=nobody_to_answer.detail)
            return
        except Exception:
            log.exception("handler_crashed")
            services.work.failed()
            return
        services.work.hold()
        # A lookup does not wait for it; whatever needs it calls `Services.placed`.
        home = await services.home(0.0)
        await _serve(services, request if home is None else home.placed(request), handler)

    return listen


async def _serve(services: Dependencies, request: Request, handler: Handler) -> None:
    with services.work.track(request) as progress:
        try:
            services.limit.take(request.user_id)
            await handler(services, request)
            progress.outcome = "ok"
        except BotError as error:
            progress.outcome = error.code
            log.warning("request_failed", error=progress.outcome, detail=error.detail)
            # An error about the meeting replaces its card. After any other error the person still needs the buttons.
            about_meeting = isinstance(error, RealtimeKitError)
            wording = services.wording()
            again = _again(request, wording.command)
            meeting_id = request.meeting_id if about_meeting or (again and error.can_pass) else None
            message = lookup_card.error_message(error, meeting_id, wording, again)
            await services.replies.respond(request, message, replace=request.on_private_card and about_meeting)
        except Exception:  # noqa: BLE001 - the person gets a reply to every error, and the log gets the traceback
            await services.replies.respond(request, _broken())


def _again(request: Request, command_name: str) -> lookup_card.Again | None:
    """Return the action that *Try again* repeats after a failed lookup or follow, with a follow's level."""
    if request.action in (lookup_card.FOLLOW_HERE, lookup_card.FOLLOW_AGAIN) and request.card is not None:
        return request.action, request.card
    if request.action == lookup_card.REFRESH and request.card is not None:
        # The retry's answer is private, even if the card was public.
        return lookup_card.REFRESH, ActionValue(m=request.card.meeting_id)
    command = read_command(request.text, command_name) if request.action == COMMAND else None
    if isinstance(command, LookupCommand):
        return lookup_card.REFRESH, ActionValue(m=str(command.meeting_id))
    if not isinstance(command, FollowCommand):
        return None
    level = MenuAction(command.level.value) if command.level else None
    return lookup_card.FOLLOW_HERE, ActionValue(m=str(command.meeting_id), do=level)


def on_event(app: AsyncApp, services: Dependencies, kind: str, handler: EventHandler) -> None:
    """Register the handler for events of this kind, and start its failure count at zero."""
    services.work.expect(kind)
    app.event(kind)(event_listener(services, handler))


def event_listener(services: Dependencies, handler: EventHandler) -> EventListener:
    """Wrap a handler as a Bolt listener for an event, which Bolt has already acknowledged. Errors are logged."""

    async def listen(body: dict[str, Any]) -> None:
        try:
            event = read_event(body)
        except InvalidInteraction as error:
            log.warning("payload_invalid", detail=error.detail)
            return
        except Exception:
            log.exception("handler_crashed")
            services.work.failed()
            return
        # Until the event is handled, shutdown waits for it.
        services.work.hold()
        home = await services.home(EVENT_SECONDS)
        if home is not None:
            if not home.has(event):
                log.info("event_left_alone", kind=event.kind)
                return
            event = home.placed_event(event)
        await _take_notice(services, event, handler)

    return listen


async def _take_notice(services: Dependencies, event: Event, handler: EventHandler) -> None:
    with services.work.track(_as_request(event), needs_reply=False) as progress:
        try:
            await _handle(services, event, handler, progress)
            progress.outcome = "ok"
        except BotError as error:
            progress.outcome = error.code
            log.warning("event_failed", error=progress.outcome, detail=error.detail)
        except Exception:
            log.exception("handler_crashed")


async def _handle(services: Dependencies, event: Event, handler: EventHandler, progress: RequestOutcome) -> None:
    """Handle an event, again and again for some minutes while the database or Slack is unreachable.

    Shutdown ends the waiting, with a last attempt.
    """
    for seconds in EVENT_RETRY_SECONDS:
        try:
            await handler(services, event)
            return
        except (DatabaseUnavailable, SlackUnreachable) as error:
            progress.outcome = error.code
            log.warning("event_postponed", error=error.code, detail=error.detail, retry_in=seconds)
        if not await services.work.pause(services.sleep(seconds)):
            break
    await handler(services, event)


def _as_request(event: Event) -> Request:
    return Request(event.kind, event.team_id, event.user_id, event.channel_id, response_url="")


def _broken() -> Message:
    reference = secrets.token_hex(4)
    log.exception("handler_crashed", reference=reference)
    return lookup_card.internal_error(reference)
