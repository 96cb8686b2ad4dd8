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
from bot.slack.in_flight import RequestOutcome
from bot.slack.messages import lookup_card
from bot.slack.messages.message import ActionValue, MenuAction
from bot.slack.payloads import COMMAND, Event, Request, read_event, read_request

Handler = Callable[[Dependencies, Request], Awaitable[None]]
Listener = Callable[[AsyncAck, dict[str, Any]], Awaitable[None]]
EventHandler = Callable[[Dependencies, Event], Awaitable[None]]
EventListener = Callable[[dict[str, Any]], Awaitable[None]]

EVENT_SECONDS = 60.0
"""How long an event, which needs no reply, waits for Slack to report the installation, which the event may end."""

EVENT_RETRY_SECONDS = (1.0, 2.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0)
"""The waits before an event is handled again: Slack does not repeat an event that was acknowledged."""

log = structlog.get_logger(__name__)


def listener(deps: Dependencies, handler: Handler) -> Listener:
    """Wrap a handler as a Bolt listener that acknowledges before it calls the handler.

    The listener never raises: if it failed quickly, Bolt would drop an acknowledgement that it has not sent yet (it
    polls every 10 ms), and the person would get no response.
    """

    async def listen(ack: AsyncAck, body: dict[str, Any]) -> None:
        await ack()
        try:
            request = read_request(body)
        except InvalidInteraction as error:
            log.warning("payload_invalid", detail=error.detail)
            return
        except Exception:
            log.exception("handler_crashed")
            deps.in_flight.count_malformed()
            return
        deps.in_flight.hold()
        # A lookup does not wait for the installation; handlers that need it call `Dependencies.resolve`.
        installation = await deps.installation(0.0)
        await _run_handler(deps, request if installation is None else installation.resolve(request), handler)

    return listen


async def _run_handler(deps: Dependencies, request: Request, handler: Handler) -> None:
    with deps.in_flight.track(request) as result:
        try:
            deps.user_limit.acquire(request.user_id)
            await handler(deps, request)
            result.outcome = "ok"
        except BotError as error:
            result.outcome = error.code
            log.warning("request_failed", error=result.outcome, detail=error.detail)
            # An error about the meeting replaces its card. After any other error the person still needs the buttons.
            about_meeting = isinstance(error, RealtimeKitError)
            wording = deps.wording()
            again = _repeatable_action(request, wording.command)
            meeting_id = request.meeting_id if about_meeting or (again and error.can_pass) else None
            message = lookup_card.error_message(error, meeting_id, wording, again)
            await deps.responder.respond(request, message, replace=request.on_private_card and about_meeting)
        except Exception:
            # The person gets a reply to every error, and the log gets the traceback.
            reference = secrets.token_hex(4)
            log.exception("handler_crashed", reference=reference)
            await deps.responder.respond(request, lookup_card.internal_error(reference))


def _repeatable_action(request: Request, command_name: str) -> lookup_card.Again | None:
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


def on_event(app: AsyncApp, deps: Dependencies, kind: str, handler: EventHandler) -> None:
    """Register the handler for events of this kind, and start its failure count at zero."""
    deps.in_flight.expect(kind)
    app.event(kind)(event_listener(deps, handler))


def event_listener(deps: Dependencies, handler: EventHandler) -> EventListener:
    """Wrap a handler as a Bolt listener for an event, which Bolt has already acknowledged. Errors are logged."""

    async def listen(body: dict[str, Any]) -> None:
        try:
            event = read_event(body)
        except InvalidInteraction as error:
            log.warning("payload_invalid", detail=error.detail)
            return
        except Exception:
            log.exception("handler_crashed")
            deps.in_flight.count_malformed()
            return
        # Until the event is handled, shutdown waits for it.
        deps.in_flight.hold()
        installation = await deps.installation(EVENT_SECONDS)
        if installation is not None:
            if not installation.owns(event):
                log.info("event_left_alone", kind=event.kind)
                return
            event = installation.resolve_event(event)
        await _run_event_handler(deps, event, handler)

    return listen


async def _run_event_handler(deps: Dependencies, event: Event, handler: EventHandler) -> None:
    request = Request(event.kind, event.team_id, event.user_id, event.channel_id, response_url="")
    with deps.in_flight.track(request, needs_reply=False) as result:
        try:
            await _handle_with_retries(deps, event, handler, result)
            result.outcome = "ok"
        except BotError as error:
            result.outcome = error.code
            log.warning("event_failed", error=result.outcome, detail=error.detail)
        except Exception:
            log.exception("handler_crashed")


async def _handle_with_retries(deps: Dependencies, event: Event, handler: EventHandler, result: RequestOutcome) -> None:
    """Handle an event, with retries for some minutes while the database or Slack is unreachable.

    Shutdown ends the wait, and one last attempt follows.
    """
    for seconds in EVENT_RETRY_SECONDS:
        try:
            await handler(deps, event)
            return
        except (DatabaseUnavailable, SlackUnreachable) as error:
            result.outcome = error.code
            log.warning("event_postponed", error=error.code, detail=error.detail, retry_in=seconds)
        if not await deps.in_flight.pause(deps.sleep(seconds)):
            break
    await handler(deps, event)
