"""The sandbox: a local Slack and a local RealtimeKit over real sockets, for demos, tests and fault injection.

The bot cannot see the difference, except for the base URLs in its settings.
"""
