"""A Slack app for teams that broadcast with Cloudflare RealtimeKit."""

__version__ = "0.1.0"
