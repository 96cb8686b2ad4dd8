"""A local Cloudflare RealtimeKit: a fake over real HTTP, not a mock."""

from sandbox.realtimekit.conditions import Call
from sandbox.realtimekit.envelopes import ListShape
from sandbox.realtimekit.events import Event
from sandbox.realtimekit.faults import Fault
from sandbox.realtimekit.kit import RealtimeKit
from sandbox.realtimekit.postman import Delivery
from sandbox.realtimekit.seeds import SEEDS, Seed
from sandbox.realtimekit.state import ZERO_TIME, AfterEnd, ImpossibleError, Livestream, Meeting, Session, Shape, Status
from sandbox.realtimekit.webhooks import Webhook

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
