"""A local Cloudflare RealtimeKit: a fake over real HTTP, not a mock."""

from bot.sandbox.realtimekit.conditions import Call
from bot.sandbox.realtimekit.envelopes import ListShape
from bot.sandbox.realtimekit.events import Event
from bot.sandbox.realtimekit.faults import Fault
from bot.sandbox.realtimekit.kit import RealtimeKit
from bot.sandbox.realtimekit.postman import Delivery
from bot.sandbox.realtimekit.seeds import SEEDS, Seed
from bot.sandbox.realtimekit.state import (
    ZERO_TIME,
    AfterEnd,
    ImpossibleError,
    Livestream,
    Meeting,
    Session,
    Shape,
    Status,
)
from bot.sandbox.realtimekit.webhooks import Webhook

__all__ = [
    "SEEDS",
    "ZERO_TIME",
    "AfterEnd",
    "Call",
    "Delivery",
    "Event",
    "Fault",
    "ImpossibleError",
    "ListShape",
    "Livestream",
    "Meeting",
    "RealtimeKit",
    "Seed",
    "Session",
    "Shape",
    "Status",
    "Webhook",
]
