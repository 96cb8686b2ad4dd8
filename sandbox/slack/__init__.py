"""A local Slack: a fake over real HTTP and WebSockets.

It signs, verifies, limits and forgets as Slack does; the bot can recognize it only by its base URL.
"""

from sandbox.slack.delivery import Delivery, Outcome
from sandbox.slack.events import Event, EventKind
from sandbox.slack.faults import ANY_METHOD, RESPONSE_URL, Fault
from sandbox.slack.limits import Rate
from sandbox.slack.log import Call, Direction, Sent
from sandbox.slack.peer import APP_TOKEN, BOT_TOKEN, SIGNING_SECRET, Slack
from sandbox.slack.seed import ANN, BACKSTAGE, BEN, BOT, CHRIS, EVENTS, GENERAL, RANDOM
from sandbox.slack.workspace import SLACKBOT, Channel, Enterprise, Message, User, Workspace

__all__ = [
    "ANN",
    "ANY_METHOD",
    "APP_TOKEN",
    "BACKSTAGE",
    "BEN",
    "BOT",
    "BOT_TOKEN",
    "CHRIS",
    "EVENTS",
    "GENERAL",
    "RANDOM",
    "RESPONSE_URL",
    "SIGNING_SECRET",
    "SLACKBOT",
    "Call",
    "Channel",
    "Delivery",
    "Direction",
    "Enterprise",
    "Event",
    "EventKind",
    "Fault",
    "Message",
    "Outcome",
    "Rate",
    "Sent",
    "Slack",
    "User",
    "Workspace",
]
