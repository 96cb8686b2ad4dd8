"""The sandbox page: a Slack client, controls for the broadcaster, and the log of calls.

It drives the sandbox's Slack and RealtimeKit, and only for people at this machine.
"""

from sandbox.page.server import Page
from sandbox.page.views import BotView

__all__ = ["BotView", "Page"]
