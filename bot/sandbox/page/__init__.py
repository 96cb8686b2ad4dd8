"""The sandbox page: a Slack to look at, the hands of a broadcaster, and the log of who asked whom.

It drives the sandbox's Slack and RealtimeKit for whoever sits at this machine, and only for them.
"""

from bot.sandbox.page.server import Page
from bot.sandbox.page.views import BotView

__all__ = ["BotView", "Page"]
