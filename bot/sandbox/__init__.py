"""A local Slack and a local Cloudflare RealtimeKit over real sockets: try-out, test bench and fault injector.

The bot does not know it is there; only base URLs differ.
"""
